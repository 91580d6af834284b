/** `sip-record`: records a call as WAV (contract §4.7). Outputs: 1 recording, 2 ended. */
import type { NodeAPI } from "node-red";
import {
  type AudioControl,
  MediaError,
  type Recording,
  type RecordingResult,
  type SessionEvent,
} from "../lib/index.js";
import type { Call } from "./shared/call.js";
import { findCall } from "./shared/call.js";
import { dispatcher } from "./shared/dispatcher.js";
import { environment } from "./shared/environment.js";
import { misuse } from "./shared/errors.js";
import { sessionEventFields } from "./shared/event-fields.js";
import { type Action, registerActionNode } from "./shared/flow-node.js";
import { startPlaying } from "./shared/playing.js";
import {
  audioSource,
  choice,
  flag,
  milliseconds,
  seconds,
  session,
  textOrNone,
} from "./shared/properties.js";
import { optionsOf } from "./shared/property-values.js";
import {
  callFor,
  checkedHandle,
  CLOSING,
  closingOf,
  isEnding,
  leaveAtEnd,
  leaveOver,
} from "./shared/session-action.js";
import { recordingPath } from "./shared/sources.js";

const properties = {
  session,
  target: audioSource(),
  beep: flag(false),
  maxDuration: seconds(300),
  silence: milliseconds(0),
  terminator: textOrNone("#"),
  channels: choice(["remote", "mixed", "stereo"], "remote"),
};

type RecordAction = Action<typeof properties>;

/** Files that are being written: two calls in one file would hear each other. */
const busyFiles = new Set<string>();

/** How long the end of a call waits for its recording to be written. */
const LONGEST_WAIT_MS = 2_000;

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-record", {
    properties,
    busyText: "status.recording",
    reads: ["control"],
    run: (action) =>
      action.control === undefined ? record(action) : control(action, action.control),
  });
}

/** `stop`, `pause`, `resume` act on what this node records in the session, with `options.all` on everything. */
function control({ input, values, msg }: RecordAction, word: string): void {
  if (word !== "stop" && word !== "pause" && word !== "resume") {
    throw misuse("bad-control", `msg.control "${word}": use stop, pause or resume`);
  }
  const all = optionsOf(msg)?.["all"] === true;
  const call = findCall(checkedHandle(values.session));
  for (const { nodeId, recording } of [...(call?.recordings ?? [])]) {
    if (all || nodeId === input.nodeId) recording[word]();
  }
  input.complete();
}

async function record(action: RecordAction): Promise<void> {
  const { RED, input, values } = action;
  const call = callFor(input, values.session);
  if (call === undefined) {
    leaveOver(input, values.session, 2, "ended");
    return;
  }
  const unwatch = leaveAtEnd(input, call, 2);
  if (isEnding(call)) return;
  const release = await call.useSound();
  try {
    const { audio } = call.session;
    if (audio?.ready !== true) {
      throw misuse("no-media", "no sound has been negotiated in this call yet: answer it first");
    }
    const path = await recordingPath(RED, values.target);
    if (values.beep) await beep(action, call);
    if (input.settled || isEnding(call)) return;
    const recording = await startRecording(audio, path, values);
    const terminator = values.terminator.toUpperCase();
    const active = { nodeId: input.nodeId, terminator, recording };
    call.recordings.add(active);
    const ended = waitsForRecording(call, unwatch);
    const result = await recording.done;
    call.recordings.delete(active);
    finish(action, call, { result, path, ended: ended.event });
    ended.release();
  } catch (error) {
    // It could not begin because the call was ending.
    if (!isEnding(call)) {
      unwatch();
      throw error;
    }
  } finally {
    release();
  }
}

async function startRecording(
  audio: AudioControl,
  path: string | undefined,
  { channels, maxDuration, silence }: RecordAction["values"],
): Promise<Recording> {
  const options = { path, channels, maxDuration, silence };
  if (path === undefined) return audio.record(options);
  if (busyFiles.has(path)) {
    throw misuse(
      "file-busy",
      `${path} is being recorded to already; give each recording a name of its own`,
    );
  }
  busyFiles.add(path);
  try {
    const recording = await audio.record(options);
    void recording.done.then(() => busyFiles.delete(path));
    return recording;
  } catch (error) {
    busyFiles.delete(path);
    throw error;
  }
}

/** Heard by the other side, not recorded. */
async function beep({ input }: RecordAction, call: Call): Promise<void> {
  const tone = { kind: "tone", name: "beep" } as const;
  const options = { nodeId: input.nodeId, bargeIn: false };
  const { playback } = await startPlaying(call, tone, options);
  await playback.done;
}

interface EndOfCall {
  /** The last event, once it came. */
  readonly event: SessionEvent | undefined;
  readonly release: () => void;
}

/** From now on the end of the call waits until the recording is written, for a while. */
function waitsForRecording(call: Call, unwatch: () => void): EndOfCall {
  unwatch();
  let event: SessionEvent | undefined;
  let free: () => void = () => undefined;
  const release = (): void => {
    call.closers.delete(close);
    free();
  };
  const close = (last: SessionEvent): void => {
    event = last;
    const letGo = dispatcher.hold(call.id, CLOSING);
    const timer = environment().clock.setTimer(LONGEST_WAIT_MS, letGo);
    free = () => {
      timer.cancel();
      letGo();
    };
  };
  call.closers.add(close);
  return {
    get event() {
      return event;
    },
    release,
  };
}

function finish(
  { input }: RecordAction,
  call: Call,
  outcome: {
    readonly result: RecordingResult;
    readonly path: string | undefined;
    readonly ended: SessionEvent | undefined;
  },
): void {
  const { result, path, ended } = outcome;
  const { reason, seconds: length, bytes, data } = result;
  if (reason === "failed") {
    input.fail(
      result.error ?? new MediaError("the recording broke off", { rule: "record-failed" }),
    );
    return;
  }
  if (ended !== undefined && length === 0) {
    const sip = sessionEventFields(call.stackId, call.session, ended);
    input.leave(2, () => ({ sip, payload: ended.snapshot.cause ?? ended.name }), closingOf(call));
    return;
  }
  const recording = {
    ...(path === undefined ? {} : { file: path }),
    seconds: length,
    bytes,
    reason,
  };
  const sip = call.fields("recorded", { recording });
  input.leave(1, () => ({ sip, payload: path ?? data ?? Buffer.alloc(0) }), {
    sessionId: call.id,
    events: ["dtmf", ...CLOSING],
  });
}
