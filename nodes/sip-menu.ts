/**
 * `sip-menu`: asks for one of several keys (contract §4.7). Outputs: 1…n one per choice, then timeout, invalid, ended.
 */
import type { NodeAPI } from "node-red";
import {
  type Choice,
  checkedChoices,
  choices,
  type ChoiceList,
  type ChoiceResult,
} from "./shared/choices.js";
import { checkFree, checkMedia, resolvePrompt } from "./shared/collecting.js";
import { misuse } from "./shared/errors.js";
import { type Action, registerActionNode } from "./shared/flow-node.js";
import type { OutputPort } from "./shared/input.js";
import type { LiveNode } from "./shared/live-nodes.js";
import { Menu } from "./shared/menu.js";
import { audioSource, flag, number, seconds, session } from "./shared/properties.js";
import { expandEnvironment, optionsOf } from "./shared/property-values.js";
import { callFor, isEnding, leaveAtEnd, leaveOver } from "./shared/session-action.js";

const properties = {
  session,
  choices,
  prompt: audioSource(),
  invalidPrompt: audioSource(),
  timeoutPrompt: audioSource(),
  timeout: seconds(10),
  interDigitTimeout: seconds(2),
  retries: number(2),
  bargeIn: flag(true),
};

/** The choices as each node draws them now: a deploy may have moved them while a call waited. */
const drawn = new WeakMap<LiveNode, readonly Choice[]>();

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-menu", {
    properties,
    busyText: "status.choosing",
    attached: (live, config) => drawn.set(live, drawnChoices(live, config["choices"])),
    run,
  });
}

/** None when they are not valid: every input of the node then says so. */
function drawnChoices(live: LiveNode, value: unknown): readonly Choice[] {
  if (value === undefined || value === null || value === "") return [];
  const raw = typeof value === "string" ? expandEnvironment(live.RED, live.node, value) : value;
  try {
    return expanded(live, choices.parse(raw, "choices", { type: "str", literal: true }));
  } catch (error) {
    live.node.debug(String(error));
    return [];
  }
}

function expanded(live: LiveNode, list: ChoiceList): Choice[] {
  return checkedChoices(list, (text) => expandEnvironment(live.RED, live.node, text));
}

async function run(action: Action<typeof properties>): Promise<void> {
  const { RED, live, input, values, msg } = action;
  const own = drawn.get(live) ?? [];
  const list = expanded(live, values.choices);
  if (list.length > own.length) {
    throw misuse(
      "bad-choices",
      `${list.length} choices, but the node has outputs for ${own.length}`,
    );
  }
  const output = (result: ChoiceResult | "ended"): OutputPort =>
    typeof result === "string"
      ? (now) => (drawn.get(now) ?? own).length + AFTER_CHOICES[result]
      : (now) => outputOf(own[list.indexOf(result)]?.digits, drawn.get(now) ?? own);
  const call = callFor(input, values.session);
  if (call === undefined) {
    leaveOver(input, values.session, output("ended"), "ended", "");
    return;
  }
  const unwatch = leaveAtEnd(input, call, output("ended"), () => ({ event: "ended", payload: "" }));
  if (isEnding(call)) return;
  try {
    checkMedia(call);
    checkFree(call);
    const options = optionsOf(msg);
    const prompt = await resolvePrompt(RED, values.prompt, options);
    const invalidPrompt = await resolvePrompt(RED, values.invalidPrompt, options);
    const timeoutPrompt = await resolvePrompt(RED, values.timeoutPrompt, options);
    // All of it may have happened while the prompts were being fetched.
    if (input.settled || isEnding(call)) return;
    checkFree(call);
    unwatch();
    const { timeout, interDigitTimeout, bargeIn } = values;
    new Menu(input, call, {
      choices: list,
      prompt,
      invalidPrompt,
      timeoutPrompt,
      timeout,
      interDigitTimeout,
      bargeIn,
      retries: Math.floor(values.retries),
      output,
    }).start();
  } catch (error) {
    if (isEnding(call)) return;
    unwatch();
    throw error;
  }
}

const AFTER_CHOICES = { timeout: 1, invalid: 2, ended: 3 } as const;

/** The output of a choice in the node as it is now; one that was deleted meanwhile is invalid. */
function outputOf(digits: string | undefined, now: readonly Choice[]): number {
  const index = now.findIndex((choice) => choice.digits === digits);
  return index >= 0 ? index + 1 : now.length + AFTER_CHOICES.invalid;
}
