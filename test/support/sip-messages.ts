/** Short messages for transport tests, as text, so that every byte is in sight. */

export interface RequestText {
  method?: string;
  uri?: string;
  via?: string;
  callId?: string;
  headers?: readonly string[];
  body?: string;
}

/** A complete request; `via` is the value of the top Via. */
export function requestText(fields: RequestText = {}): string {
  const method = fields.method ?? "OPTIONS";
  const body = fields.body ?? "";
  return [
    `${method} ${fields.uri ?? "sip:bob@127.0.0.1"} SIP/2.0`,
    `Via: ${fields.via ?? "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1"}`,
    "Max-Forwards: 70",
    "From: <sip:alice@127.0.0.1>;tag=a1",
    "To: <sip:bob@127.0.0.1>",
    `Call-ID: ${fields.callId ?? "call-1"}`,
    `CSeq: 1 ${method}`,
    ...(fields.headers ?? []),
    `Content-Length: ${Buffer.byteLength(body)}`,
    "",
    body,
  ].join("\r\n");
}

/** A complete response. */
export function responseText(status = 200, via = "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1") {
  return [
    `SIP/2.0 ${status} Fine`,
    `Via: ${via}`,
    "From: <sip:alice@127.0.0.1>;tag=a1",
    "To: <sip:bob@127.0.0.1>;tag=b1",
    "Call-ID: call-1",
    "CSeq: 1 OPTIONS",
    "Content-Length: 0",
    "",
    "",
  ].join("\r\n");
}
