/** Framing of TCP and TLS streams (RFC 3261 §18.3, RFC 5626 §3.5.1, RFC 4475 on streams). */
import assert from "node:assert/strict";
import { DEFAULT_LIMITS, StreamFramer, type FramerOutput } from "../../../lib/message/index.js";

const message = (body = "", name = "Content-Length"): string =>
  `OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\n${name}: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

function feed(framer: StreamFramer, ...chunks: (string | Buffer)[]): FramerOutput[] {
  return chunks.flatMap((chunk) => framer.push(Buffer.from(chunk)));
}

/** kind, or the text of a message, or the rule of an error. */
function summary(outputs: readonly FramerOutput[]): string[] {
  return outputs.map((output) =>
    output.kind === "message"
      ? output.data.toString()
      : output.kind === "error"
        ? `error:${output.error.rule}:${output.error.statusHint}`
        : output.kind,
  );
}

function push(...chunks: (string | Buffer)[]): string[] {
  return summary(feed(new StreamFramer(), ...chunks));
}

describe("StreamFramer", () => {
  it("gives one message of one chunk", () => {
    assert.deepEqual(push(message("hello")), [message("hello")]);
  });

  it("gives the same byte by byte", () => {
    const framer = new StreamFramer();
    const all = message("hello") + message() + message("x");
    const outputs: FramerOutput[] = [];
    for (const byte of Buffer.from(all)) outputs.push(...framer.push(Buffer.from([byte])));
    assert.deepEqual(summary(outputs), [message("hello"), message(), message("x")]);
    assert.equal(framer.pendingBytes, 0);
  });

  it("gives the same for every way of cutting in two", () => {
    const all = `\r\n\r\n${message("ab")}\r\n${message("c")}`;
    for (let at = 1; at < all.length; at++) {
      const got = push(all.slice(0, at), all.slice(at)).filter((one) => one !== "pong");
      assert.deepEqual(got, ["ping", message("ab"), message("c")], `cut at ${at}`);
    }
  });

  it("gives several messages of one chunk, with what is left over held", () => {
    const framer = new StreamFramer();
    const got = feed(framer, message("1") + message("22") + message("333").slice(0, -2));
    assert.deepEqual(summary(got), [message("1"), message("22")]);
    assert.equal(framer.pendingBytes, message("333").length - 2);
    assert.deepEqual(summary(feed(framer, "33")), [message("333")]);
    assert.equal(framer.pendingBytes, 0);
  });

  it("keeps messages intact when the next chunk comes", () => {
    const framer = new StreamFramer();
    const first = feed(
      framer,
      message("first").slice(0, 30),
      message("first").slice(30) + message("secon"),
    );
    feed(framer, "x".repeat(100));
    assert.equal(summary(first)[0], message("first"));
  });

  it("reads compact, folded and odd spellings of Content-Length", () => {
    for (const name of ["l", "L", "CONTENT-length ", "content-Length\t"]) {
      assert.deepEqual(push(message("hello", name)), [message("hello", name)]);
    }
    const folded = message("hello").replace("Length: 5", "Length:\r\n 5");
    assert.deepEqual(push(folded), [folded]);
  });

  it("is not deceived by Content-Length in another header's folded line or in the body", () => {
    const tricky = `OPTIONS sip:a@b SIP/2.0\r\nSubject: x\r\n Content-Length: 99\r\nl: 3\r\n\r\nl:9`;
    assert.deepEqual(push(tricky), [tricky]);
  });

  it("counts bytes, not characters", () => {
    assert.deepEqual(push(message("\u00e4\u20ac")), [message("\u00e4\u20ac")]);
  });

  describe("keep-alive (RFC 5626 §3.5.1)", () => {
    it("tells ping and pong", () => {
      assert.deepEqual(push("\r\n\r\n"), ["ping"]);
      assert.deepEqual(push("\r\n"), ["pong"]);
      assert.deepEqual(push("\r\n\r\n\r\n\r\n"), ["ping", "ping"]);
      assert.deepEqual(push(`${message()}\r\n\r\n${message()}`), [message(), "ping", message()]);
      assert.deepEqual(push(`\r\n${message()}`), ["pong", message()]);
    });

    it("completes a ping that came in pieces", () => {
      assert.deepEqual(push("\r", "\n", "\r", "\n"), ["pong", "ping"]);
      assert.deepEqual(push("\r\n\r", "\n"), ["pong", "ping"]);
      assert.deepEqual(push("\r", "\n\r\n"), ["ping"]);
    });

    it("forgets half a ping when a message comes between", () => {
      assert.deepEqual(push("\r\n", message(), "\r\n"), ["pong", message(), "pong"]);
    });

    it("holds nothing back", () => {
      const framer = new StreamFramer();
      feed(framer, "\r\n\r\n", "\r\n");
      assert.equal(framer.pendingBytes, 0);
    });
  });

  describe("streams that cannot be followed", () => {
    const head = (lines: string) => `OPTIONS sip:a@b SIP/2.0\r\n${lines}\r\n\r\nbody`;
    const cases: [string, string, string][] = [
      ["no Content-Length", head("Via: x"), "error:content-length:400"],
      ["a negative Content-Length", head("l: -1"), "error:content-length:400"],
      ["letters in Content-Length", head("l: 1x"), "error:content-length:400"],
      ["an exponent", head("l: 1e1"), "error:content-length:400"],
      ["an empty Content-Length", head("l:"), "error:content-length:400"],
      [
        "two differing Content-Length",
        head("l: 4\r\nContent-Length: 5"),
        "error:content-length:400",
      ],
      ["a Content-Length too large", head("l: 1000001"), "error:content-length:413"],
      ["a message too large", head("l: 131072"), "error:content-length:413"],
      ["an absurd Content-Length", head("l: 99999999999999999999"), "error:content-length:400"],
    ];
    for (const [what, data, expected] of cases) {
      it(`reports ${what} once and then nothing`, () => {
        const framer = new StreamFramer();
        assert.deepEqual(summary(feed(framer, data)), [expected]);
        assert.deepEqual(feed(framer, message(), "\r\n\r\n"), []);
        assert.equal(framer.pendingBytes, 0);
      });
    }

    it("takes two equal Content-Length for the parser to refuse", () => {
      const twice = "OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\nl: 0\r\n\r\n";
      assert.deepEqual(push(twice), [twice]);
    });

    it("stops at a line of 64 KiB that does not end, whole or in pieces", () => {
      assert.deepEqual(push("A".repeat(65_536)), ["error:line-too-long:400"]);
      const framer = new StreamFramer();
      const outputs: FramerOutput[] = [];
      for (let i = 0; i < 65_536 && outputs.length === 0; i += 100) {
        outputs.push(...feed(framer, "A".repeat(100)));
        assert.ok(framer.pendingBytes <= DEFAULT_LIMITS.line + 100);
      }
      assert.deepEqual(summary(outputs), ["error:line-too-long:400"]);
    });

    it("stops at a header block that does not end", () => {
      const framer = new StreamFramer();
      const outputs: FramerOutput[] = [];
      for (let i = 0; i < 1000 && outputs.length === 0; i++) {
        outputs.push(...feed(framer, `X-${i}: ${"x".repeat(90)}\r\n`));
      }
      assert.deepEqual(summary(outputs), ["error:header-block-too-large:400"]);
    });

    it("hands out what it read of the offending message, for the answer", () => {
      const [first, error] = feed(new StreamFramer(), message("ok") + head("l: x"));
      assert.equal(first?.kind, "message");
      assert.ok(error?.kind === "error" && error.error.fatal === true);
      assert.ok(error.data.toString().startsWith("OPTIONS sip:a@b SIP/2.0\r\nl: x"));
    });
  });

  it("does work in proportion to the bytes, also byte by byte", () => {
    const framer = new StreamFramer();
    const large = Buffer.from(message("x".repeat(60_000)));
    const outputs: FramerOutput[] = [];
    for (const byte of large) outputs.push(...framer.push(Buffer.from([byte])));
    assert.equal(outputs.length, 1);
    assert.ok(outputs[0]?.kind === "message" && outputs[0].data.equals(large));
  });

  it("takes empty chunks", () => {
    assert.deepEqual(push("", message().slice(0, 5), "", message().slice(5)), [message()]);
  });
});
