/**
 * Hostile input: nasty texts up to the limits in every place that is parsed. No time is asserted; every result
 * is, and a scanner that backtracked would not come to an end.
 */
import assert from "node:assert/strict";
import { parseMessage, StreamFramer } from "../../../lib/message/index.js";
import { NASTY_PIECES, TEXT_PARSERS } from "../../support/nasty-texts.js";

const SIZE = 65_536;

describe("nasty texts of 64 KiB", () => {
  for (const [name, parse] of TEXT_PARSERS) {
    it(`are read to the end or refused by ${name}, never thrown at`, () => {
      for (const piece of NASTY_PIECES) {
        const text = piece.repeat(Math.ceil(SIZE / piece.length)).slice(0, SIZE);
        assert.doesNotThrow(() => parse(text), JSON.stringify(piece));
        assert.doesNotThrow(() => parse(`${text}x`), JSON.stringify(piece));
      }
    });
  }

  it("are refused as headers and start lines by the size of the block", () => {
    for (const piece of NASTY_PIECES) {
      const text = piece.repeat(Math.ceil(SIZE / piece.length));
      for (const message of [
        text,
        `${text}\r\n\r\n`,
        `OPTIONS sip:a@b SIP/2.0\r\n${text}\r\n\r\n`,
      ]) {
        assert.equal(parseMessage(Buffer.from(message)).ok, false, JSON.stringify(piece));
      }
    }
  });

  it("are refused or read by the framer, which never holds more than its limits", () => {
    for (const piece of NASTY_PIECES) {
      const framer = new StreamFramer();
      const chunk = Buffer.from(piece.repeat(50));
      for (let size = 0; size < 200_000; size += chunk.length) {
        framer.push(chunk);
        assert.ok(framer.pendingBytes <= 33_000 + chunk.length);
      }
    }
  });
});

describe("nasty headers of 8 KiB in a sound message", () => {
  const NAMES = [
    "Via",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "Route",
    "Record-Route",
    "Max-Forwards",
    "Content-Length",
    "Content-Type",
    "Refer-To",
    "Allow",
    "Expires",
    "X-Unknown",
  ];
  for (const name of NAMES) {
    it(`are accepted or refused with a rule in ${name}`, () => {
      for (const piece of NASTY_PIECES) {
        const value = piece.repeat(Math.ceil(8000 / piece.length)).slice(0, 8000);
        const result = parseMessage(
          Buffer.from(
            `OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n${name}: ${value}\r\nFrom: <sip:a@b>;tag=1\r\n` +
              "To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n",
          ),
        );
        if (result.ok) {
          const { message } = result;
          assert.doesNotThrow(() => [
            message.vias,
            message.from,
            message.to,
            message.contacts,
            message.routes,
            message.recordRoutes,
            message.tokens("allow"),
            message.seconds("expires"),
            message.contentType,
            message.maxForwards,
          ]);
        } else assert.ok(result.error.rule.length > 0 && result.error.reason.length > 0);
      }
    });
  }
});
