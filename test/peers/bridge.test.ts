/**
 * Pairs of baresip phones that a flow joins: the one calls, the flow answers and calls the other. Each hears the tone of
 * the other (pitch, loudness, gaps in its recording), keys arrive, a hold is heard, a transfer moves the bridge, and in the
 * mode `signaling` the packets take the short way.
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
import type { Message } from "../support/peers/telephone-room.js";
import { freePort } from "../support/ports.js";

const PHONES = [
  ["amy", "PCMU", 500],
  ["ben", "PCMU", 900],
  ["cleo", "PCMU", 700],
  ["dan", "PCMA", 1100],
  ["eve", "G722", 1300],
  ["fred", "PCMA", 1500],
  ["gus", "opus", 500],
  ["hal", "opus", 900],
  ["ivy", "PCMU", 700],
] as const;
/** RTP of the phones, and behind it ours: below the ports of freePort and of stacks that choose none. */
const FIRST = 4_000;
const OURS = FIRST + 100 * PHONES.length;
type Name = (typeof PHONES)[number][0];
/** Hz; half of full scale. */
const toneOf = (name: Name): number => PHONES.find(([known]) => known === name)?.[2] ?? 0;

describe("a bridge of two phones", function () {
  this.timeout(60_000);
  beforeEach(onceMoreWhenDisturbed);
  const phones = new Map<Name, Baresip>();
  let nodeRed: NodeRed;
  let port: number;

  before(async function () {
    needs(this, "baresip", "tshark");
    port = await freePort();
    for (const [index, [name, codec, tone]] of PHONES.entries()) {
      const phone = new Baresip({
        name,
        address: `127.0.66.${11 + index}`,
        answer: "auto",
        tone,
        rtpPort: FIRST + 100 * index,
        codec,
        ...(name === "ivy" ? { encryption: "srtp-mand" } : {}),
      });
      phones.set(name, phone);
    }
    await Promise.all([...phones.values()].map((phone) => phone.start()));
    nodeRed = await NodeRed.start();
    await nodeRed.deploy(flows());
    await nodeRed.waitFor("listening");
  });

  after(async () => {
    await nodeRed?.stop();
    await Promise.all([...phones.values()].map((phone) => phone.dispose()));
  });

  /** Who is called through us says whom to call; the user `direct-NAME` asks for the mode signaling. */
  function flows() {
    const flow = new FlowBuilder();
    const stack = flow.config("sip-stack", {
      transports: [{ protocol: "udp", address: "127.0.0.1", port }],
      rtpPortMin: OURS,
      rtpPortMax: OURS + 98,
      codecs: "opus,G722,PCMU,PCMA",
      srtp: "optional",
    });
    const bridge = flow.node("sip-bridge", {}, flow.captures("bridge", 2));
    const mode = flow.node(
      "function",
      {
        func: 'msg.options = {mode: msg.direct ? "signaling" : "media"}; return msg;',
        outputs: 1,
        libs: [],
        initialize: "",
        finalize: "",
      },
      [[bridge]],
    );
    const invite = flow.node(
      "sip-invite",
      { stack, to: "to", toType: "msg", timeout: 20 },
      flow.captures("invite", 4, { 1: [mode] }),
    );
    const places = Object.fromEntries(
      [...phones].map(([name, { options }]) => [name, options.address]),
    );
    const choose = flow.node(
      "function",
      {
        func: `const [, direct, name] = /^(direct-)?(\\w+)$/.exec(msg.sip.local.user);
msg.direct = direct !== undefined;
msg.to = "sip:" + name + "@" + ${JSON.stringify(places)}[name];
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
    const follow = flow.node("sip-accept", { follow: true }, flow.captures("follow", 2));
    flow.node("sip-event", { stack, events: ["refer"], answerWithin: 3000 }, [[follow]]);
    flow.node("sip-event", { stack, events: ["dtmf", "hold", "resume"] }, [
      [flow.capture("events")],
    ]);
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
  /** Messages of a capture so far; waits until one fits. */
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
  /** `from` calls `to` through the flow. @returns the message of `sip-bridge` 1. */
  async function joined(from: Name, to: Name, prefix = ""): Promise<Message> {
    await phone(from).command("dial", `sip:${prefix}${to}@127.0.0.1:${port}`);
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
    assert.ok(Math.abs(heard.decibels) < 1, text);
    assert.ok(heard.gap <= 40, text);
  }

  /** What goes between the phones and us for two seconds. */
  async function captured(): Promise<RtpStream[]> {
    const capture = new Capture();
    await capture.start(`udp portrange ${FIRST}-${OURS + 98}`);
    await pause(1500);
    await capture.stop();
    const isOurs = (used: number): boolean => used >= FIRST && used <= OURS + 98;
    const streams = capture
      .streams()
      .filter(({ sourcePort, destinationPort }) => isOurs(sourcePort) && isOurs(destinationPort));
    capture.dispose();
    return streams;
  }

  function isPortOf(name: Name, used: number): boolean {
    const first = phone(name).options.rtpPort;
    return used >= first && used < first + 100;
  }

  /** A call of some seconds. */
  async function talks(from: Name, to: Name): Promise<void> {
    const message = await joined(from, to);
    assert.equal(message.topic, "bridged");
    await pause(3500);
    await hangsUp(to, message);
    hears(from, to);
    hears(to, from);
  }

  it("lets each hear the other: PCMU and Opus as they are, PCMA with PCMU, with G.722", async () => {
    await Promise.all([
      talks("amy", "ben"),
      talks("cleo", "dan"),
      talks("fred", "eve"),
      talks("gus", "hal"),
    ]);
  });

  it("lets each hear the other: Opus with PCMA, encrypted with in clear", async () => {
    await Promise.all([talks("hal", "dan"), talks("ivy", "ben")]);
  });

  it("passes keys on, which stay events; a hold is heard as silence, and its end", async () => {
    const message = await joined("amy", "ben");
    await phone("amy").press("15#");
    await phone("ben")
      .until(/[Rr]eceived DTMF event: '#'|event: '#'|DTMF.*'#'/, 8000)
      .catch(() => {
        assert.fail(`ben got no keys: ${phone("ben").log.slice(-2000)}`);
      });
    const digits = (await nodeRed.captured("events")).filter(({ msg }) => msg.topic === "dtmf");
    assert.deepEqual(
      digits.map(({ msg }): unknown => msg.payload),
      ["1", "5", "#"],
    );
    await phone("amy").command("hold");
    await pause(1200);
    await phone("amy").command("resume");
    await sees("events", ({ topic }) => topic === "resume");
    await pause(300);
    const streams = await captured();
    const toAmy = streams.filter(({ destinationPort }) => isPortOf("amy", destinationPort));
    assert.equal(toAmy.length, 1, JSON.stringify(streams));
    assert.ok(toAmy[0].packets > 40 && toAmy[0].lost === 0, JSON.stringify(streams));
    await hangsUp("amy", message);
    assert.deepEqual(
      (await nodeRed.captured("events")).map(({ msg }): unknown => msg.topic).slice(-2),
      ["hold", "resume"],
    );
  });

  it("moves to the phone that one side is transferred to", async () => {
    const message = await joined("amy", "ben");
    await pause(500);
    // Ben sends his caller, us, to Dan.
    await phone("ben").command("transfer", `sip:dan@${phone("dan").options.address}`);
    const followed = await sees("follow/1", () => true);
    assert.equal(followed.sip.peer, message.sip.session);
    await pause(3500);
    const endings = async (): Promise<Message[]> =>
      (await nodeRed.captured("bridge/2"))
        .map(({ msg }): Message => msg)
        .filter(
          (msg) => msg.sip.session === message.sip.session || msg.sip.session === message.sip.peer,
        );
    assert.deepEqual(await endings(), []);
    await phone("amy").command("hangup");
    await pause(1000);
    hears("dan", "amy");
    const [ended] = await endings();
    assert.equal(ended?.sip.session, message.sip.peer);
    assert.equal(ended?.sip.peer, followed.sip.session);
  });

  /** Between the two phones, nothing lost, and nothing to or from us. */
  async function flowDirectly(): Promise<void> {
    const streams = await captured();
    const text = JSON.stringify(streams);
    for (const [from, to] of [
      ["amy", "ben"],
      ["ben", "amy"],
    ] as const) {
      const stream = streams.find(
        ({ sourcePort, destinationPort }) =>
          isPortOf(from, sourcePort) && isPortOf(to, destinationPort),
      );
      assert.ok(stream !== undefined && stream.packets > 70 && stream.lost === 0, text);
    }
    assert.ok(
      streams.every((stream) => stream.sourcePort < OURS && stream.destinationPort < OURS),
      text,
    );
  }

  it("lets the packets take the short way in the mode signaling, with holds", async () => {
    const message = await joined("amy", "ben", "direct-");
    await flowDirectly();
    await phone("amy").command("hold");
    await phone("ben").until(/hold|recvonly|sendonly/i, 5000);
    await pause(300);
    await phone("amy").command("resume");
    await pause(300);
    await flowDirectly();
    await hangsUp("ben", message);
    assert.deepEqual(await nodeRed.captured("caught"), []);
  });
});
