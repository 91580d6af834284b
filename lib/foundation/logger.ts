/** Logging port. The library never writes to the console; the host passes a Logger. */
export interface Logger {
  debug(text: string): void;
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

/** Drops everything. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/**
 * Makes text of a peer or a setting safe for logs and errors: control bytes and ANSI escapes shown as `\xNN`, passwords inside
 * of URIs as `***`, length capped.
 */
export function printable(text: string, longest = 200): string {
  const shown = withoutPasswords(text);
  const cut = shown.length > longest ? `${shown.slice(0, longest)}…` : shown;
  return cut.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

/** What stands in front of `user:password@` in a URI. */
const SCHEME = /^(?:sips?:|[a-z][a-z0-9+.-]*:\/\/)/i;
/** Where a URI may begin. */
const BEFORE_URI = /[\s<>"'(),=]/;

/** `sip:bob:secret@host` → `sip:bob:***@host`, for every URI in a text (RFC 3261 §19.1.1 has them, and warns of them). */
export function withoutPasswords(text: string): string {
  if (!text.includes("@")) return text;
  const parts = text.split("@");
  for (let i = 0; i < parts.length - 1; i++) {
    const part = parts[i];
    let begin = part.length;
    while (begin > 0 && !BEFORE_URI.test(part[begin - 1])) begin--;
    begin += SCHEME.exec(part.slice(begin))?.[0].length ?? 0;
    const colon = part.indexOf(":", begin);
    if (colon >= 0) parts[i] = `${part.slice(0, colon)}:***`;
  }
  return parts.join("@");
}
