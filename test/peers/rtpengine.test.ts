/**
 * Bridges through two real rtpengines: baresip phones hear each other through the engine and not through us, with
 * different codecs and encryption, keys arrive as events, sounds come from us and go back, holds pass, what was counted
 * stands in `ended`, and when the engine of a call is killed the call moves to the other one.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { onceMoreWhenDisturbed } from "../support/disturbance.js";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed, pause } from "../support/node-red.js";
import { Baresip } from "../support/peers/baresip.js";
import { Capture, type RtpStream } from "../support/peers/capture.js";
import { heardTone } from "../support/peers/heard.js";
import { needs } from "../support/peers/process.js";
import { Rtpengine } from "../support/peers/rtpengine.js";
import type { Message } from "../support/peers/telephone-room.js";
import { freePort } from "../support/ports.js";

/** Name, codec, tone in Hz, first port of RTP: where tshark takes no packet for another protocol's. */
const PHONES = [
  ["amy", "PCMU", 500, 2430],
  ["ben", "PCMU", 900, 2530],
  ["eve", "G722", 1300, 2630],
  ["dan", "PCMA", 1100, 5100],
] as const;
const OURS = 5_200;
const ENGINES = ["127.0.32.1", "127.0.32.2"] as const;
const DIGITS = "127.0.32.9:2230";
type Name = (typeof PHONES)[number][0];
const toneOf = (name: Name): number => PHONES.find(([known]) => known === name)?.[2] ?? 0;

describe("a bridge through rtpengine", function () {
  this.timeout(60_000);
  beforeEach(onceMoreWhenDisturbed);
  const phones = new Map<Name, Baresip>();
  const engines = ENGINES.map((address) => new Rtpengine({ address, digits: DIGITS }));
  let nodeRed: NodeRed;
  let port: number;

  before(async function () {
    needs(this, "baresip", "tshark", "rtpengine");
    port = await freePort();
    for (const [index, [name, codec, tone, rtpPort]] of PHONES.entries()) {
      const phone = new Baresip({
        name,
        address: `127.0.32.${11 + index}`,
        answer: "auto",
        tone,
        rtpPort,
        codec,
      });
      phones.set(name, phone);
    }
    await Promise.all([...phones.values(), ...engines].map((peer) => peer.start()));
    nodeRed = await NodeRed.start({ settings: { sipStackRtpengineDigits: DIGITS } });
    await nodeRed.deploy(flows());
    await nodeRed.waitFor("listening");
  });

  after(async () => {
    await nodeRed?.stop();
    await Promise.all([...phones.values(), ...engines].map((peer) => peer.dispose()));
  });

  /** Who is called through us says whom to call. */
  function flows() {
    const flow = new FlowBuilder();
    const stack = flow.config("sip-stack", {
      transports: [{ protocol: "udp", address: "127.0.0.1", port }],
      media: "rtpengine",
      rtpengine: engines.map(({ url }) => url).join(","),
      rtpPortMin: OURS,
      rtpPortMax: OURS + 44,
      codecs: "opus,G722,PCMU,PCMA",
      srtp: "optional",
    });
    const bridge = flow.node("sip-bridge", {}, flow.captures("bridge", 2));
    // The re-INVITE of the bridge makes baresip record anew, into the same file when it comes in the same second.
    const later = flow.node(
      "delay",
      { pauseType: "delay", timeout: "1100", timeoutUnits: "milliseconds", outputs: 1 },
      [[bridge]],
    );
    const invite = flow.node(
      "sip-invite",
      { stack, to: "to", toType: "msg", timeout: 20 },
      flow.captures("invite", 4, { 1: [later] }),
    );
    const places = Object.fromEntries(
      [...phones].map(([name, { options }]) => [name, options.address]),
    );
    const choose = flow.node(
      "function",
      {
        func: `msg.to = "sip:" + msg.sip.local.user + "@" + ${JSON.stringify(places)}[msg.sip.local.user];
return msg;`,
        outputs: 1,
        libs: [],
        initialize: "",
        finalize: "",
      },
      [[invite]],
    );
    const accept = flow.node("sip-accept", {}, flow.captures("accept", 2, { 1: [choose] }));
    flow.node("sip-incoming", { stack, match: "" }, flow.captures("incoming", 2, { 1: [accept] }));
    const play = flow.node(
      "sip-play",
      { source: "tone:beep", sourceType: "str" },
      flow.captures("play", 2),
    );
    const star = flow.node(
      "switch",
      {
        property: "payload",
        propertyType: "msg",
        rules: [{ t: "eq", v: "*", vt: "str" }],
        checkall: "true",
        repair: false,
        outputs: 1,
      },
      [[play]],
    );
    flow.node("sip-event", { stack, events: ["dtmf", "hold", "resume", "media"] }, [
      [flow.capture("events"), star],
    ]);
    flow.node("sip-event", { stack, events: ["ended"] }, [[flow.capture("ended")]]);
    flow.node("catch", { scope: null, uncaught: false }, [[flow.capture("caught")]]);
    const ready = flow.capture("listening");
    flow.node("inject", { once: true, onceDelay: 1, props: [], repeat: "" }, [[ready]]);
    return flow.build();
  }

  const phone = (name: Name): Baresip => {
    const found = phones.get(name);
    assert.ok(found);
    return found;
  };
  async function sees(name: string, fits: (message: Message) => boolean): Promise<Message> {
    const end = Date.now() + 12_000;
    for (;;) {
      const found = (await nodeRed.captured(name)).findLast(({ msg }) => fits(msg));
      if (found !== undefined) return found.msg;
      if (Date.now() > end) assert.fail(`${name} not seen: ${nodeRed.log.slice(-1000)}`);
      await pause(50);
    }
  }

  const known = new Set<string>();
  async function joined(from: Name, to: Name): Promise<Message> {
    await phone(from).command("dial", `sip:${to}@127.0.0.1:${port}`);
    const message = await sees(
      "bridge/1",
      ({ sip }) => sip.remote.user === to && !known.has(sip.session),
    );
    known.add(message.sip.session);
    return message;
  }

  async function hangsUp(name: Name, { sip }: Message): Promise<void> {
    await phone(name).command("hangup");
    const legs = [sip.session, sip.peer];
    const ended = await sees("bridge/2", (message) => legs.includes(message.sip.session));
    assert.equal(ended.payload, "remote-bye");
    await pause(400);
  }

  /** The recording of the phone's last call. */
  function hears(name: Name, of: Name, judged = 2): void {
    const file = phone(name).recordings().toSorted().at(-1);
    assert.ok(file, `${name} has recorded nothing`);
    const heard = heardTone(readFileSync(file), { frequency: toneOf(of), level: 0.5, judged });
    const text = `${name} heard ${of}: ${JSON.stringify(heard)}`;
    assert.ok(Math.abs(heard.frequency / toneOf(of) - 1) < 0.01, text);
    assert.ok(Math.abs(heard.decibels) < 1.5, text);
    assert.ok(heard.gap <= 60, text);
  }

  async function captured(): Promise<RtpStream[]> {
    const capture = new Capture();
    await capture.start(
      "udp and (portrange 2430-2729 or portrange 5100-5244 or portrange 8220-8598)",
    );
    await pause(2000);
    await capture.stop();
    const streams = capture.streams();
    capture.dispose();
    return streams;
  }

  const isPortOf = (name: Name, used: number): boolean => {
    const first = phone(name).options.rtpPort;
    return used >= first && used < first + 100;
  };
  const isOfEngine = (used: number): boolean => used >= 8220 && used <= 8598;

  /** To and from both by the engine, 20 ms apart and nothing lost. */
  async function goThroughEngine(...names: Name[]): Promise<void> {
    const streams = await captured();
    const text = JSON.stringify(streams);
    for (const name of names) {
      const to = streams.filter(({ destinationPort }) => isPortOf(name, destinationPort));
      assert.equal(to.length, 1, `${name}: ${text}`);
      const [{ sourcePort, packets, lost, meanDelta }] = to;
      assert.ok(isOfEngine(sourcePort) && packets > 80 && lost === 0, `${name}: ${text}`);
      assert.ok(Math.abs(meanDelta - 20) < 1, text);
    }
  }

  async function talks(from: Name, to: Name): Promise<void> {
    const message = await joined(from, to);
    await pause(1000);
    await goThroughEngine(from, to);
    await pause(1500);
    await hangsUp(to, message);
    hears(from, to);
    hears(to, from);
    for (const session of [message.sip.session, message.sip.peer]) {
      const { sip } = await sees("ended", (ended) => ended.sip.session === session);
      const { packetsReceived = 0, packetsSent = 0 } = (sip.statistics ?? {}) as Record<
        string,
        number
      >;
      assert.ok(packetsReceived > 150 && packetsSent > 150, JSON.stringify(sip));
    }
  }

  it("lets each hear the other, nothing goes through us, and what was counted is told", async () => {
    await talks("amy", "ben");
  });

  it("translates between codecs that the phones do not share", async () => {
    await talks("eve", "dan");
  });

  it("lives through a Deploy of everything", async () => {
    const message = await joined("amy", "ben");
    await pause(500);
    await nodeRed.deploy(flows());
    await goThroughEngine("amy", "ben");
    await hangsUp("ben", message);
  });

  it("tells keys once, and passes them on; a hold passes, and its end", async () => {
    const message = await joined("amy", "ben");
    await pause(1000);
    await phone("amy").press("15#");
    await phone("ben").until(/[Rr]eceived DTMF event: '#'|event: '#'|DTMF.*'#'/, 8000);
    await sees("events", ({ topic, payload }) => topic === "dtmf" && payload === "#");
    const keys = (await nodeRed.captured("events")).filter(({ msg }) => msg.topic === "dtmf");
    assert.deepEqual(
      keys.map(({ msg }): unknown => msg.payload),
      ["1", "5", "#"],
    );
    await phone("amy").command("hold");
    await sees("events", ({ topic }) => topic === "hold");
    await pause(300);
    await phone("amy").command("resume");
    await sees("events", ({ topic }) => topic === "resume");
    await pause(300);
    await goThroughEngine("amy", "ben");
    await hangsUp("amy", message);
  });

  it("brings the sound here for as long as the flow plays something", async () => {
    const message = await joined("amy", "ben");
    await pause(1000);
    await phone("amy").press("*");
    const played = await sees("play/1", () => true);
    assert.equal(played.payload, "completed");
    await pause(1700);
    await goThroughEngine("amy", "ben");
    await hangsUp("amy", message);
    assert.deepEqual(await nodeRed.captured("caught"), []);
  });

  it("moves a call to the other engine when its own is killed, and back here without any", async () => {
    // A second attempt finds what the first one has left.
    for (const engine of engines) if (!engine.isRunning) await engine.start();
    for (const name of ["amy", "ben"] as const) await phone(name).command("hangup");
    await pause(2500);
    const message = await joined("amy", "ben");
    await pause(1000);
    const toAmy = async (): Promise<RtpStream> => {
      const streams = (await captured()).filter(({ destinationPort }) =>
        isPortOf("amy", destinationPort),
      );
      assert.equal(streams.length, 1, JSON.stringify(streams));
      return streams[0];
    };
    const used = async (): Promise<Rtpengine | undefined> => {
      const { source } = await toAmy();
      return engines.find(({ options }) => options.address === source);
    };
    const first = await used();
    await first?.stop("SIGKILL");
    await pause(3000);
    const second = await used();
    assert.ok(
      first !== undefined && second !== undefined && second !== first,
      `${first?.url} ${second?.url} ${nodeRed.log.slice(-1500)}`,
    );
    await second.stop("SIGKILL");
    await pause(3000);
    const stream = await toAmy();
    assert.ok(!isOfEngine(stream.sourcePort) && stream.packets > 80, JSON.stringify(stream));
    await hangsUp("ben", message);
    assert.deepEqual(await nodeRed.captured("caught"), []);
  });
});
