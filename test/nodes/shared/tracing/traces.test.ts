import assert from "node:assert/strict";
import { outlineOf } from "../../../../nodes/shared/tracing/outline.js";
import { Traces } from "../../../../nodes/shared/tracing/traces.js";
import type { TracedMessage } from "../../../../lib/index.js";

let time = 1_700_000_000_000;

interface Shape {
  readonly callId?: string;
  readonly direction?: "sent" | "received";
  readonly status?: number;
  readonly method?: string;
  readonly cseq?: number;
  readonly branch?: string;
  readonly from?: string;
  readonly to?: string;
  readonly body?: string;
}

function traced(shape: Shape = {}): TracedMessage {
  const { callId = "c1", direction = "sent", status, method = "INVITE", cseq = 1 } = shape;
  const { branch = "z9hG4bK1", from = "alice", to = "", body = "" } = shape;
  const first = status === undefined ? `${method} sip:bob@b SIP/2.0` : `SIP/2.0 ${status} Reason`;
  return {
    direction,
    time: ++time,
    protocol: "udp",
    localAddress: "10.0.0.1",
    localPort: 5060,
    remoteAddress: "10.0.0.2",
    remotePort: 5060,
    data: [
      first,
      `Via: SIP/2.0/UDP a;branch=${branch}`,
      `From: <sip:a@a>;tag=${from}`,
      `To: <sip:b@b>${to === "" ? "" : `;tag=${to}`}`,
      `Call-ID: ${callId}`,
      `CSeq: ${cseq} ${method}`,
      "",
      body,
    ].join("\r\n"),
  };
}

const call = (callIds = ["c1"], direction: "incoming" | "outgoing" = "outgoing") => ({
  stackId: "stack",
  callIds,
  direction,
});
const limits = { first: 3, last: 3, others: 4, othersPerSecond: 500, liveCalls: 2, bytes: 1 << 20 };

describe("traces of calls", () => {
  it("give a call what came before its session was known, and everything after", () => {
    const traces = new Traces();
    traces.add("stack", traced({ direction: "received" }));
    traces.add("stack", traced({ callId: "other" }));
    traces.open("s1", call(["c1"], "incoming"));
    traces.add("stack", traced({ status: 180 }));
    traces.add("another stack", traced({ status: 200 }));
    const messages = traces.messages("s1").map(({ ladder }) => ladder);
    assert.deepEqual(
      messages.map(({ index, kind, method, statusCode }) => [index, kind, method, statusCode]),
      [
        [0, "request", "INVITE", undefined],
        [1, "response", "INVITE", 180],
      ],
    );
    assert.deepEqual(messages[0]?.remote, { address: "10.0.0.2", port: 5060 });
    assert.match(messages[0]?.time ?? "", /^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/);
    assert.equal(traces.count("s1"), 2);
    assert.equal(traces.others("stack").length, 1);
  });

  it("leave most of a flood of no call unread, keep what belongs to calls, and go on in the next second", () => {
    let told = 0;
    const traces = new Traces(() => told++, { ...limits, others: 100, othersPerSecond: 10 });
    traces.open("s1", call());
    const began = time;
    const flood = (count: number, at: number) => {
      for (let i = 0; i < count; i++)
        traces.add("stack", { ...traced({ callId: `f${at}-${i}` }), time: at });
    };
    flood(1000, began);
    assert.equal(traces.others("stack").length, 10);
    traces.add("stack", { ...traced(), time: began + 1 });
    assert.equal(traces.count("s1"), 1);
    assert.equal(told, 11);
    flood(1000, began + 1000);
    assert.equal(traces.others("stack").length, 20);
  });

  it("number transactions with ACK and CANCEL in that of their INVITE, apart for each side", () => {
    const traces = new Traces();
    traces.open("s1", call());
    traces.add("stack", traced());
    traces.add("stack", traced({ method: "PRACK", cseq: 2, branch: "z2" }));
    traces.add("stack", traced({ method: "CANCEL" }));
    traces.add("stack", traced({ status: 487, direction: "received" }));
    traces.add("stack", traced({ method: "ACK", branch: "z3" }));
    traces.add("stack", traced({ method: "INVITE", direction: "received", branch: "z4" }));
    assert.deepEqual(
      traces.messages("s1").map(({ ladder }) => ladder.transaction),
      [1, 2, 1, 1, 1, 3],
    );
  });

  it("mark what was sent again, and nothing else", () => {
    const traces = new Traces();
    traces.open("s1", call());
    const add = (shape: Shape) => traces.add("stack", traced(shape));
    add({});
    add({});
    add({ status: 180, direction: "received", to: "x" });
    add({ status: 180, direction: "received", to: "y" });
    add({ status: 180, direction: "received", to: "x" });
    add({ status: 200, direction: "received", to: "x" });
    add({ method: "ACK", branch: "z2" });
    add({ method: "ACK", branch: "z2" });
    add({ cseq: 2, branch: "z9" });
    assert.deepEqual(
      traces.messages("s1").map(({ ladder }) => ladder.retransmission),
      [false, true, false, false, true, false, false, true, false],
    );
  });

  it("keep the first and the last messages and say how many are missing between", () => {
    const traces = new Traces(undefined, limits);
    traces.open("s1", call());
    for (let cseq = 1; cseq <= 20; cseq++) traces.add("stack", traced({ cseq }));
    const ladder = traces.messages("s1").map((one) => one.ladder);
    assert.deepEqual(
      ladder.map(({ index, skipped }) => [index, skipped]),
      [
        [0, undefined],
        [1, undefined],
        [2, undefined],
        [17, 14],
        [18, undefined],
        [19, undefined],
      ],
    );
    assert.equal(traces.count("s1"), 6);
  });

  it("keep the last messages of no call", () => {
    const traces = new Traces(undefined, limits);
    for (let cseq = 1; cseq <= 9; cseq++) traces.add("stack", traced({ method: "REGISTER", cseq }));
    assert.deepEqual(
      traces.others("stack").map(({ ladder }) => [ladder.cseq, ladder.skipped]),
      [6, 7, 8, 9].map((cseq) => [`${cseq} REGISTER`, undefined]),
    );
    traces.forgetStack("stack");
    assert.deepEqual([traces.others("stack").length, traces.size], [0, 0]);
  });

  it("tell the two sessions of a stack that calls itself apart", () => {
    const traces = new Traces();
    traces.open("out", call());
    traces.add("stack", traced());
    traces.add("stack", traced({ direction: "received" }));
    traces.open("in", call(["c1"], "incoming"));
    traces.add("stack", traced({ status: 200, to: "bob" }));
    traces.add("stack", traced({ status: 200, to: "bob", direction: "received" }));
    traces.add("stack", traced({ method: "BYE", from: "bob", to: "alice", branch: "b" }));
    traces.add(
      "stack",
      traced({ method: "BYE", from: "bob", to: "alice", branch: "b", direction: "received" }),
    );
    const shown = (handle: string) =>
      traces
        .messages(handle)
        .map(({ ladder }) => `${ladder.direction} ${ladder.statusCode ?? ladder.method}`);
    assert.deepEqual(shown("out"), ["sent INVITE", "received 200", "received BYE"]);
    assert.deepEqual(shown("in"), ["received INVITE", "sent 200", "sent BYE"]);
    assert.equal(traces.count("in"), 3);
    traces.forget("out");
    assert.deepEqual(shown("in"), ["received INVITE", "sent 200", "sent BYE"]);
  });

  it("put the targets of one attempt into one order", () => {
    const traces = new Traces();
    traces.open("s1", call(["c1", "c2"]));
    traces.add("stack", traced({ callId: "c1" }));
    traces.add("stack", traced({ callId: "c2" }));
    traces.add("stack", traced({ callId: "c1", status: 486, direction: "received" }));
    assert.deepEqual(
      traces.messages("s1").map(({ ladder }) => [ladder.index, ladder.transaction]),
      [
        [0, 1],
        [1, 2],
        [2, 1],
      ],
    );
  });

  it("are not kept of more live calls than allowed; ended ones stay until they are forgotten", () => {
    const traces = new Traces(undefined, limits);
    for (const name of ["a", "b", "c"]) traces.open(name, call([name]));
    traces.add("stack", traced({ callId: "c" }));
    assert.equal(traces.count("c"), 0);
    traces.add("stack", traced({ callId: "a" }));
    traces.close("a");
    traces.close("a");
    traces.open("d", call(["d"]));
    traces.add("stack", traced({ callId: "d" }));
    assert.deepEqual([traces.count("a"), traces.count("d")], [1, 1]);
    traces.forget("a");
    traces.forget("nobody");
    assert.equal(traces.count("a"), 0);
  });

  it("stay below their memory: ended calls go first, then messages of no call, then the middle of live ones", () => {
    const body = "x".repeat(10_000);
    const traces = new Traces(undefined, {
      first: 100,
      last: 100,
      others: 200,
      othersPerSecond: 500,
      liveCalls: 9,
      bytes: 200_000,
    });
    const add = (callId: string, count: number) => {
      for (let cseq = 1; cseq <= count; cseq++) traces.add("stack", traced({ callId, cseq, body }));
      assert.ok(traces.size <= 200_000, `${traces.size}`);
    };
    traces.open("ended", call(["ended"]));
    add("ended", 2);
    traces.close("ended");
    add("nobody's", 3);
    traces.open("live", call(["live"]));
    add("live", 5);
    assert.deepEqual([traces.count("ended"), traces.others("stack").length], [0, 3]);
    add("live", 5);
    assert.equal(traces.others("stack").length, 0);
    assert.ok(traces.count("live") >= 4);
    add("live", 1_000);
    const ladder = traces.messages("live").map((one) => one.ladder);
    assert.ok(ladder.length >= 2, `${ladder.length}`);
    assert.equal(ladder[0]?.index, 0);
    assert.equal(ladder.at(-1)?.index, 1009);
    traces.forget("live");
    assert.equal(traces.size, 0);
  });
});

describe("the outline of a message", () => {
  it("reads compact forms and the last tag behind the address", () => {
    const outline = outlineOf(
      'INVITE sip:a SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bKx , SIP/2.0/UDP b;branch=no\r\nf: "a;tag=no" <sip:a;tag=no>;x=1;tag=yes\r\nt: sip:b;tag=t2\r\ni: call\r\nCSeq: 7  INVITE\r\nc: application/sdp\r\n\r\n',
    );
    assert.deepEqual(outline, {
      kind: "request",
      method: "INVITE",
      statusCode: undefined,
      reason: undefined,
      cseq: "7  INVITE",
      callId: "call",
      branch: "z9hG4bKx",
      fromTag: "yes",
      toTag: "t2",
      hasSdp: true,
    });
  });

  it("takes whatever comes", () => {
    for (const text of [
      "",
      "\n\n",
      "SIP/2.0 999",
      "SIP/2.0",
      ":::",
      "X\n: y",
      "A b\nVia:\nFrom:;tag=",
    ]) {
      assert.equal(typeof outlineOf(text).method, "string", text);
    }
    assert.equal(outlineOf("SIP/2.0 404 Not Found\nCSeq: 1 OPTIONS").method, "OPTIONS");
    assert.equal(
      outlineOf(`${"x".repeat(100_000)}\nCall-ID: ${"y".repeat(100_000)}`).callId.length,
      256,
    );
  });
});
