/** Multipart bodies (RFC 2046 §5.1, RFC 5621). */
import assert from "node:assert/strict";
import {
  DEFAULT_LIMITS,
  findPart,
  HeaderMap,
  parseMultipart,
  SipRequest,
} from "../../../lib/message/index.js";

const split = (body: string, type = "multipart/mixed;boundary=b1", limits = DEFAULT_LIMITS) =>
  parseMultipart(type, Buffer.from(body, "latin1"), limits)?.map((part) => [
    part.contentType,
    part.body.toString("latin1"),
  ]);

function message(type: string, body: string): SipRequest {
  const headers = new HeaderMap();
  headers.add("content-type", type);
  return new SipRequest("INVITE", "sip:a@b", headers, Buffer.from(body, "latin1"));
}

describe("parseMultipart", () => {
  it("splits parts with and without headers", () => {
    assert.deepEqual(
      split(
        "preamble\r\n--b1\r\nContent-Type: Application/SDP\r\nContent-ID: <1>\r\n\r\nv=0\r\n\r\n--b1\r\n\r\nplain\r\n--b1--\r\nepilogue",
      ),
      [
        ["application/sdp", "v=0\r\n"],
        ["text/plain", "plain"],
      ],
    );
  });

  it("takes quoted boundaries, spaces behind delimiters, and bytes of any kind", () => {
    assert.deepEqual(
      split(
        "--a b:c \t\r\nc: x/y\r\n\r\n\0\xff\r\n--a b:cd\r\n\r\n--a b:c--",
        'multipart/x; boundary="a b:c"',
      ),
      [["x/y", "\0\xff\r\n--a b:cd\r\n"]],
    );
  });

  it("tolerates a missing closing delimiter and empty parts", () => {
    assert.deepEqual(split("--b1\r\nc: a/b\r\n\r\nrest"), [["a/b", "rest"]]);
    assert.deepEqual(split("--b1\r\n\r\n--b1--"), [["text/plain", ""]]);
    assert.deepEqual(split("--b1\r\nc: a/b\r\n--b1--"), [["a/b", ""]]);
  });

  it("finds nothing without boundary, delimiter or part", () => {
    assert.equal(split("--b1\r\n\r\nx", "multipart/mixed"), undefined);
    assert.equal(split("--b1\r\n\r\nx", "multipart/mixed;boundary="), undefined);
    assert.equal(split("--b1\r\n\r\nx", 'multipart/mixed;boundary=""'), undefined);
    assert.equal(split("--b1\r\n\r\nx", `multipart/mixed;boundary=${"b".repeat(71)}`), undefined);
    assert.equal(split("x"), undefined);
    assert.equal(split(""), undefined);
    assert.equal(split("--b1--\r\n"), undefined);
    assert.equal(split("x --b1\r\n\r\ny"), undefined);
    assert.equal(split("--b1x\r\n\r\ny"), undefined);
  });

  it("refuses malformed part headers", () => {
    assert.equal(split("--b1\r\nno colon\r\n\r\nx\r\n--b1--"), undefined);
  });

  it("refuses more parts than the limit", () => {
    const parts = (count: number) => `${"--b1\r\n\r\nx\r\n".repeat(count)}--b1--`;
    assert.equal(split(parts(16))?.length, 16);
    assert.equal(split(parts(17)), undefined);
  });
});

describe("findPart", () => {
  const nested = (depth: number): string =>
    depth === 0
      ? "Content-Type: application/sdp\r\n\r\nv=0"
      : `Content-Type: multipart/mixed;boundary=n${depth}\r\n\r\n--n${depth}\r\n${nested(depth - 1)}\r\n--n${depth}--`;
  const asMessage = (depth: number) => {
    const [head, ...rest] = nested(depth).split("\r\n\r\n");
    return message(head.slice(14), rest.join("\r\n\r\n"));
  };

  it("finds a body of its own type, and none of another", () => {
    assert.equal(
      findPart(message("application/sdp", "v=0"), "application/sdp")?.body.toString(),
      "v=0",
    );
    assert.equal(findPart(message("text/plain", "v=0"), "application/sdp"), undefined);
    assert.equal(findPart(message("application/sdp", ""), "application/sdp"), undefined);
  });

  it("finds a part, also in a nested multipart up to the depth limit", () => {
    assert.equal(findPart(asMessage(1), "application/sdp")?.body.toString(), "v=0");
    assert.equal(findPart(asMessage(2), "application/sdp")?.body.toString(), "v=0");
    assert.equal(findPart(asMessage(3), "application/sdp"), undefined);
    assert.equal(findPart(asMessage(1), "text/html"), undefined);
  });

  it("finds nothing in a multipart that cannot be split", () => {
    assert.equal(findPart(message("multipart/mixed", "x"), "application/sdp"), undefined);
  });
});
