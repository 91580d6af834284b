/** What a person asks of the built-in caller (`POST sip/rings`): read from JSON, refused in words. */
import { InvalidArgumentError } from "../../../lib/index.js";
import { findIncomingNode } from "../incoming-nodes.js";
import { isRecord } from "../sip-fields.js";
import { exampleOf } from "./way.js";

export type Speech = "tone" | "silence" | "wav";

export interface RingRequest {
  readonly stackId: string;
  /** The `sip-incoming` that is meant to take the call. */
  readonly nodeId: string | undefined;
  readonly accountId: string | undefined;
  /** Called user. */
  readonly to: string;
  readonly from: string;
  readonly displayName: string | undefined;
  readonly digits: string;
  readonly say: Speech;
  readonly wav: Buffer | undefined;
  /** From the answer on. */
  readonly seconds: number;
}

const LONGEST_NAME = 128;
const LARGEST_WAV = 1024 * 1024;
const DEFAULT_SECONDS = 30;
const MOST_SECONDS = 600;
const CALLER = "caller";

/** @throws InvalidArgumentError, rule `bad-ring`. */
export function readRingRequest(body: unknown): RingRequest {
  if (!isRecord(body)) throw wrong("an object with stack and to is expected");
  const nodeId = text(body, "node");
  const rule = nodeId === "" ? undefined : findIncomingNode(nodeId);
  if (nodeId !== "" && rule === undefined) {
    throw wrong("that sip-incoming is not deployed, or its settings are wrong");
  }
  const stackId = rule?.stackId ?? text(body, "stack");
  if (stackId === "") throw wrong("stack is missing: the id of a sip-stack");
  const to = text(body, "to") || exampleOf(rule?.match, "test");
  if (to === undefined) {
    throw wrong(`say whom to call: ${rule?.match?.source} is a regular expression`);
  }
  const from = text(body, "from") || exampleOf(rule?.from, CALLER);
  if (from === undefined) {
    throw wrong(`say who calls: ${rule?.from?.source} is a regular expression`);
  }
  const digits = text(body, "digits").toUpperCase();
  if (!/^[0-9A-D*#,]{0,64}$/.test(digits)) {
    throw wrong("digits are 0 to 9, A to D, * and #, with a comma for a pause; at most 64");
  }
  const say = text(body, "say") || "tone";
  if (say !== "tone" && say !== "silence" && say !== "wav") {
    throw wrong("say is tone, silence or wav");
  }
  return {
    stackId,
    nodeId: nodeId || undefined,
    accountId: rule?.accountId,
    to,
    from,
    displayName: text(body, "displayName") || undefined,
    digits,
    say,
    wav: say === "wav" ? wavOf(body["wav"]) : undefined,
    seconds: secondsOf(body["seconds"]),
  };
}

function text(body: Record<string, unknown>, name: string): string {
  const value = body[name] ?? "";
  const isText = typeof value === "string" && value.length <= LONGEST_NAME;
  if (!isText || /\p{Cc}/u.test(value)) {
    throw wrong(`${name} must be a text of at most ${LONGEST_NAME} characters in one line`);
  }
  return value.trim();
}

function wavOf(value: unknown): Buffer {
  if (typeof value !== "string" || value === "") throw wrong("wav is missing: a sound in base64");
  const data = Buffer.from(value.slice(0, LARGEST_WAV * 2), "base64");
  if (data.length > LARGEST_WAV) throw wrong("the sound is larger than 1 MB");
  return data;
}

function secondsOf(value: unknown): number {
  if (value === undefined || value === null || value === "") return DEFAULT_SECONDS;
  const seconds = Number(value);
  if (Number.isFinite(seconds) && seconds >= 1 && seconds <= MOST_SECONDS) return seconds;
  throw wrong(`seconds is a number from 1 to ${MOST_SECONDS}`);
}

function wrong(detail: string): InvalidArgumentError {
  return new InvalidArgumentError(detail, { rule: "bad-ring" });
}
