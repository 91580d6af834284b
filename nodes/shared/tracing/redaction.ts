/**
 * A SIP message as people may see it: credentials, keys and passwords are replaced before anything is stored. In the body the
 * replacement is as long as what it hides, so that Content-Length still fits.
 */
import { withoutPasswords } from "../../../lib/index.js";

/** A line and its end, however it was made. */
const LINE = /([^\r\n]+)(\r\n|\n|\r|$)/g;
/** Header fields whose values prove who somebody is (RFC 3261 §20, RFC 7616 §3.5). */
const SECRET_HEADER = /^[ \t]*(?:proxy-)?(?:authorization|authentication-info)[ \t]*:/i;
/** Names of calls may look like an address with a password. */
const CALL_NAME = /^(?:call-id|i|in-reply-to|replaces)[ \t]*:/i;
/** Lines of a description that hold keys: RFC 4568, RFC 4567, RFC 8839, RFC 4566 §5.12. */
const SECRET_LINE = /^(a=key-mgmt:|a=ice-pwd:|k=)([^\r]+)/i;
const INLINE_KEY = /(inline:)([^\s;|]+)/gi;

type Encoding = "utf8" | "latin1";

export interface ShownMessage {
  /** Start line and header lines with the empty line behind them. */
  readonly head: string;
  readonly body: string;
  /** How the text was bytes: `latin1` where it was no UTF-8. */
  readonly encoding: Encoding;
}

/** @param data - As it was on the wire. */
export function redacted(data: string | Uint8Array): ShownMessage {
  const { text, encoding } = decoded(data);
  const end = endOfHead(text);
  const body = redactedBody(text.slice(end), encoding);
  return { head: redactedHead(text.slice(0, end)), body, encoding };
}

function decoded(data: string | Uint8Array): { text: string; encoding: Encoding } {
  if (typeof data === "string") return { text: data, encoding: "utf8" };
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const text = bytes.toString("utf8");
  const isUtf8 = !text.includes("\ufffd") || Buffer.from(text).equals(bytes);
  return isUtf8
    ? { text, encoding: "utf8" }
    : { text: bytes.toString("latin1"), encoding: "latin1" };
}

function endOfHead(text: string): number {
  const crlf = text.indexOf("\r\n\r\n");
  const lf = text.indexOf("\n\n");
  if (crlf < 0 && lf < 0) return text.length;
  return crlf >= 0 && (lf < 0 || crlf < lf) ? crlf + 4 : lf + 2;
}

function redactedHead(head: string): string {
  let secret = false;
  return head.replace(LINE, (_all, line: string, end: string) => {
    // A folded line goes on with the value before it (RFC 3261 §7.3.1).
    if (secret && /^[ \t]/.test(line)) return "";
    const name = SECRET_HEADER.exec(line)?.[0];
    secret = name !== undefined;
    const shown =
      name === undefined
        ? withoutPassword(withoutKeys(line, "utf8"))
        : `${name} ${replacement(line.slice(name.length), name)}`;
    return shown + end;
  });
}

/** In the grammar of the header field, so that other programs can read the message (RFC 7616 §3.4, §3.5). */
function replacement(value: string, name: string): string {
  if (/info/i.test(name)) return 'rspauth="***"';
  const scheme = /^[ \t]*([a-z][a-z0-9-]{0,19})[ \t]/i.exec(value)?.[1] ?? "Digest";
  return `${scheme} response="***"`;
}

/** A body may hold another message, or several parts: what is secret in a head is secret there, too. */
function redactedBody(body: string, encoding: Encoding): string {
  let secret = false;
  return body.replace(LINE, (_all, line: string, end: string) => {
    if (secret && /^[ \t]/.test(line)) return ` ${stars(line.slice(1), encoding)}${end}`;
    const name = SECRET_HEADER.exec(line)?.[0];
    secret = name !== undefined;
    if (name !== undefined) return name + stars(line.slice(name.length), encoding) + end;
    const shown = withoutKeys(line, encoding);
    return sameLength(shown, withoutPassword(shown), encoding) + end;
  });
}

function withoutKeys(line: string, encoding: Encoding): string {
  const hide = (_all: string, name: string, value: string): string => name + stars(value, encoding);
  // Digits of base64, which Wireshark wants to decode.
  const hideKey = (_all: string, name: string, key: string): string =>
    name + "x".repeat(Buffer.byteLength(key, encoding));
  const shown = /^(?:a=|k=)/i.test(line) ? line.replace(SECRET_LINE, hide) : line;
  return /inline:/i.test(shown) ? shown.replace(INLINE_KEY, hideKey) : shown;
}

function withoutPassword(line: string): string {
  return line.includes("@") && !CALL_NAME.test(line) ? withoutPasswords(line) : line;
}

/** Each `***` in place of a password is made as long as that was; its end is the `@`. */
function sameLength(before: string, after: string, encoding: Encoding): string {
  if (before === after) return before;
  const parts = before.split("@");
  return after
    .split("@")
    .map((part, i) => {
      const was = parts[i] ?? "";
      return part === was ? part : part.slice(0, -3) + stars(was.slice(part.length - 3), encoding);
    })
    .join("@");
}

/** As many bytes as the text had. */
function stars(text: string, encoding: Encoding): string {
  return "*".repeat(Buffer.byteLength(text, encoding));
}
