/**
 * Floods against a real Node-RED, from a process of their own, while a call with sound is up: the sound goes on, another peer's
 * OPTIONS are answered, its calls come in, and memory stays bounded. `FLOOD_SECONDS` makes each flood longer
 * and adds further ones, `FLOOD_RATE` makes them denser.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { UserAgent, type Session } from "../../lib/index.js";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed, pause, projectRoot } from "../support/node-red.js";
import { freePort } from "../support/ports.js";
import { RtpPhone } from "../support/rtp-phone.js";

const IS_LONG = process.env["FLOOD_SECONDS"] !== undefined;
const SECONDS = Number(process.env["FLOOD_SECONDS"] ?? 2);
const RATE = Number(process.env["FLOOD_RATE"] ?? 2_000);
const FRIEND = "127.0.81.1";
const OTHER = "127.0.81.2";
const HOSTILE = "127.0.82.1";
/** 200 of them. */
const FORGED = "127.0.82.*";

interface Flood {
  readonly what: string;
  readonly kind: string;
  readonly from?: string;
  readonly stack?: Record<string, unknown>;
  /** Milliseconds within which OPTIONS of another peer are answered: 500 is the goal, and room for a busy machine. */
  readonly patience?: number;
  /** Only when asked for. */
  readonly isExtra?: boolean;
}

const outside = { allow: ["127.0.81.0/24"] };
const floods: readonly Flood[] = [
  { what: "INVITEs of a stranger", kind: "INVITE", stack: outside },
  { what: "INVITEs of 200 strangers", kind: "INVITE", from: FORGED, stack: outside, isExtra: true },
  {
    what: "INVITEs of a peer above its limit",
    kind: "INVITE",
    stack: { maxRequestsPerSecond: 20 },
  },
  { what: "INVITEs of a peer without a limit, never confirmed", kind: "INVITE", patience: 1_000 },
  { what: "INVITEs of 200 forged peers", kind: "INVITE", from: FORGED, patience: 1_000 },
  { what: "REGISTER", kind: "REGISTER", isExtra: true },
  { what: "MESSAGE", kind: "MESSAGE", isExtra: true },
  { what: "responses that nobody asked for", kind: "response", isExtra: true },
  { what: "garbage", kind: "garbage" },
  { what: "RTP at the port of the call", kind: "rtp" },
];

describe(`a flood of ${RATE} datagrams a second`, function () {
  this.timeout(60_000 + 20_000 * SECONDS);
  let nodeRed: NodeRed;
  let friend: UserAgent;
  let phone: RtpPhone;
  let other: Socket;
  let port: number;
  const sdps = new Map<string, string>();

  before(async () => {
    nodeRed = await NodeRed.start();
  });

  after(() => nodeRed?.stop());

  afterEach(async () => {
    void phone?.close();
    other?.close();
    await friend?.stop();
  });

  async function setUp(settings: Record<string, unknown>): Promise<Session> {
    port = await freePort();
    const flow = new FlowBuilder();
    const stack = flow.config("sip-stack", {
      transports: [{ protocol: "udp", address: "127.0.0.1", port }],
      rtpPortMin: 34_000,
      rtpPortMax: 39_000,
      codecs: "PCMU",
      ...settings,
    });
    const play = flow.node("sip-play", { source: "ring", sourceType: "tone", loop: true });
    const accept = flow.node("sip-accept", {}, [[play], []]);
    flow.node("sip-incoming", { stack, match: "alice" }, [[accept], [flow.capture("ended")]]);
    await nodeRed.deploy(flow.build());
    friend = new UserAgent({ transports: [{ protocol: "udp", address: FRIEND, port: 0 }] });
    friend.on("sessionEvent", (session, { remoteSdp }) => {
      if (remoteSdp !== undefined) sdps.set(session.id, remoteSdp);
    });
    await friend.start();
    phone = await RtpPhone.open({ address: FRIEND });
    other = createSocket("udp4");
    await new Promise<void>((done) => other.bind(0, OTHER, done));
    const call = invite(phone.description());
    await until(() => sdps.has(call.id), "the call");
    phone.connectTo(sdps.get(call.id) ?? "");
    phone.speak(440);
    await until(() => phone.packets.length > 10, "sound");
    return call;
  }

  const invite = (sdp: string): Session =>
    friend.invite({ targets: [`sip:alice@127.0.0.1:${port}`], sdp });

  async function until(condition: () => boolean, what: string): Promise<void> {
    const end = Date.now() + 10_000;
    while (!condition()) {
      assert.ok(Date.now() < end, `${what} did not come: ${nodeRed.log.slice(-500)}`);
      await pause(10);
    }
  }

  /** Megabytes. */
  const memory = (): number => {
    const status = readFileSync(`/proc/${nodeRed.process.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  };

  /** Asks with OPTIONS ten times a second. @returns stops, and gives the milliseconds of each answer, Infinity for none. */
  function asking(): () => number[] {
    const asked: number[] = [];
    const answered: number[] = [];
    other.on("message", (data) => {
      const index = Number(/^Call-ID: ask-(\d+)/m.exec(data.toString("latin1"))?.[1]);
      answered[index] ??= performance.now() - asked[index];
    });
    const timer = setInterval(() => {
      const n = asked.push(performance.now()) - 1;
      const text = `OPTIONS sip:alice@127.0.0.1:${port} SIP/2.0\r\nVia: SIP/2.0/UDP ${OTHER}:${other.address().port};branch=z9hG4bKask${n};rport\r\nMax-Forwards: 70\r\nFrom: <sip:o@${OTHER}>;tag=o${n}\r\nTo: <sip:alice@127.0.0.1>\r\nCall-ID: ask-${n}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n`;
      other.send(text, port, "127.0.0.1");
    }, 100);
    return () => {
      clearInterval(timer);
      return asked.map((_at, n) => answered[n] ?? Number.POSITIVE_INFINITY);
    };
  }

  /** Calls that the friend places one after the other until the time is over: how many came in, and how many did not. */
  async function calling(end: number): Promise<{ good: number; bad: number }> {
    const count = { good: 0, bad: 0 };
    while (Date.now() < end) {
      const call = invite(phone.description({ port: 40_002 }));
      await until(() => call.state === "established" || call.state === "terminated", "an answer");
      if (call.state === "established") count.good++;
      else count.bad++;
      await call.end();
      await pause(100);
    }
    return count;
  }

  function flood(kind: string, from: string, target: number): Promise<{ sent: number }> {
    const script = join(projectRoot, "test/support/flooder.mjs");
    const args = [kind, from, "127.0.0.1", target, RATE, SECONDS].map(String);
    const child = spawn(process.execPath, [script, ...args]);
    let out = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (out += data));
    return new Promise((done, reject) =>
      child.on("exit", () => {
        try {
          done(JSON.parse(out) as { sent: number });
        } catch {
          reject(new Error(out));
        }
      }),
    );
  }

  for (const { what, kind, from = HOSTILE, stack = {}, patience = 500 } of floods.filter(
    ({ isExtra }) => IS_LONG || isExtra !== true,
  )) {
    it(`leaves a call and other peers alone: ${what}`, async function () {
      const call = await setUp(stack);
      // A stack that has been at work, as one is that is attacked.
      await calling(Date.now() + 500);
      const media = Number(/^m=audio (\d+)/m.exec(sdps.get(call.id) ?? "")?.[1]);
      const before = memory();
      const first = phone.packets.length;
      const stopAsking = asking();
      const [{ sent }, calls] = await Promise.all([
        flood(kind, from, kind === "rtp" ? media : port),
        calling(Date.now() + SECONDS * 1_000),
      ]);
      const peak = memory();
      await pause(500);
      const waits = stopAsking().slice(0, -3);
      const numbers = phone.packets.slice(first).map(({ sequenceNumber }) => sequenceNumber);
      const span = ((numbers.at(-1) ?? 0) - (numbers[0] ?? 0)) & 0xffff;
      const lost = 1 - new Set(numbers).size / (span + 1);
      phone.hush();
      await pause(100);
      await call.end();
      const ended = await endOf(call);
      const { packetsReceived = 0 } = ended;
      const slowest = Math.max(...waits);
      console.log(
        `      ${sent} sent; sound lost ${(100 * lost).toFixed(1)} %; OPTIONS ${slowest.toFixed(0)} ms at most; ` +
          `${calls.good} calls came in; ${(peak - before).toFixed(0)} MB more`,
      );
      assert.equal(nodeRed.exitCode, undefined);
      assert.ok(sent >= 0.9 * RATE * SECONDS, `only ${sent} were sent`);
      assert.ok(numbers.length > 40 * SECONDS, `${numbers.length} packets of sound`);
      assert.ok(lost <= 0.01, `${lost} of the sound was lost`);
      assert.ok(
        packetsReceived >= 0.98 * phone.packetsSent,
        `${packetsReceived} of ${phone.packetsSent}`,
      );
      assert.ok(slowest <= patience, `OPTIONS: ${waits.map((ms) => ms.toFixed(0)).join(" ")}`);
      assert.equal(calls.bad, 0);
      assert.ok(calls.good > 0);
      assert.ok(peak - before < 200, `${peak - before} MB more`);
    });
  }

  /** The statistics with which the flow heard of the end of this call. */
  async function endOf(call: Session): Promise<Record<string, number>> {
    const { callId } = call.snapshot();
    const end = Date.now() + 5_000;
    while (Date.now() < end) {
      for (const { msg } of await nodeRed.captured("ended")) {
        const sip = (msg as { sip: { callId?: string; statistics?: Record<string, number> } }).sip;
        if (sip.callId === callId) return sip.statistics ?? {};
      }
      await pause(50);
    }
    return {};
  }
});
