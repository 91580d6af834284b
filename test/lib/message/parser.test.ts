/** The parser's rules: start line, lines, limits, lengths, numbers, single headers (contract §3.1, RFC 3261 §7). */
import assert from "node:assert/strict";
import {
  checkMessage,
  DEFAULT_LIMITS,
  HeaderMap,
  parseMessage,
  parseText,
  serializeMessage,
  SipRequest,
  type ParseError,
  type ParseOptions,
  type ParseResult,
  type SipMessage,
} from "../../../lib/message/index.js";

const HEADERS = [
  "Via: SIP/2.0/UDP h1;branch=z9hG4bK1",
  "From: <sip:ann@example.com>;tag=f1",
  "To: <sip:ben@example.net>",
  "Call-ID: c1@host",
  "CSeq: 7 OPTIONS",
];

function text(
  own: readonly string[] = [],
  body = "",
  start = "OPTIONS sip:ben@example.net SIP/2.0",
) {
  const method = start.startsWith("SIP/") ? "OPTIONS" : start.split(" ")[0];
  const headers = HEADERS.map((line) => (line.startsWith("CSeq") ? `CSeq: 7 ${method}` : line));
  const names = new Set(own.filter((line) => line.startsWith("!")).map((line) => line.slice(1)));
  const kept = headers.filter((line) => !names.has(line.split(":")[0]));
  return [start, ...kept, ...own.filter((line) => !line.startsWith("!")), "", body].join("\r\n");
}

function parse(message: string | Buffer, options?: ParseOptions): ParseResult {
  return parseMessage(typeof message === "string" ? Buffer.from(message) : message, options);
}

function good(message: string | Buffer, options?: ParseOptions): SipMessage {
  const result = parse(message, options);
  assert.ok(result.ok, result.ok ? "" : `${result.error.rule}: ${result.error.reason}`);
  return result.message;
}

function bad(message: string | Buffer, options?: ParseOptions): ParseError {
  const result = parse(message, options);
  assert.ok(!result.ok, "was accepted");
  return result.error;
}

describe("parseMessage: start line", () => {
  it("reads requests and responses", () => {
    const request = good(text());
    assert.ok(request.kind === "request");
    assert.equal(request.method, "OPTIONS");
    assert.equal(request.uri, "sip:ben@example.net");
    const response = good(text([], "", "SIP/2.0 183 Session  Progress"));
    assert.ok(response.kind === "response");
    assert.equal(response.statusCode, 183);
    assert.equal(response.reason, "Session  Progress");
  });

  it("skips CRLFs in front (RFC 3261 §7.5)", () => {
    assert.equal(good(`\r\n\r\n\r\n${text()}`).callId, "c1@host");
    assert.ok(parseText(`\r\n${text()}`).ok);
  });

  it("takes the version without case", () => {
    assert.equal(good(text([], "", "OPTIONS sip:a@b sip/2.0")).kind, "request");
  });

  const dropped = [
    "",
    "GET / HTTP/1.1",
    "OPTIONS",
    "OPTIONS sip:a@b",
    "OPTIONS SIP/2.0",
    " OPTIONS sip:a@b SIP/2.0",
    "OPT(IONS sip:a@b SIP/2.0",
    "SIP/2.0 20 OK",
    "SIP/2.0 099 OK",
    "SIP/2.0 700 OK",
    "SIP/2.0 2000 OK",
    "SIP/2.0 2x0 OK",
    "SIP/2.0  200 OK",
    "SIP/2.0",
    "SIP/3.0 200 OK",
    "\0\0\0\0",
  ];
  for (const start of dropped) {
    it(`drops ${JSON.stringify(start)} silently`, () => {
      const error = bad(text([], "", start));
      assert.equal(error.statusHint, undefined);
    });
  }

  it("answers other versions with 505, well-formed or not", () => {
    for (const version of ["SIP/1.0", "SIP/2.1", "SIP/", "SIP/99999999"]) {
      assert.equal(bad(text([], "", `OPTIONS sip:a@b ${version}`)).statusHint, 505);
    }
  });

  it("never answers an ACK or a response", () => {
    assert.equal(bad(text(["!To"], "", "ACK sip:a@b SIP/2.0")).statusHint, undefined);
    assert.equal(bad(text(["!To"], "", "ACK sip:a@b SIP/7.0")).statusHint, undefined);
    assert.equal(bad(text(["!To"], "", "SIP/2.0 200 OK")).statusHint, undefined);
  });
});

describe("parseMessage: lines", () => {
  it("reads compact forms, odd case, spaces before the colon and folding as one", () => {
    const message = good(
      text([
        "!From",
        "fRoM \t :",
        "\t<sip:x@y>",
        "  ;tag=9  ",
        "K:timer",
        "SUBJECT:a\r\n  b\r\n\tc ",
      ]),
    );
    assert.equal(message.from.tag, "9");
    assert.equal(message.headers.get("from"), "<sip:x@y> ;tag=9");
    assert.deepEqual(message.tokens("supported"), ["timer"]);
    assert.equal(message.headers.get("subject"), "a b c");
  });

  it("takes folding inside a quoted string as a space", () => {
    const message = good(text(["!From", 'From: "a\r\n b" <sip:x@y>;tag=1']));
    assert.equal(message.from.displayName, "a b");
  });

  for (const [what, line] of [
    ["no colon", "Nonsense"],
    ["no name", ": x"],
    ["a space in the name", "X Y: z"],
    ["a bracket in the name", "X(Y): z"],
    ["a name beyond ASCII", "X\u00e4: z"],
    ["a NUL in the name", "X\0: z"],
  ] as const) {
    it(`answers 400 to a line with ${what}`, () => {
      const error = bad(text([line]));
      assert.equal(error.rule, "header-line");
      assert.equal(error.statusHint, 400);
    });
  }

  it("answers 400 to lines that end with LF or CR alone", () => {
    assert.equal(bad(text(["X-A: b\nX-C: d"])).rule, "line-end");
    assert.equal(bad(text(["X-A: b\rX-C: d"])).rule, "line-end");
    assert.equal(bad(text(["X-A: b\r\r\n c"])).rule, "line-end");
    assert.equal(bad(text().replaceAll("\r\n", "\n")).rule, "header-end");
    const first = text().replace("\r\n", "\n");
    const result = parse(first);
    assert.ok(!result.ok && result.error.rule === "line-end" && result.request !== undefined);
  });

  it("answers 400 to a datagram without the empty line", () => {
    assert.equal(bad(text().slice(0, -2)).rule, "header-end");
    assert.equal(bad(text().slice(0, -2)).statusHint, 400);
  });

  it("reads bytes that are no UTF-8 without throwing", () => {
    const bytes = Buffer.from(text(["Subject: \u00ff\u00fe\u0080"]), "latin1");
    const message = good(bytes);
    assert.equal(message.headers.get("subject"), "\ufffd\ufffd\ufffd");
    const body = Buffer.concat([
      Buffer.from(text(["Content-Type: application/x"])),
      Buffer.from([0xff, 0, 0xc3]),
    ]);
    assert.deepEqual(good(body).body, Buffer.from([0xff, 0, 0xc3]));
  });

  it("answers 400 to a NUL anywhere but in the display names of From and To", () => {
    for (const line of [
      "Require: a\0b",
      'Contact: "\\\0" <sip:x@y>',
      "X-A: \\\0",
      'Reason: SIP;text="\0"',
    ]) {
      assert.equal(bad(text([line])).rule, "nul-in-header", line);
    }
    assert.equal(bad(text(["!Call-ID", "Call-ID: a\0b"])).statusHint, 400);
    assert.equal(good(text(["!To", 'To: "a\\\0b" <sip:x@y>'])).to.displayName, "a\0b");
    assert.equal(good(text([], "body with \0")).text, "body with \0");
  });

  it("reads UTF-8 in display names and headers", () => {
    const message = good(
      text(["!To", 'To: "J\u00f6rg \ud83d\ude80" <sip:a@b>', "Subject: \u5c71"]),
    );
    assert.equal(message.to.displayName, "J\u00f6rg \ud83d\ude80");
    assert.equal(message.headers.get("subject"), "\u5c71");
  });
});

describe("parseMessage: mandatory and single headers", () => {
  for (const name of ["Via", "From", "To", "Call-ID", "CSeq"]) {
    it(`answers 400 when ${name} is missing`, () => {
      const error = bad(text([`!${name}`]));
      assert.equal(error.rule, "missing-header");
      assert.equal(error.statusHint, 400);
      assert.ok(error.reason.includes(name));
    });
  }

  for (const line of [
    "From: <sip:x@y>;tag=1",
    "t: <sip:x@y>",
    "Call-ID: x",
    "i: x",
    "CSeq: 7 OPTIONS",
    "Max-Forwards: 1\r\nMax-Forwards: 1",
    "Content-Type: a/b\r\nc: a/b",
    "Content-Length: 0\r\nl: 0",
    "Refer-To: <sip:x@y>\r\nr: <sip:x@y>",
    "Referred-By: <sip:x@y>\r\nb: <sip:x@y>",
    "Replaces: a\r\nReplaces: a",
    "Event: a\r\no: a",
    "Subscription-State: active\r\nSubscription-State: active",
  ]) {
    it(`answers 400 to a second ${JSON.stringify(line.split("\r\n").at(-1))}`, () => {
      const error = bad(text([line]));
      assert.equal(error.rule, "repeated-header");
      assert.equal(error.statusHint, 400);
    });
  }

  for (const line of [
    "!Via|Via: nonsense",
    "!Via|Via: SIP/2.0/UDP",
    "!From|From: <sip:x@y",
    "!From|From: <sip:x@y>, <sip:c@d>",
    "!To|To: ",
    "!Call-ID|Call-ID: ",
    "!Call-ID|Call-ID: a b",
    "!CSeq|CSeq: 7",
    "!CSeq|CSeq: 2147483648 OPTIONS",
    "Max-Forwards: 256",
    "Max-Forwards: -1",
    "Max-Forwards: 1e1",
    "Max-Forwards: ",
    "Contact: <sip:x@y>;;",
    "Contact: <sip:x@y:99999>",
    "Route: <sip:x@y",
    "Record-Route: ,",
    "Refer-To: <sip:x@y",
    "Refer-To: <sip:x@y>, <sip:c@d>",
    "Referred-By: nonsense",
  ]) {
    it(`answers 400 to ${line.split("|").at(-1)}`, () => {
      const error = bad(text(line.split("|")));
      assert.equal(error.rule, "malformed-header");
      assert.equal(error.statusHint, 400);
      assert.match(error.rfc, /^RFC 3261 §\d/);
    });
  }

  it("compares the method of CSeq with case", () => {
    assert.equal(bad(text(["!CSeq", "CSeq: 7 options"])).rule, "cseq-method");
    assert.equal(
      good(text(["!CSeq", "CSeq: 7 INVITE"], "", "SIP/2.0 200 OK")).cseq.method,
      "INVITE",
    );
  });

  it("gives a request that can be answered whenever Via can be followed", () => {
    for (const own of [
      ["!From", "From: <oops"],
      ["!CSeq", "CSeq: x"],
      ["!To", "To: <<>>"],
    ]) {
      const result = parse(text(own));
      assert.ok(!result.ok && result.request !== undefined);
      assert.doesNotThrow(() => [result.request?.from, result.request?.to, result.request?.cseq]);
      assert.equal(result.request.topVia.branch, "z9hG4bK1");
    }
    for (const own of [["!Via", "Via: oops"], ["!To"], ["!Call-ID", "Call-ID: "]]) {
      const result = parse(text(own));
      assert.ok(!result.ok && result.request === undefined);
    }
  });

  it("leaves malformed Contacts out of answers to REGISTER and redirections", () => {
    const contacts = ["Contact: <sip:good@x>;expires=3", "Contact: <sip:bad@@x>"];
    const registered = good(text(["!CSeq", "CSeq: 1 REGISTER", ...contacts], "", "SIP/2.0 200 OK"));
    assert.deepEqual(
      registered.contacts.map((contact) => contact.uri.toString()),
      ["sip:good@x"],
    );
    assert.equal(good(text(contacts, "", "SIP/2.0 302 Moved")).contacts.length, 1);
    assert.equal(bad(text(contacts, "", "SIP/2.0 200 OK")).rule, "malformed-header");
  });
});

describe("parseMessage: Content-Length", () => {
  it("takes the whole rest of a datagram when there is none", () => {
    assert.equal(good(text([], "hello")).text, "hello");
  });

  it("drops what follows the body", () => {
    assert.equal(good(text(["Content-Length: 3"], "hello")).text, "hel");
    assert.equal(good(text(["l : 003"], "hello")).text, "hel");
    const same = parseText(text(["Content-Length: 2"], "\u00e4\u00e4"));
    assert.ok(same.ok && same.message.text === "\u00e4");
  });

  const faults: [string, string, number, boolean][] = [
    ["Content-Length: 6", "content-length", 400, true],
    ["Content-Length: -1", "content-length", 400, true],
    ["Content-Length: 5x", "content-length", 400, true],
    ["Content-Length: 0x5", "content-length", 400, true],
    ["Content-Length: 5e0", "content-length", 400, true],
    ["Content-Length: 5, 5", "content-length", 400, true],
    ["Content-Length: ", "content-length", 400, true],
    ["Content-Length: 1000001", "content-length", 413, true],
    ["Content-Length: 99999999999999999999999", "content-length", 400, true],
    ["Content-Length: 5\r\nContent-Length: 4", "content-length", 400, true],
  ];
  for (const [line, rule, status, fatal] of faults) {
    it(`answers ${status} to ${JSON.stringify(line)} with a body of 5`, () => {
      for (const framing of ["datagram", "stream"] as const) {
        const error = bad(text([line], "hello"), { framing });
        assert.deepEqual([error.rule, error.statusHint, error.fatal], [rule, status, fatal]);
      }
    });
  }

  it("needs one on a stream", () => {
    const error = bad(text([], "hello"), { framing: "stream" });
    assert.deepEqual([error.rule, error.fatal], ["content-length", true]);
  });

  it("lets a stream go on after faults that do not touch the framing", () => {
    assert.equal(bad(text(["!To", "l: 0"]), { framing: "stream" }).fatal, undefined);
    assert.equal(bad(text(["l: 0", "l: 0"]), { framing: "stream" }).fatal, undefined);
  });
});

describe("parseMessage: limits", () => {
  const many = (count: number, line: string) => Array.from({ length: count }, () => line);

  it("takes as many as allowed and no more", () => {
    good(text(many(DEFAULT_LIMITS.headers - HEADERS.length, "X-A: b")));
    const error = bad(text(many(DEFAULT_LIMITS.headers, "X-A: b")));
    assert.deepEqual([error.rule, error.statusHint], ["too-many-headers", 400]);
    good(text(many(63, "Via: SIP/2.0/UDP h")));
    assert.equal(bad(text(many(64, "Via: SIP/2.0/UDP h"))).rule, "too-many-vias");
    assert.equal(bad(text([`Via: ${many(64, "SIP/2.0/UDP h").join(",")}`])).rule, "too-many-vias");
    good(text([`Contact: ${many(32, "<sip:a@b>").join(",")}`]));
    assert.equal(
      bad(text([`Contact: ${many(33, "<sip:a@b>").join(",")}`])).rule,
      "too-many-contacts",
    );
    good(text([...many(32, "Route: <sip:a>"), ...many(32, "Record-Route: <sip:a>")]));
    assert.equal(bad(text(many(33, "Route: <sip:a>"))).rule, "too-many-routes");
    assert.equal(
      bad(text([`Record-Route: ${many(33, "<sip:a>").join(",")}`])).rule,
      "too-many-routes",
    );
  });

  it("takes long lines up to the limit, folded ones as a whole", () => {
    good(text([`X-A: ${"x".repeat(DEFAULT_LIMITS.line - 10)}`]));
    assert.equal(bad(text([`X-A: ${"x".repeat(DEFAULT_LIMITS.line)}`])).rule, "line-too-long");
    const folded = `X-A: ${many(5, "x".repeat(2000)).join("\r\n ")}`;
    assert.equal(bad(text([folded])).rule, "line-too-long");
    assert.equal(
      bad(text([], "", `OPTIONS sip:${"x".repeat(9000)} SIP/2.0`)).rule,
      "line-too-long",
    );
  });

  it("drops header blocks and messages that are too large before looking into them", () => {
    const error = bad(text(many(5, `X-A: ${"x".repeat(8000)}`)));
    assert.deepEqual([error.rule, error.statusHint], ["header-block-too-large", undefined]);
    assert.equal(bad(Buffer.alloc(DEFAULT_LIMITS.streamMessage + 1, 65)).rule, "message-too-large");
    assert.equal(parseText("x".repeat(DEFAULT_LIMITS.streamMessage + 1)).ok, false);
  });

  it("takes limits from outside", () => {
    const limits = { ...DEFAULT_LIMITS, headers: 5 };
    good(text(), { limits });
    assert.equal(bad(text(["X-A: b"]), { limits }).rule, "too-many-headers");
    assert.equal(
      bad(text(["l: 9"], "123456789"), { limits: { ...DEFAULT_LIMITS, contentLength: 8 } })
        .statusHint,
      413,
    );
  });
});

describe("parseText", () => {
  it("reads a string as parseMessage reads its bytes", () => {
    const message = text(["Subject: \u00e4", "Content-Length: 6"], "\u20ac\u20ac");
    const result = parseText(message);
    assert.ok(result.ok);
    assert.deepEqual(serializeMessage(result.message), serializeMessage(good(message)));
    assert.deepEqual(result.message.body, Buffer.from("\u20ac\u20ac"));
  });
});

describe("checkMessage", () => {
  it("finds nothing wrong with what parsed and everything with an empty message", () => {
    assert.equal(checkMessage(good(text())), undefined);
    const empty = new SipRequest("OPTIONS", "sip:a@b", new HeaderMap(), "");
    assert.equal(checkMessage(empty)?.rule, "missing-header");
  });
});
