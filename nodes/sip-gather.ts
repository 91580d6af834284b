/** `sip-gather`: collects digits (contract §4.7). Outputs: 1 digits, 2 timeout, 3 invalid, 4 ended. */
import type { NodeAPI } from "node-red";
import { checkFree, checkMedia, resolvePrompt } from "./shared/collecting.js";
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
  text,
  textOrNone,
} from "./shared/properties.js";
import { optionsOf } from "./shared/property-values.js";
import { callFor, isEnding, leaveAtEnd, leaveOver } from "./shared/session-action.js";

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
    const source = await resolvePrompt(RED, prompt, optionsOf(msg));
    // All of it may have happened while the prompt was being fetched.
    if (input.settled || isEnding(call)) return;
    checkFree(call);
    unwatch();
    await new Gathering(input, call, { ...options, prompt: source, pattern }).start();
  } catch (error) {
    // A sound broke off because the call did: its end is what the message leaves with.
    if (isEnding(call)) return;
    unwatch();
    throw error;
  }
}

function checkedPattern(text: string): RegExp | undefined {
  try {
    return entryPattern(text);
  } catch (error) {
    throw misuse("bad-pattern", patternProblem(error));
  }
}
