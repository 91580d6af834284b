/** Texts inside of messages: XML of events, message summaries, challenges, fragments of messages, multipart bodies. */
import {
  parseChallenges,
  parseCredentials,
  parseMultipart,
  parseSipFragment,
} from "../../lib/message/index.js";
import { viewOf } from "../../lib/subscription/index.js";
import { type Layer, noted } from "./layer.js";

const DIALOGS = `<?xml version="1.0"?><dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="1" state="full" entity="sip:a@b"><dialog id="1" call-id="c" direction="initiator"><state event="x">confirmed</state><remote><identity display="B &amp; C">sip:b@c</identity></remote></dialog></dialog-info>`;
const PRESENCE = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:a@b"><tuple id="t"><status><basic>open</basic></status><contact priority="0.8">sip:x@y</contact></tuple><note><![CDATA[away]]></note><!-- x --></presence>`;
const SUMMARY =
  "Messages-Waiting: yes\r\nMessage-Account: sip:a@b\r\nVoice-Message: 2/8 (0/2)\r\n\r\nTo: <a@b>\r\n";
const CHALLENGE =
  'Digest realm="a\\"b", nonce="n", qop="auth,auth-int", algorithm=MD5, stale=true, opaque=""';
const FRAGMENT = "SIP/2.0 200 OK\r\nContact: <sip:a@b>\r\n\r\n";
const MULTIPART =
  "--b\r\nContent-Type: multipart/alternative;boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b\r\n\r\ny\r\n--b--\r\n";

const READERS: readonly (readonly [string, (text: Buffer) => unknown])[] = [
  [DIALOGS, (text) => viewOf("dialog")?.receive(text.toString("utf8"))],
  [PRESENCE, (text) => viewOf("presence")?.receive(text.toString("utf8"))],
  [SUMMARY, (text) => viewOf("message-summary")?.receive(text.toString("utf8"))],
  [CHALLENGE, (text) => parseChallenges([text.toString("latin1")])],
  [CHALLENGE, (text) => parseCredentials(text.toString("latin1"))],
  [FRAGMENT, (text) => parseSipFragment(text)],
  [MULTIPART, (text) => parseMultipart('multipart/mixed;boundary="b"', text)],
];
const SEEDS = READERS.map(([text]) => Buffer.from(text, "utf8"));

export const documentLayer: Layer = {
  name: "document",
  share: 0.1,
  take(mutation) {
    const place = mutation.below(READERS.length);
    const data = noted(mutation.of(SEEDS[place], mutation.pick(SEEDS)));
    const value = READERS[place][1](data);
    if (hasForeignPrototype(value, 0)) throw new Error("a word of the peer became a prototype");
  },
};

/** Plain objects, arrays, maps and bytes only, with no name of a peer among those that every object has. */
function hasForeignPrototype(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null || depth > 6) return false;
  if (value instanceof Map || Buffer.isBuffer(value)) return false;
  if (Object.hasOwn(value, "__proto__")) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  const isOwn =
    prototype === Object.prototype || prototype === Array.prototype || prototype === null;
  if (!isOwn && depth > 1) return false;
  return Object.values(value).some((inner) => hasForeignPrototype(inner, depth + 1));
}
