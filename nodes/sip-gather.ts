/** `sip-gather`: collects digits (contract §4.7). Outputs: 1 digits, 2 timeout, 3 invalid, 4 ended. */
import type { NodeAPI } from "node-red";
import type { Call } from "./shared/call.js";
import { entryPattern } from "./shared/digits.js";
import { misuse } from "./shared/errors.js";
import { type Action, registerActionNode } from "./shared/flow-node.js";
import { Gathering, patternProblem } from "./shared/gathering.js";
import {
  audioSource,
  flag,
  number,
  seconds,
  session,
  type SourceValue,
  text,
  textOrNone,
} from "./shared/properties.js";
import { optionsOf } from "./shared/property-values.js";
import { callFor, isEnding, leaveAtEnd, leaveOver } from "./shared/session-action.js";
import { resolveSource } from "./shared/sources.js";

const properties = {
  session,
  min: number(1),
  max: number(0),
  terminator: textOrNone("#"),
  firstDigitTimeout: seconds(10),
  interDigitTimeout: seconds(3),
  prompt: audioSource(),
  bargeIn: flag(true),
  pattern: text(),
};

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-gather", { properties, busyText: "status.collecting", run });
}

async function run(action: Action<typeof properties>): Promise<void> {
  const { RED, input, values, msg } = action;
  const { session: handle, prompt, pattern: patternText, ...options } = values;
  const pattern = checkedPattern(patternText);
  const call = callFor(input, handle);
  if (call === undefined) {
    leaveOver(input, handle, 4, "ended", "");
    return;
  }
  const unwatch = leaveAtEnd(input, call, 4, () => ({ event: "ended", payload: "" }));
  if (isEnding(call)) return;
  try {
    checkMedia(call);
    checkFree(call);
    const source = isEmpty(prompt)
      ? undefined
      : (await resolveSource(RED, prompt, optionsOf(msg))).source;
    // Both may have happened while the prompt was being fetched.
    if (input.settled) return;
    checkFree(call);
    unwatch();
    await new Gathering(input, call, { ...options, prompt: source, pattern }).start();
  } catch (error) {
    unwatch();
    throw error;
  }
}

function isEmpty({ value }: SourceValue): boolean {
  return value === undefined || value === null || value === "";
}

function checkedPattern(text: string): RegExp | undefined {
  try {
    return entryPattern(text);
  } catch (error) {
    throw misuse("bad-pattern", patternProblem(error));
  }
}

/** Without a media handler digits can still come by INFO once the call is up. */
function checkMedia(call: Call): void {
  const { audio, state } = call.session;
  if (audio === undefined ? state === "established" : audio.ready) return;
  throw misuse("no-media", "no sound has been negotiated in this call yet: answer it first");
}

function checkFree(call: Call): void {
  if (call.collector === undefined) return;
  throw misuse("busy", "another node is collecting the digits of this call");
}
