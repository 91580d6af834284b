/** The part of `msg.sip` that comes from one SIP message: headers, body, addresses (contract §3, §3.1). */
import type { NameAddr, SipRequest, SipResponse } from "../../lib/index.js";
import { isSafeKey, type SipFields } from "./sip-fields.js";

/** Headers that are one string even if a peer managed to repeat them. */
const ALWAYS_ONE: ReadonlySet<string> = new Set([
  "from",
  "to",
  "call-id",
  "cseq",
  "max-forwards",
  "content-type",
  "content-length",
  "refer-to",
  "referred-by",
  "replaces",
  "event",
  "subscription-state",
]);

const NEVER_SHOWN: ReadonlySet<string> = new Set(["authorization", "proxy-authorization"]);

/** Types besides text/… and message/… whose body is text. */
const TEXT_TYPES: ReadonlySet<string> = new Set([
  "application/sdp",
  "application/json",
  "application/xml",
  "application/dtmf",
  "application/dtmf-relay",
  "application/simple-message-summary",
  "application/x-www-form-urlencoded",
]);

/** Everything that `msg.sip` tells about a SIP message; a fresh object. */
export function messageFields(message: SipRequest | SipResponse): Partial<SipFields> {
  const fields: Partial<SipFields> = headerFields(message);
  if (message.kind === "request") fields["method"] = message.method;
  else {
    fields["method"] = message.cseq.method;
    fields["statusCode"] = message.statusCode;
    fields["reason"] = message.reason;
  }
  if (message.source !== undefined) {
    const { protocol, address, port } = message.source;
    fields["source"] = { protocol, address, port };
  }
  if (message.body.length > 0) {
    const contentType = message.headers.get("content-type");
    if (contentType !== undefined) fields["contentType"] = contentType;
    fields["body"] = bodyOf(message);
  }
  return fields;
}

function headerFields(message: SipRequest | SipResponse): Partial<SipFields> {
  const headers: Record<string, string | string[]> = {};
  const headerList: Record<string, string[]> = {};
  for (const [name, value] of message.headers.entries()) {
    if (NEVER_SHOWN.has(name) || !isSafeKey(name)) continue;
    const lines = Object.hasOwn(headerList, name) ? headerList[name] : undefined;
    if (lines === undefined) {
      headerList[name] = [value];
      headers[name] = value;
    } else {
      lines.push(value);
      if (!ALWAYS_ONE.has(name)) headers[name] = [...lines];
    }
  }
  return { headers, headerList };
}

/** Text where the type says text, else a Buffer of its own. */
export function bodyOf(message: SipRequest | SipResponse): string | Buffer {
  return isTextType(message.contentType ?? "text/plain") ? message.text : Buffer.from(message.body);
}

function isTextType(type: string): boolean {
  return (
    type.startsWith("text/") ||
    type.startsWith("message/") ||
    type.endsWith("+xml") ||
    type.endsWith("+json") ||
    TEXT_TYPES.has(type)
  );
}

/** `msg.sip.local` / `remote` of a request outside of any session: From and To as they are. */
export function partyFields(message: SipRequest | SipResponse): Partial<SipFields> {
  const arrived = message.source !== undefined;
  const fromIsRemote = (message.kind === "request") === arrived;
  return {
    local: participant(fromIsRemote ? message.to : message.from),
    remote: participant(fromIsRemote ? message.from : message.to),
  };
}

function participant(address: NameAddr): Record<string, string> {
  const { uri, displayName } = address;
  const shown: Record<string, string> = { uri: uri.toString(), user: "", host: "" };
  if (uri.scheme === "sip" || uri.scheme === "sips") {
    if ("decodedUser" in uri) {
      shown["user"] = uri.decodedUser;
      shown["host"] = uri.host;
    }
  } else if ("number" in uri) shown["user"] = uri.number;
  if (displayName !== undefined && displayName !== "") shown["displayName"] = displayName;
  return shown;
}
