/** A kept message taken apart for people: start line, headers with their long names, body. Reads whatever a peer wrote. */

export interface MessageParts {
  readonly startLine: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly body: string;
}

/** RFC 3261 §7.3.3 and those of later RFCs. */
const LONG_NAMES: ReadonlyMap<string, string> = new Map([
  ["a", "Accept-Contact"],
  ["b", "Referred-By"],
  ["c", "Content-Type"],
  ["d", "Request-Disposition"],
  ["e", "Content-Encoding"],
  ["f", "From"],
  ["i", "Call-ID"],
  ["j", "Reject-Contact"],
  ["k", "Supported"],
  ["l", "Content-Length"],
  ["m", "Contact"],
  ["o", "Event"],
  ["r", "Refer-To"],
  ["s", "Subject"],
  ["t", "To"],
  ["u", "Allow-Events"],
  ["v", "Via"],
  ["x", "Session-Expires"],
  ["y", "Identity"],
]);

export const longName = (name: string): string => LONG_NAMES.get(name.toLowerCase()) ?? name;

export function partsOf(text: string): MessageParts {
  const end = /\r?\n\r?\n/.exec(text);
  const head = end === null ? text : text.slice(0, end.index);
  const body = end === null ? "" : text.slice(end.index + end[0].length);
  // A folded header is one line (RFC 3261 §7.3.1).
  const lines = head.replace(/\r?\n[ \t]+/g, " ").split(/\r?\n/);
  const headers = lines.slice(1).flatMap((line) => {
    const colon = line.indexOf(":");
    if (colon <= 0) return line.trim() ? [{ name: "", value: line }] : [];
    return [{ name: longName(line.slice(0, colon).trim()), value: line.slice(colon + 1).trim() }];
  });
  return { startLine: lines[0] ?? "", headers, body };
}

/** Key of the catalogue that explains a header: `header.call-id`. */
export const headerKey = (name: string): string => `header.${name.toLowerCase()}`;
