/**
 * Calls and the Deploy button: twenty calls held through a Full deploy go on and end well; two calls through one flow do not
 * mix; changed settings and SIGTERM end calls properly.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { UserAgent, type Session, type SessionEvent } from "../../lib/index.js";
import { FlowBuilder, type FlowNode } from "../support/flow-builder.js";
import { NodeRed, pause } from "../support/node-red.js";
import { freePort } from "../support/ports.js";
import { RtpPhone, toneFrequency } from "../support/rtp-phone.js";

type Message = { payload: unknown; topic: string; mark?: string; sip: Record<string, unknown> };

const sdp = (port: number) =>
  `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n`;

/** A telephone of the test: our library without media, in this process. */
class Phone {
  readonly events = new Map<string, SessionEvent[]>();
  private constructor(readonly userAgent: UserAgent) {
    userAgent.on("sessionEvent", (session, event) => {
      const list = this.events.get(session.id) ?? [];
      list.push(event);
      this.events.set(session.id, list);
    });
  }

  static async start(): Promise<Phone> {
    const userAgent = new UserAgent({
      transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }],
    });
    await userAgent.start();
    return new Phone(userAgent);
  }

  call(to: string, audioPort = 40_000): Session {
    return this.userAgent.invite({ targets: [to], sdp: sdp(audioPort) });
  }

  names(session: Session): string[] {
    return (this.events.get(session.id) ?? []).map((event) => event.name);
  }

  async until(session: Session, name: string, timeoutMs = 10_000): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (!this.names(session).includes(name)) {
      if (Date.now() > end) assert.fail(`${name} not seen: ${this.names(session).join(" ")}`);
      await pause(20);
    }
  }
}

async function holdingFlow(
  port: number,
  change: Record<string, unknown> = {},
): Promise<FlowNode[]> {
  const flow = new FlowBuilder();
  const stack = flow.config("sip-stack", {
    transports: [{ protocol: "udp", address: "127.0.0.1", port }],
    maxRequestsPerSecond: 0,
    rtpPortMin: 33000,
    rtpPortMax: 33200,
    ...change,
  });
  // Each call: answered, then it waits in sip-gather for one digit and hangs up when it came.
  const bye = flow.node("sip-bye", {}, flow.captures("bye", 1));
  const gather = flow.node(
    "sip-gather",
    { max: 1, firstDigitTimeout: 60 },
    flow.captures("gather", 4, { 1: [bye] }),
  );
  const mark = flow.node(
    "function",
    {
      func: "msg.mark = msg.sip.remote.user; return msg;",
      outputs: 1,
      libs: [],
      initialize: "",
      finalize: "",
    },
    [[gather]],
  );
  const accept = flow.node("sip-accept", {}, flow.captures("accept", 2, { 1: [mark] }));
  flow.node("sip-incoming", { stack, ring: true }, flow.captures("incoming", 2, { 1: [accept] }));
  flow.node("catch", { scope: null, uncaught: false }, [[flow.capture("caught")]]);
  return flow.build();
}

describe("Deploy and calls", function () {
  this.timeout(120_000);
  let nodeRed: NodeRed;
  let phone: Phone;
  let port: number;

  beforeEach(async () => {
    port = await freePort();
    nodeRed = await NodeRed.start({ flows: await holdingFlow(port) });
    phone = await Phone.start();
  });

  afterEach(async () => {
    await phone?.userAgent.stop();
    await nodeRed?.stop();
  });

  async function hold(count: number): Promise<Session[]> {
    const calls = Array.from({ length: count }, (_, index) =>
      phone.call(`sip:room${index}@127.0.0.1:${port}`),
    );
    for (const call of calls) await phone.until(call, "confirmed");
    await nodeRed.waitFor("accept/1", count);
    return calls;
  }

  it("keeps twenty calls through a Full deploy; each goes on where it was and ends well", async () => {
    const calls = await hold(20);
    await nodeRed.deploy(await holdingFlow(port));
    await pause(1000);
    for (const call of calls) assert.equal(call.state, "established");
    // The messages of before the deploy are in the context that it cleared only if Node-RED chose to; count anew.
    await nodeRed.clearCaptured();
    for (const call of calls)
      assert.ok((await call.sendDigits({ digits: "7", method: "info-relay" })).ok);
    for (const call of calls) await phone.until(call, "ended");
    const gathered = await nodeRed.waitFor("gather/1", 20);
    assert.equal(new Set(gathered.map(({ msg }) => (msg as Message).sip.session)).size, 20);
    await nodeRed.waitFor("incoming/2", 20);
    assert.deepEqual(
      (await nodeRed.captured("caught")).map(({ msg }) => (msg as { error: unknown }).error),
      [],
    );
    assert.equal((await nodeRed.captured("incoming/2")).length, 20);
  });

  it("never mixes two calls in one flow", async () => {
    const [first, second] = (await hold(2)) as [Session, Session];
    assert.ok((await second.sendDigits({ digits: "2", method: "info-relay" })).ok);
    await phone.until(second, "ended");
    assert.ok((await first.sendDigits({ digits: "1", method: "info-relay" })).ok);
    await phone.until(first, "ended");
    const gathered = (await nodeRed.waitFor("gather/1", 2)).map(({ msg }) => msg as Message);
    assert.deepEqual(
      gathered.map((msg) => msg.payload),
      ["2", "1"],
    );
    const accepted = (await nodeRed.captured("accept/1")).map(
      ({ msg }) => (msg as Message).sip.session,
    );
    assert.deepEqual(gathered.map((msg) => msg.sip.session).sort(), accepted.sort());
  });

  it("plays on through a Full deploy: no packet is lost, and the end fires on the new node", async () => {
    const build = (): FlowNode[] => {
      const flow = new FlowBuilder();
      const stack = flow.config("sip-stack", {
        transports: [{ protocol: "udp", address: "127.0.0.1", port }],
        rtpPortMin: 33300,
        rtpPortMax: 33400,
      });
      const play = flow.node(
        "sip-play",
        { source: "ring", sourceType: "tone" },
        flow.captures("play", 2),
      );
      const accept = flow.node("sip-accept", {}, [[play], []]);
      flow.node("sip-incoming", { stack, ring: true }, [[accept], [flow.capture("over")]]);
      return flow.build();
    };
    await nodeRed.deploy(build());
    const sequence: number[] = [];
    const ear = createSocket("udp4").on("message", (packet) =>
      sequence.push(packet.readUInt16BE(2)),
    );
    await new Promise<void>((done) => ear.bind(0, "127.0.0.1", done));
    const call = phone.call(`sip:music@127.0.0.1:${port}`, ear.address().port);
    await phone.until(call, "confirmed");
    await pause(1000);
    await nodeRed.deploy(build());
    await nodeRed.waitFor("play/1", 1, 10_000);
    assert.equal(call.state, "established");
    await call.end();
    ear.close();
    assert.ok(sequence.length > 240, `${sequence.length} packets in 5 s`);
    const gaps = sequence.slice(1).filter((number, at) => number !== ((sequence[at] + 1) & 0xffff));
    assert.deepEqual(gaps, []);
  });

  it("keeps two calls joined through a Full deploy: no packet is lost, and the end fires on the new node", async () => {
    const other = await Phone.start();
    const [mouth, ear] = [await RtpPhone.open(), await RtpPhone.open()];
    try {
      other.userAgent.onIncomingCall = (session) => {
        void session.accept({ sdp: ear.description() });
        return true;
      };
      const build = (): FlowNode[] => {
        const flow = new FlowBuilder();
        const stack = flow.config("sip-stack", {
          transports: [{ protocol: "udp", address: "127.0.0.1", port }],
          rtpPortMin: 33500,
          rtpPortMax: 33600,
        });
        const bridge = flow.node("sip-bridge", {}, flow.captures("bridge", 2));
        const to = `sip:other@127.0.0.1:${other.userAgent.bound[0]?.port}`;
        const invite = flow.node("sip-invite", { stack, to }, [[bridge], [], [], []]);
        const accept = flow.node("sip-accept", {}, [[invite], []]);
        flow.node("sip-incoming", { stack }, [[accept], []]);
        return flow.build();
      };
      await nodeRed.deploy(build());
      const call = phone.userAgent.invite({
        targets: [`sip:house@127.0.0.1:${port}`],
        sdp: mouth.description(),
      });
      await phone.until(call, "confirmed");
      const answer = phone.events.get(call.id)?.find(({ name }) => name === "answered");
      mouth.connectTo(answer?.remoteSdp ?? "");
      mouth.speak(440);
      await nodeRed.waitFor("bridge/1");
      await pause(500);
      const before = ear.packets.length;
      await nodeRed.deploy(build());
      await pause(1000);
      assert.equal(call.state, "established");
      const sequence = ear.packets.slice(before).map(({ sequenceNumber }) => sequenceNumber);
      assert.ok(sequence.length > 40, `${sequence.length} packets`);
      const gaps = sequence.filter(
        (one, at) => at > 0 && one !== ((sequence[at - 1] + 1) & 0xffff),
      );
      assert.deepEqual(gaps, []);
      assert.ok(Math.abs(toneFrequency(ear.samples().slice(-4000)) - 440) < 5);
      await call.end();
      const [ended] = await nodeRed.waitFor("bridge/2");
      assert.equal((ended?.msg as Message).payload, "remote-bye");
      const left = [...other.events.values()].flat().map(({ name }) => name);
      assert.ok(left.includes("ended"), left.join(" "));
    } finally {
      await mouth.close();
      await ear.close();
      await other.userAgent.stop();
    }
  });

  it("ends calls with BYE when the stack's settings change", async () => {
    const calls = await hold(3);
    await nodeRed.deploy(await holdingFlow(port, { unhandledStatus: 404 }));
    for (const call of calls) await phone.until(call, "ended", 5000);
  });

  it("ends a call whose owner was deleted, and keeps one whose waiting node was", async () => {
    const [call] = (await hold(1)) as [Session];
    const flows = await holdingFlow(port);
    await nodeRed.deploy(flows.filter((node) => node.type !== "sip-gather"));
    await pause(500);
    assert.equal(call.state, "established");
    await nodeRed.deploy(
      flows.filter((node) => node.type !== "sip-gather" && node.type !== "sip-incoming"),
    );
    await phone.until(call, "ended", 5000);
  });

  it("says BYE to everyone on SIGTERM, within 3 s", async () => {
    const calls = await hold(5);
    const took = await nodeRed.stop();
    assert.ok(took < 4000, `${took} ms`);
    for (const call of calls) await phone.until(call, "ended", 3000);
  });
});
