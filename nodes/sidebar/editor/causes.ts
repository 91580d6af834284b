/** How a call ended, in plain words: from cause, status code, direction and times (contract §3.4). */
import type { CallSummary, Translate } from "./types.js";

/** Causes whose words depend on who called whom. */
const BY_DIRECTION: ReadonlySet<string> = new Set(["remote-bye", "cancelled"]);
/** Causes that a response brought; its number is told behind the words. */
const KNOWN: ReadonlySet<string> = new Set(
  (
    "remote-bye local-bye cancelled answered-elsewhere rejected busy no-answer unavailable not-found address-incomplete " +
    "redirected unauthorized timeout transport-error dns-error dialog-error incompatible-media bad-media no-ack no-prack " +
    "session-expired replaced transferred media-timeout blocked limit unbridged shutdown no-session no-request"
  ).split(" "),
);

/** Seconds from start to end. */
function lasted(call: CallSummary): number {
  const end = Date.parse(call.endTime ?? "");
  const start = Date.parse(call.startTime);
  return Number.isFinite(end - start) ? Math.max(0, Math.round((end - start) / 1000)) : 0;
}

export function causeInWords(call: CallSummary, t: Translate): string {
  const { cause, statusCode } = call;
  const code = statusCode !== undefined && statusCode >= 300 ? ` (${statusCode})` : "";
  if (cause === undefined || !KNOWN.has(cause)) return (cause ?? t("cause.unknown")) + code;
  if (cause === "no-answer" && call.answerTime === undefined)
    return t("cause.no-answer", { seconds: lasted(call) }) + code;
  if (BY_DIRECTION.has(cause)) return t(`cause.${cause}.${call.direction}`);
  return t(`cause.${cause}`) + code;
}

/** "1:05", "1:02:03". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours > 0
    ? `${hours}:${two(minutes)}:${two(whole % 60)}`
    : `${minutes}:${two(whole % 60)}`;
}

/** Seconds since the answer, or since the start while nobody has answered. */
export function runningTime(call: CallSummary, now: number): number {
  if (call.endTime !== undefined) return call.duration ?? 0;
  const since = Date.parse(call.answerTime ?? call.startTime);
  return Number.isFinite(since) ? (now - since) / 1000 : 0;
}

/** Who is at the other end: a name, else a user, else a host. */
export function partner(call: CallSummary): string {
  const { remote } = call;
  return remote?.displayName || remote?.user || remote?.host || remote?.uri || "?";
}
