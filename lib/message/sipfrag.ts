/** `message/sipfrag` bodies as NOTIFYs of a REFER carry them: a status line (RFC 3420, RFC 3515 §2.4.5). */
import { InvalidArgumentError } from "../foundation/index.js";
import { checkUserHeaderValue } from "./header-checks.js";
import { readStartLine } from "./start-line.js";
import { reasonPhrase } from "./status.js";

export interface SipFragment {
  /** 100 … 699. */
  readonly statusCode: number;
  /** May be empty. */
  readonly reason: string;
}

/** The status line of a fragment; further lines are of no interest. @returns undefined when there is none. */
export function parseSipFragment(body: string | Buffer): SipFragment | undefined {
  const text = typeof body === "string" ? body : body.toString("utf8", 0, 1024);
  let start = 0;
  while (text.charCodeAt(start) === 13 || text.charCodeAt(start) === 10) start++;
  let end = start;
  while (end < text.length && text.charCodeAt(end) !== 13 && text.charCodeAt(end) !== 10) end++;
  const line = readStartLine(text.slice(start, end));
  if (line?.kind !== "response") return undefined;
  return { statusCode: line.statusCode, reason: line.reason };
}

/**
 * A fragment with nothing but the status line.
 *
 * @param reason - Default: the phrase of the RFCs.
 * @throws InvalidArgumentError for a status outside 100 … 699 or a reason with line breaks.
 */
export function formatSipFragment(statusCode: number, reason?: string): string {
  if (!Number.isInteger(statusCode) || statusCode < 100 || statusCode > 699) {
    throw new InvalidArgumentError("Status codes run from 100 to 699");
  }
  const phrase = reason ?? reasonPhrase(statusCode);
  checkUserHeaderValue("Reason phrase", phrase);
  return `SIP/2.0 ${statusCode} ${phrase}\r\n`;
}
