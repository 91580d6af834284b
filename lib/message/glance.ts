/**
 * A look at the bytes of a message that nobody has read yet, for whoever must decide under a flood whether reading is
 * worth its time. It is quick and may be wrong about nonsense; the parser alone says what a message is.
 */

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
/** Bytes that are looked at. */
const FAR = 8_192;
/** What can belong to something that exists without a tag in To (RFC 3261 §9.1), or is no request (§7.2). */
const NOT_NEW = ["SIP/", "CANCEL "];

/**
 * Could this be a request outside of any dialog, by the look of its first word and its To (RFC 3261 §12.2)? Responses,
 * CANCEL and whatever has a tag in To are not; what has no To at all is.
 */
export function looksLikeNewRequest(data: Buffer): boolean {
  const start = data.toString("latin1", 0, 8).trimStart().toUpperCase();
  if (NOT_NEW.some((word) => start.startsWith(word))) return false;
  const end = Math.min(data.length, FAR);
  let first = 0;
  while (isLineBreak(data[first])) first++;
  for (let at = data.indexOf(LINE_FEED, first) + 1; at > 0 && at < end;) {
    // The body begins behind an empty line.
    if (isLineBreak(data[at])) return true;
    const next = data.indexOf(LINE_FEED, at);
    const lineEnd = next < 0 ? end : next;
    if (isTo(data, at)) {
      const after = data[lineEnd + 1];
      // Folded (§7.3.1): the tag may stand in what follows.
      if (after === SPACE || after === TAB) return false;
      return !/;\s*tag\s*=/i.test(data.toString("latin1", at, Math.min(lineEnd, at + FAR)));
    }
    at = lineEnd + 1;
  }
  return true;
}

function isLineBreak(byte: number | undefined): boolean {
  return byte === LINE_FEED || byte === CARRIAGE_RETURN;
}

/** `To` or its short form `t` (§7.3.3), with or without space before the colon. */
function isTo(data: Buffer, at: number): boolean {
  if (((data[at] ?? 0) | 0x20) !== 0x74) return false;
  return /^to?[ \t]*:/i.test(data.toString("latin1", at, at + 16));
}
