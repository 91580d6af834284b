// The message room as the parser benchmark of the peers expects it: name, parse, touch, stringify, reply200.
// Build first (`npm run build`): it measures dist/, what users run.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const message = require("../dist/lib/rooms.js");

export const name = "@sipflow/node-red-sip";

const sdp = [
  "v=0",
  "o=bob 2890844527 2890844527 IN IP4 198.51.100.7",
  "s=-",
  "c=IN IP4 198.51.100.7",
  "t=0 0",
  "m=audio 49172 RTP/AVP 0 8 9 101",
  "a=rtpmap:0 PCMU/8000",
  "a=rtpmap:8 PCMA/8000",
  "a=rtpmap:9 G722/8000",
  "a=rtpmap:101 telephone-event/8000",
  "a=fmtp:101 0-16",
  "a=ptime:20",
  "a=sendrecv",
  "",
].join("\r\n");

/** A message, fully checked; nothing for a text that is no acceptable message. */
export function parse(text) {
  const result = message.parseText(text);
  return result.ok ? result.message : undefined;
}

/** Reads Via host, From and To URI, CSeq number and Call-ID. */
export function touch(m) {
  const characters = m.topVia.host.length + m.from.uri.host.length + m.to.uri.host.length;
  return characters + m.cseq.sequence + m.callId.length;
}

export function stringify(m) {
  return message.serializeText(m);
}

/** A 200 with Contact and SDP, ready for the wire. */
export function reply200(m) {
  const response = message.createResponse(m, {
    statusCode: 200,
    toTag: "8321234356",
    contact: "<sip:bob@198.51.100.7:5060>",
    contentType: "application/sdp",
    body: sdp,
  });
  return message.serializeText(response);
}
