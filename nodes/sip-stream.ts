/** `sip-stream`: live sound to and from a flow (contract §4.7). Outputs: 1 audio, 2 ended, 3 control. */
import type { NodeAPI, NodeMessage } from "node-red";
import { MediaError } from "../lib/index.js";
import { ActiveStream } from "./shared/active-stream.js";
import { type Call, findCall } from "./shared/call.js";
import { misuse } from "./shared/errors.js";
import { type Action, registerActionNode } from "./shared/flow-node.js";
import { nextTurn } from "./shared/playing.js";
import { choice, numberOf, numberWithin, session } from "./shared/properties.js";
import { optionsOf } from "./shared/property-values.js";
import {
  callFor,
  checkedHandle,
  isEnding,
  leaveAtEnd,
  leaveOver,
} from "./shared/session-action.js";
import { beginWait } from "./shared/waiting-inputs.js";

const properties = {
  session,
  format: choice(["pcm16", "mulaw"], "pcm16"),
  sampleRate: numberOf([8000, 16_000, 24_000, 48_000], 8000),
  frame: numberWithin(10, 1000, 20),
};

type StreamAction = Action<typeof properties>;

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-stream", {
    properties,
    reads: ["control"],
    run: (action) => {
      switch (action.control) {
        case undefined:
          return stream(action, soundOf(action.msg));
        case "start":
          return stream(action, undefined);
        case "mark":
          return mark(action);
        case "stop":
        case "clear":
          return control(action, action.control);
        default:
          throw misuse(
            "bad-control",
            `msg.control "${action.control}": use start, stop, clear or mark`,
          );
      }
    },
  });
}

function soundOf({ payload }: NodeMessage): Uint8Array | undefined {
  return payload instanceof Uint8Array ? payload : undefined;
}

/** The stream of this node in the call. */
function ownStream(call: Call | undefined, nodeId: string): ActiveStream | undefined {
  for (const active of call?.streams ?? []) if (active.nodeId === nodeId) return active;
  return undefined;
}

/** Acts on what this node streams in the session, with `options.all` on every source. */
function control({ input, values, msg }: StreamAction, word: "stop" | "clear"): void {
  const all = optionsOf(msg)?.["all"] === true;
  const call = findCall(checkedHandle(values.session));
  for (const active of [...(call?.streams ?? [])]) {
    if (all || active.nodeId === input.nodeId) active[word]();
  }
  if (all && word === "stop") {
    for (const { playback } of [...(call?.playbacks ?? [])]) playback.stop();
  }
  input.complete();
}

/** Leaves when everything that this node was given before has been heard, or will not be. */
async function mark({ input, values }: StreamAction): Promise<void> {
  const call = callFor(input, values.session);
  if (call === undefined) {
    leaveOver(input, values.session, 2, "ended");
    return;
  }
  const unwatch = leaveAtEnd(input, call, 2);
  try {
    const milliseconds = (await ownStream(call, input.nodeId)?.mark()) ?? 0;
    // The end of a call lets marks go: then the end is what the message leaves with.
    await nextTurn();
    if (isEnding(call)) return;
    const sip = call.fields("mark");
    input.leave(3, () => ({ sip, payload: milliseconds }));
  } finally {
    if (!isEnding(call)) unwatch();
  }
}

/** Sound to be said; whatever comes first starts the stream. */
async function stream(action: StreamAction, sound: Uint8Array | undefined): Promise<void> {
  const { input, values } = action;
  const call = callFor(input, values.session);
  if (call === undefined) {
    leaveOver(input, values.session, 2, "ended");
    return;
  }
  const running = ownStream(call, input.nodeId);
  if (running !== undefined) {
    if (sound !== undefined) running.send(sound);
    input.complete();
    return;
  }
  const unwatch = leaveAtEnd(input, call, 2);
  // It is about to be released by the end of the call.
  if (isEnding(call)) return;
  try {
    await start(action, call, sound);
  } catch (error) {
    // The stream broke off because the call did.
    if (!isEnding(call)) throw error;
  } finally {
    if (!isEnding(call)) unwatch();
  }
}

async function start(
  { input, values }: StreamAction,
  call: Call,
  sound: Uint8Array | undefined,
): Promise<void> {
  const { format, sampleRate, frame } = values;
  if (!Number.isInteger((frame * sampleRate) / 1000)) {
    throw misuse("bad-option", `"frame" must be a whole number of samples, ${frame} ms are not`);
  }
  const active = new ActiveStream({
    nodeId: input.nodeId,
    frame,
    onFrame: ({ data, sequence, timestamp }, delivered) => {
      if (input.settled) return;
      input.stream(1, () => {
        delivered();
        return { sip: { session: call.id, event: "audio", sequence, timestamp }, payload: data };
      });
    },
    onStop: (stopped) => call.streams.delete(stopped),
  });
  call.streams.add(active);
  input.onSettled(beginWait(input.nodeId, "status.streaming"));
  const options = { format, sampleRate, frame };
  let release: () => void = () => undefined;
  const ended = active.run(async (onFrame) => {
    release = await call.useSound();
    const { audio } = call.session;
    if (audio?.ready === true) return audio.stream(options, { onFrame });
    throw misuse("no-media", "no sound has been negotiated in this call yet: answer it first");
  });
  if (sound !== undefined) active.send(sound);
  const result = await ended.finally(() => release());
  // The end of a call ends its sounds first: then the end is what the message leaves with.
  await nextTurn();
  if (isEnding(call)) return;
  if (result === "failed") {
    throw new MediaError("the stream broke off", { rule: "media-failed" });
  }
  const sip = call.fields("stopped");
  input.leave(3, () => ({ sip, payload: "stopped" }));
}
