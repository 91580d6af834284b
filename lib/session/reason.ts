/** Why something was ended: the Reason header (RFC 3326), read and written. */
import { formatReason, parseReasons, type Reason, type SipMessage } from "../message/index.js";
import type { HeaderList } from "./session-types.js";

/** To the targets that lost the race for an answer (RFC 3326 §3.1). */
export const COMPLETED_ELSEWHERE: HeaderList = [
  ["Reason", formatReason("SIP", 200, "Call completed elsewhere")],
];

/** The first reason that can be read. */
export function firstReason(message: SipMessage): Reason | undefined {
  return message.headers.has("reason")
    ? parseReasons(message.headers.getAll("reason"))[0]
    : undefined;
}

/** Was a CANCEL sent because another phone has answered (RFC 3326 §3.1)? */
export function isAnsweredElsewhere(cancel: SipMessage): boolean {
  return parseReasons(cancel.headers.getAll("reason")).some(
    ({ protocol, cause }) => protocol.toUpperCase() === "SIP" && cause === 200,
  );
}

/** `Reason: SIP;cause=…;text="…"`; none without a status code. */
export function reasonHeaders(
  statusCode: number | undefined,
  text: string | undefined,
): HeaderList {
  return statusCode === undefined ? [] : [["Reason", formatReason("SIP", statusCode, text)]];
}
