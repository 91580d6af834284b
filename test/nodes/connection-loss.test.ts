/**
 * Real connections that are cut in the middle of a call, seen through the nodes: the call goes on over a new one, its
 * sound never stops, `route`, `connected` and `disconnected` tell it, and the causes are right where nothing comes back.
 */
import assert from "node:assert/strict";
import { DescriptionMediaHandler, UserAgent, type Session } from "../../lib/index.js";
import { certificateAuthority } from "../support/certificates.js";
import type { Certificate, CertificateAuthority } from "../support/certificates.js";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";
import { freePort } from "../support/ports.js";
import { RtpPhone } from "../support/rtp-phone.js";
import { SeededRandom } from "../support/seeded-random.js";
import { TcpRelay, type Cut } from "../support/tcp-relay.js";

type Protocol = "tcp" | "tls" | "ws" | "wss";

describe("a connection that is cut in a call", function () {
  this.timeout(30_000);
  useNodeRed();
  let bench: NodeBench;
  let authority: CertificateAuthority;
  let certificate: Certificate;
  let phone: UserAgent;
  let ear: RtpPhone;
  let relay: TcpRelay;

  before(() => {
    authority = certificateAuthority();
    certificate = authority.issue({ commonName: "127.0.0.1", altNames: ["IP:127.0.0.1"] });
  });
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(async () => {
    await phone.stop({ graceMs: 100 });
    relay.stop();
    await ear.close();
    await bench.unload();
  });

  async function until(what: string, condition: () => boolean, limitMs = 8_000): Promise<void> {
    const end = Date.now() + limitMs;
    while (!condition()) {
      if (Date.now() > end) assert.fail(`no ${what}; seen: ${bench.order().join(" ")}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  const seen =
    (from: string, count = 1) =>
    (): boolean =>
      bench.of(from).length >= count;

  /** A stack with one transport behind a relay, and a phone that knows only the relay. */
  async function start(protocol: Protocol): Promise<string> {
    const port = await freePort();
    const secure = protocol === "tls" || protocol === "wss";
    const flow: FlowEntry[] = [
      { id: "tls", type: "tls-config", cert: "", key: "", ca: "", verifyservercert: false },
      stack({
        transports: [{ protocol, address: "127.0.0.1", port, ...(secure ? { tls: "tls" } : {}) }],
        rtpPortMin: 21_300,
        rtpPortMax: 21_398,
        codecs: "PCMU",
      }),
      { id: "in", type: "sip-incoming", stack: "stack", ring: false },
      { id: "ans", type: "sip-accept" },
      { id: "play", type: "sip-play", source: "ring", sourceType: "tone", loop: true },
      { id: "bye", type: "sip-bye" },
      { id: "hold", type: "sip-reinvite", action: "hold" },
      { id: "ev", type: "sip-event", stack: "stack", events: "route,connected,disconnected" },
    ];
    await bench.loadReal(flow, {
      tls: { certdata: certificate.cert, keydata: certificate.key, cadata: authority.cert },
    });
    const node = bench.node("stack") as unknown as { userAgent?: { running: boolean } };
    await until("stack", () => node.userAgent?.running === true);
    relay = await TcpRelay.start(port);
    ear = await RtpPhone.open();
    const material = { ca: authority.cert, ...certificate };
    phone = new UserAgent({
      mediaHandler: new DescriptionMediaHandler({
        address: "127.0.0.1",
        port: ear.port,
        random: new SeededRandom(1),
      }),
      transports: [
        {
          protocol,
          address: "127.0.0.1",
          port: protocol === "ws" || protocol === "wss" ? undefined : 0,
          ...(secure ? { tls: material } : {}),
        },
      ],
    });
    await phone.start();
    const transport = protocol === "wss" ? "ws" : protocol;
    return `${secure && transport === "ws" ? "sips" : "sip"}:door@127.0.0.1:${relay.port};transport=${transport}`;
  }

  async function talk(target: string): Promise<Session> {
    const session = phone.invite({ targets: [target] });
    await until("call", seen("in:1"));
    bench.send("ans", bench.of("in:1")[0]);
    await until("answer", seen("ans:1"));
    await until("answer at the phone", () => session.state === "established");
    bench.send("play", bench.only("ans:1"));
    await until("sound", () => ear.packets.length > 10);
    return session;
  }

  /** Longest pause between two packets of sound, milliseconds. */
  function longestPause(): number {
    const times = ear.packets.map(({ arrival }) => arrival);
    return Math.max(...times.slice(1).map((at, i) => at - (times[i] ?? 0)));
  }

  const told = (topic: string) =>
    bench.of("ev:1").flatMap((msg) => (msg.topic === topic ? [msg.payload] : []));

  for (const protocol of ["tcp", "tls", "ws", "wss"] as const) {
    const ways: Cut[] = protocol === "tcp" ? ["reset", "end"] : ["reset"];
    for (const how of ways) {
      it(`${protocol} (${how}): sound goes on, the phone's next request and BYE come over a new one`, async () => {
        const session = await talk(await start(protocol));
        relay.cut(how);
        await until("route down", () => told("route").includes("down"));
        await new Promise((resolve) => setTimeout(resolve, 300));
        const info = await session.request({ method: "OPTIONS" });
        assert.equal(info.ok, true, JSON.stringify({ ...info, message: undefined }));
        await until("route up", () => told("route").includes("up"));
        assert.equal(bench.of("in:2").length, 0);
        assert.ok(longestPause() < 400, `a pause of ${longestPause()} ms`);
        await session.end();
        await until("end", seen("in:2"));
        assert.equal(bench.only("in:2").payload, "remote-bye");
      });
    }
  }

  for (const protocol of ["tcp", "tls"] as const) {
    it(`${protocol}: the flow's next request and BYE reach the phone over a new one`, async () => {
      const session = await talk(await start(protocol));
      relay.cut("reset");
      await until("route down", () => told("route").includes("down"));
      const handle = { session: bench.only("ans:1").sip.session };
      bench.send("hold", { sip: handle });
      await until("hold", seen("hold:1"));
      assert.equal(session.snapshot().hold, "remote");
      bench.send("bye", { sip: handle });
      await until("end", seen("bye:1"));
      await until("end at the phone", () => session.state === "terminated");
      assert.equal(session.snapshot().cause, "remote-bye");
      assert.equal(bench.only("bye:1").payload, "local-bye");
    });
  }

  it("ws: a client that does not come back cannot be reached; the flow's BYE ends the call here, at once", async () => {
    await talk(await start("ws"));
    relay.cut("reset");
    await until("route down", () => told("route").includes("down"));
    const from = Date.now();
    bench.send("bye", { sip: { session: bench.only("ans:1").sip.session } });
    await until("end", seen("bye:1"));
    assert.ok(Date.now() - from < 2_000);
  });

  it("and an INVITE that is refused everywhere fails with transport-error", async () => {
    const target = await start("tcp");
    relay.stop();
    const session = phone.invite({ targets: [target] });
    await until("failure", () => session.state === "terminated");
    assert.equal(session.snapshot().cause, "transport-error");
  });
});
