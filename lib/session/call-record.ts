/**
 * An established call as plain JSON, so that another process can go on with it when this one has died: its dialog
 * (RFC 3261 §12), session timer (RFC 4028), times, data and the descriptions of media that flow past us. No secrets are
 * in it: accounts are named by their ids. What is read may come from anybody who can write where it was kept.
 */
import { parseDialogRecord, type DialogRecord, type ParsedDialogRecord } from "../dialog/index.js";
import type { HoldState } from "./media-handler.js";
import type { CorePast, SessionCore } from "./session-core.js";
import type { TimerAgreement } from "./session-timer.js";
import type { Participant } from "./session-types.js";
import type { SuppliedExchange } from "./supplied-description.js";

export interface CallRecord extends CorePast {
  /** Of this layout; another one is not read. */
  readonly version: typeof RECORD_VERSION;
  /** Handle. */
  readonly id: string;
  readonly direction: "incoming" | "outgoing";
  readonly account?: string | undefined;
  readonly dialog: DialogRecord;
  readonly remote: Participant;
  readonly timer?: TimerAgreement | undefined;
  /** Absent where the media was ours. */
  readonly exchange?: SuppliedExchange | undefined;
  readonly hold: HoldState;
  readonly data: Record<string, unknown>;
}

/** A record that can be gone on with. */
export interface ReadCallRecord {
  readonly record: CallRecord;
  readonly dialog: ParsedDialogRecord;
}

export const RECORD_VERSION = 1;

const LONGEST_SDP = 16_384;
const LONGEST_TEXT = 2_048;
const MOST_LINES = 32;
const HOLDS: readonly unknown[] = ["none", "local", "remote", "both"];
const PARTY_TEXTS = ["uri", "user", "host", "displayName", "contact", "endpoint"] as const;

/** Undefined unless the call is established. */
export function recordCall(
  core: SessionCore,
  data: Record<string, unknown>,
): CallRecord | undefined {
  const { dialog, past, negotiation } = core;
  if (!core.established || dialog?.state !== "confirmed" || past === undefined) return undefined;
  return {
    version: RECORD_VERSION,
    id: core.id,
    direction: core.direction,
    account: core.account?.id,
    dialog: dialog.record(),
    remote: core.snapshot().remote,
    timer: core.sessionTimer.agreement,
    exchange: negotiation.suppliedExchange,
    hold: negotiation.hold,
    data,
    ...past,
  };
}

/** @returns undefined for anything that is no record of this version. Never throws. */
export function readCallRecord(value: unknown): ReadCallRecord | undefined {
  if (!isRecord(value) || value["version"] !== RECORD_VERSION) return undefined;
  const { id, direction, account, timer, exchange, data, allow } = value;
  const dialog = parseDialogRecord(value["dialog"]);
  const isWhole =
    typeof id === "string" &&
    /^[A-Za-z0-9_-]{16,64}$/.test(id) &&
    (direction === "incoming" || direction === "outgoing") &&
    (account === undefined || isText(account)) &&
    isParticipant(value["remote"]) &&
    (timer === undefined || isTimer(timer)) &&
    (exchange === undefined || isExchange(exchange)) &&
    HOLDS.includes(value["hold"]) &&
    isRecord(data) &&
    isTime(value["startTime"]) &&
    isTime(value["answerTime"]) &&
    Array.isArray(allow) &&
    allow.length <= MOST_LINES &&
    allow.every(isText);
  if (!isWhole || dialog === undefined) return undefined;
  return { record: value as unknown as CallRecord, dialog };
}

function isParticipant(value: unknown): boolean {
  if (!isRecord(value) || !isText(value["uri"])) return false;
  const { identity } = value;
  return (
    PARTY_TEXTS.every((name) => value[name] === undefined || isText(value[name])) &&
    typeof value["user"] === "string" &&
    typeof value["host"] === "string" &&
    (identity === undefined || identity === "pai" || identity === "rpid" || identity === "from")
  );
}

function isTimer(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { seconds, isOurs, agreedAt } = value;
  return (
    typeof seconds === "number" && seconds > 0 && typeof isOurs === "boolean" && isTime(agreedAt)
  );
}

function isExchange(value: unknown): boolean {
  if (!isRecord(value) || typeof value["offeredByUs"] !== "boolean") return false;
  return [value["local"], value["remote"]].every(
    (sdp) => typeof sdp === "string" && sdp.startsWith("v=0") && sdp.length <= LONGEST_SDP,
  );
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= LONGEST_TEXT && !/[\r\n\0]/.test(value);
}

/** Milliseconds that a Date can hold. */
function isTime(value: unknown): boolean {
  return typeof value === "number" && value >= 0 && value <= 8.64e15;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
