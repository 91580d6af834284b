/** The Reason header (RFC 3326): why a CANCEL or BYE was sent. */
import { checkUserHeaderValue } from "./header-checks.js";
import { CODE, parseDecimal, quote, skipToken, splitOutsideQuotes } from "./grammar.js";
import { parseParameters } from "./params.js";

const { COMMA } = CODE;

export interface Reason {
  /** `SIP`, `Q.850` …, as written. */
  readonly protocol: string;
  /** Status code or ITU cause. */
  readonly cause: number | undefined;
  readonly text: string | undefined;
}

/** All reasons of all lines; malformed ones are left out. @param lines - `headers.getAll("reason")`. */
export function parseReasons(lines: readonly string[]): Reason[] {
  const reasons: Reason[] = [];
  for (const line of lines) {
    for (const value of splitOutsideQuotes(line, COMMA)) {
      const end = skipToken(value, 0);
      const parameters = end > 0 ? parseParameters(value.slice(end)) : undefined;
      if (parameters === undefined) continue;
      reasons.push({
        protocol: value.slice(0, end),
        cause: parseDecimal(parameters.get("cause") ?? "", 999),
        text: parameters.get("text") ?? undefined,
      });
    }
  }
  return reasons;
}

/** `SIP;cause=200;text="Call completed elsewhere"`. @throws InvalidArgumentError for line breaks. */
export function formatReason(protocol: string, cause: number, text?: string): string {
  const value = `${protocol};cause=${cause}${text === undefined ? "" : `;text=${quote(text)}`}`;
  checkUserHeaderValue("Reason", value);
  return value;
}
