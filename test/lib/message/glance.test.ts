/** What the look at unread bytes takes for a new request. */
import assert from "node:assert/strict";
import { looksLikeNewRequest } from "../../../lib/message/index.js";

const request = (method: string, to: string) =>
  `${method} sip:bob@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1\r\n${to}From: <sip:a@b>;tag=1\r\n\r\nTo: x;tag=1\r\n`;

const table: readonly [what: string, text: string, isNew: boolean][] = [
  ["an INVITE", request("INVITE", "To: <sip:bob@10.0.0.2>\r\n"), true],
  ["an INVITE with a name", request("INVITE", 'To: "tag" <sip:bob@10.0.0.2>;x=y\r\n'), true],
  ["a re-INVITE", request("INVITE", "To: <sip:bob@10.0.0.2>;tag=b\r\n"), false],
  ["a BYE in short form", request("BYE", "t:<sip:bob@10.0.0.2> ; TAG = b\r\n"), false],
  ["a BYE with line feeds only", request("BYE", "tO : <sip:b@x>;tag=b\n"), false],
  ["an OPTIONS in short form", request("OPTIONS", "t: sip:bob@10.0.0.2\r\n"), true],
  ["an ACK for a dialog", request("ACK", "To: <sip:bob@10.0.0.2>;tag=b\r\n"), false],
  ["an ACK for nothing", request("ACK", "To: <sip:bob@10.0.0.2>\r\n"), true],
  ["a CANCEL", request("CANCEL", "To: <sip:bob@10.0.0.2>\r\n"), false],
  ["a folded To", request("BYE", "To: <sip:bob@10.0.0.2>\r\n ;tag=b\r\n"), false],
  ["a To that only begins so", request("INVITE", "Tone: x;tag=1\r\n"), true],
  ["a response", "SIP/2.0 200 OK\r\nTo: <sip:a@b>\r\n\r\n", false],
  ["a response after line breaks", "\r\n\r\nSIP/2.0 200 OK\r\n\r\n", false],
  ["a BYE after line breaks", `\r\n\r\n${request("BYE", "To: <sip:b@x>;tag=b\r\n")}`, false],
  ["nothing", "", true],
  ["garbage", "\u0000\u0001t".repeat(20_000), true],
  ["a line without end", `INVITE ${"x".repeat(60_000)}`, true],
];

describe("a look at unread bytes", () => {
  for (const [what, text, isNew] of table) {
    it(`takes ${what} for ${isNew ? "a new request" : "something that may belong to us"}`, () => {
      assert.equal(looksLikeNewRequest(Buffer.from(text, "latin1")), isNew);
    });
  }
});
