/** `sip-play`: plays a sound in a call (contract §4.7). Outputs: 1 finished, 2 ended. */
import type { NodeAPI } from "node-red";
import { MediaError } from "../lib/index.js";
import type { ActivePlayback, Call } from "./shared/call.js";
import { findCall } from "./shared/call.js";
import { misuse } from "./shared/errors.js";
import { type Action, registerActionNode } from "./shared/flow-node.js";
import { nextTurn, startPlaying } from "./shared/playing.js";
import { audioSource, flag, loop, milliseconds, session } from "./shared/properties.js";
import { optionsOf } from "./shared/property-values.js";
import {
  callFor,
  checkedHandle,
  isEnding,
  leaveAtEnd,
  leaveOver,
} from "./shared/session-action.js";
import { resolveSource } from "./shared/sources.js";

const properties = {
  session,
  source: audioSource({ value: "payload", type: "msg" }),
  loop,
  background: flag(false),
  bargeIn: flag(false),
  settle: milliseconds(0),
};

type PlayAction = Action<typeof properties>;

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-play", {
    properties,
    busyText: "status.playing",
    reads: ["control"],
    run: (action) =>
      action.control === undefined ? play(action) : control(action, action.control),
  });
}

/** `stop`, `pause`, `resume` act on what this node plays in the session, with `options.all` on everything. */
function control({ input, values, msg }: PlayAction, word: string): void {
  if (word !== "stop" && word !== "pause" && word !== "resume") {
    throw misuse("bad-control", `msg.control "${word}": use stop, pause or resume`);
  }
  const all = optionsOf(msg)?.["all"] === true;
  const call = findCall(checkedHandle(values.session));
  for (const { nodeId, playback } of [...(call?.playbacks ?? [])]) {
    if (all || nodeId === input.nodeId) playback[word]();
  }
  // A stream is a source like others, but it cannot wait.
  if (all && word === "stop") for (const stream of [...(call?.streams ?? [])]) stream.stop();
  input.complete();
}

async function play(action: PlayAction): Promise<void> {
  const { RED, input, values, msg } = action;
  const call = callFor(input, values.session);
  if (call === undefined) {
    leaveOver(input, values.session, 2, "ended");
    return;
  }
  const unwatch = leaveAtEnd(input, call, 2);
  // It is about to be released by the end of the call.
  if (isEnding(call)) return;
  try {
    const { source, shown } = await resolveSource(RED, values.source, optionsOf(msg));
    const { bargeIn, background, settle } = values;
    const options = { nodeId: input.nodeId, bargeIn, background, settle, loop: values.loop };
    const active = await startPlaying(call, source, options);
    if (input.settled) active.playback.stop();
    else if (background) {
      const sip = call.fields("playing");
      input.leave(1, () => ({ sip, payload: shown }));
    } else await finish(action, call, active);
  } catch (error) {
    // The sound broke off because the call did.
    if (!isEnding(call)) throw error;
  } finally {
    if (!isEnding(call)) unwatch();
  }
}

async function finish({ input }: PlayAction, call: Call, active: ActivePlayback): Promise<void> {
  const result = await active.playback.done;
  if (result === "stopped" && !active.stoppedByDigit) {
    // The end of a call stops its sounds: then the end is what the message leaves with.
    await nextTurn();
    if (isEnding(call)) return;
  }
  if (result === "failed") {
    throw new MediaError("the sound broke off", { rule: "media-failed" });
  }
  const reason = active.stoppedByDigit ? "digit" : result;
  const sip = call.fields("played");
  input.leave(1, () => ({ sip, payload: reason }), { sessionId: call.id, events: ["dtmf"] });
}
