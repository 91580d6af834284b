/**
 * What the sidebar is told of calls, live and over. Hard cases: names that want to be HTML, calls that nobody took, a thread that
 * does not count, a stack that stops, more calls than are remembered.
 */
import assert from "node:assert/strict";
import { history, traces } from "../../nodes/shared/tracing/index.js";
import { type FakeSession, invite } from "../support/fake-user-agent.js";
import { adminRequest, NodeBench, stack, useNodeRed } from "../support/node-bench.js";

type Summary = Record<string, unknown>;

describe("the list of calls", () => {
  useNodeRed();
  let bench: NodeBench;
  const flow = [
    stack({ trace: true }),
    { id: "in", type: "sip-incoming", stack: "stack", match: "alice" },
  ];
  beforeEach(async () => {
    bench = new NodeBench();
    await bench.load(flow);
  });
  afterEach(async () => {
    history.kept = 100;
    await bench.unload();
  });

  const ring = async (): Promise<FakeSession> => {
    const session = bench.userAgent.ring();
    assert.ok(session);
    await bench.settle();
    return session;
  };
  /** As if it had gone over the wire. */
  const trace = (session: FakeSession, text = "INVITE sip:alice@127.0.0.1 SIP/2.0"): void =>
    bench.userAgent.options.traceMessages?.({
      direction: "received",
      time: 1_700_000_000_000,
      protocol: "udp",
      localAddress: "127.0.0.1",
      localPort: 5060,
      remoteAddress: "10.0.0.9",
      remotePort: 5060,
      data: `${text}\r\nCall-ID: ${session.snapshot().callId}\r\nCSeq: 1 INVITE\r\n\r\n`,
    });
  const list = async (): Promise<{ calls: Summary[]; ended: Summary[] }> => {
    const { body } = await adminRequest().get("/sip/calls").expect(200);
    return body as { calls: Summary[]; ended: Summary[] };
  };

  it("has a live call with node, stack, partner, codec, hold, and afterwards its end and what was counted", async () => {
    const session = await ring();
    trace(session);
    session.media = [
      {
        kind: "audio",
        codec: "opus",
        clockRate: 48000,
        direction: "sendrecv",
        address: "10.0.0.9",
        port: 4000,
        dtmf: "rfc4733",
      },
    ];
    session.answer();
    const { calls } = await list();
    const call = calls.find((one) => one["session"] === session.id);
    assert.deepEqual(
      [call?.["node"], call?.["stack"], call?.["state"], call?.["codec"], call?.["messages"]],
      ["in", "stack", "established", "opus", 1],
    );
    assert.ok(!("rtp" in (call ?? {})) && !("hold" in (call ?? {})));
    session.statistics = Promise.resolve({
      packetsSent: 100,
      packetsReceived: 95,
      packetsLost: 5,
      jitter: 1.26,
      roundTrip: 20.04,
    });
    session.close("remote-bye");
    await bench.settle();
    const { calls: left, ended } = await list();
    assert.ok(!left.some((one) => one["session"] === session.id));
    const [last] = ended;
    assert.deepEqual(
      [last?.["session"], last?.["cause"], last?.["node"], last?.["codec"], last?.["messages"]],
      [session.id, "remote-bye", "in", "opus", 1],
    );
    assert.deepEqual(last?.["rtp"], {
      received: 95,
      sent: 100,
      lost: 5,
      lossPercent: 5,
      jitterMs: 1.3,
      roundTripMs: 20,
    });
  });

  it("gives what peers wrote as they wrote it, without passwords, and never as keys", async () => {
    const name = '<img src=x onerror=alert(1)>"__proto__';
    const session = await ring();
    session.remote = { ...session.remote, uri: `sip:${name}:secret@10.0.0.9`, user: "__proto__" };
    trace(session, `INVITE sip:x SIP/2.0\r\nSubject: ${name}\r\nAuthorization: Digest secret`);
    const { text } = await adminRequest().get(`/sip/sessions/${session.id}`).expect(200);
    assert.ok(!text.includes("secret"), text);
    const { messages } = JSON.parse(text) as { messages: { text: string }[] };
    assert.ok(messages[0]?.text.includes(name));
    session.close("cancelled");
  });

  it("has calls that nobody took, too", async () => {
    assert.equal(bench.userAgent.ring(invite("sip:nobody@127.0.0.1:5060")), undefined);
    await bench.settle();
    const [last] = (await list()).ended;
    assert.deepEqual(
      [last?.["cause"], last?.["statusCode"], last?.["node"]],
      ["rejected", 480, undefined],
    );
  });

  it("remembers as many as it shall, the newest, and their messages with them", async () => {
    history.kept = 2;
    const sessions: FakeSession[] = [];
    for (let i = 0; i < 4; i++) {
      const session = await ring();
      sessions.push(session);
      trace(session);
      session.close("cancelled");
    }
    const { ended } = await list();
    assert.deepEqual(
      ended.map((one) => one["session"]),
      [sessions[3]?.id, sessions[2]?.id],
    );
    assert.deepEqual(
      sessions.map(({ id }) => traces.count(id)),
      [0, 0, 1, 1],
    );
    history.kept = 0;
    assert.deepEqual((await list()).ended, []);
    await adminRequest().get(`/sip/sessions/${sessions[3]?.id}`).expect(404);
  });

  it("says why keys could not be sent", async () => {
    const session = await ring();
    const press = (digits: unknown, status: number) =>
      adminRequest().post(`/sip/sessions/${session.id}/digits`).send({ digits }).expect(status);
    await press("1,2#", 204);
    assert.deepEqual(session.calls.at(-1), { name: "sendDigits", options: { digits: "1,2#" } });
    for (const wrong of ["", "12x", "1".repeat(33), 12, null, { length: 1 }])
      await press(wrong, 400);
    session.outcomes["sendDigits"] = { ok: false, cause: "rejected", statusCode: 415 };
    assert.deepEqual((await press("1", 409)).body, { message: "rejected" });
    session.outcomes["sendDigits"] = new Error("the call is not up");
    assert.deepEqual((await press("1", 409)).body, { message: "the call is not up" });
    session.close("cancelled");
  });

  it("keeps no messages without trace, and forgets those of no call with their stack", async () => {
    const session = await ring();
    trace({ snapshot: () => ({ callId: "of no call" }) } as unknown as FakeSession);
    assert.equal(traces.others("stack").length, 1);
    await bench.deploy([stack({ trace: false }), ...flow.slice(1)]);
    assert.equal(bench.userAgent.options.traceMessages, undefined);
    const { calls } = await list();
    assert.ok(!calls.some((one) => one["session"] === session.id), "other settings end the calls");
    await bench.deploy([{ id: "in", type: "sip-incoming", stack: "stack" }]);
    assert.equal(traces.others("stack").length, 0);
  });
});
