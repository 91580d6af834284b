/** Session-Expires and Min-SE (RFC 4028 §4, §5). */
import { CODE, parseDecimal } from "./grammar.js";
import { parseParameters, type Parameters } from "./params.js";

const { SEMICOLON } = CODE;

/** Who has to refresh, seen from the request: its sender or its receiver. */
export type Refresher = "uac" | "uas";

export interface SessionExpires {
  /** The session interval. */
  readonly seconds: number;
  readonly refresher: Refresher | undefined;
}

const LARGEST = 2 ** 32 - 1;

/** @returns undefined when malformed; an unknown `refresher` counts as none. */
export function parseSessionExpires(text: string): SessionExpires | undefined {
  const value = parseDeltaSeconds(text);
  if (value === undefined) return undefined;
  const refresher = value.parameters.get("refresher")?.toLowerCase();
  const isKnown = refresher === "uac" || refresher === "uas";
  return { seconds: value.seconds, refresher: isKnown ? refresher : undefined };
}

export function formatSessionExpires(seconds: number, refresher?: Refresher): string {
  return refresher === undefined ? String(seconds) : `${seconds};refresher=${refresher}`;
}

/** The shortest session interval that somebody on the way takes, in seconds. @returns undefined when malformed. */
export function parseMinSE(text: string): number | undefined {
  return parseDeltaSeconds(text)?.seconds;
}

function parseDeltaSeconds(
  text: string,
): { readonly seconds: number; readonly parameters: Parameters } | undefined {
  const semicolon = text.indexOf(String.fromCharCode(SEMICOLON));
  const end = semicolon < 0 ? text.length : semicolon;
  const seconds = parseDecimal(text.slice(0, end).trim(), LARGEST);
  const parameters = parseParameters(text.slice(end));
  if (seconds === undefined || parameters === undefined) return undefined;
  return { seconds, parameters };
}
