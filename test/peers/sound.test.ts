/**
 * The sound of calls through Kamailio and Node-RED, for each codec that baresip and linphone have: our tone measured in
 * the telephone's recording, the telephone's in ours, our packets by tshark. Then menus walked by their keys, a mailbox,
 * and the recording that is left when the process dies in the middle of it.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onceMoreWhenDisturbed } from "../support/disturbance.js";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed, pause } from "../support/node-red.js";
import { Baresip } from "../support/peers/baresip.js";
import { Capture, type RtpStream } from "../support/peers/capture.js";
import { heardTone, type HeardTone } from "../support/peers/heard.js";
import { Kamailio } from "../support/peers/kamailio.js";
import { Linphone } from "../support/peers/linphone.js";
import { needs } from "../support/peers/process.js";
import type { Message } from "../support/peers/telephone-room.js";
import { toneWav } from "../support/peers/wav.js";
import { ownNetwork } from "../support/port-range.js";
import { freePort } from "../support/ports.js";

const CODECS = ["PCMU", "PCMA", "G722", "opus"] as const;
type Codec = (typeof CODECS)[number];

/** How a linphone sends its keys. */
const DIGITS = { PCMU: "both", PCMA: "info", G722: "rfc4733", opus: "rfc4733" } as const;

const OURS = 500;
const THEIRS = 900;
const LEVEL = 0.5;
const RTP_PORT = 22_000;

/** One telephone, whatever it is. */
interface Telephone {
  readonly kind: "baresip" | "linphone";
  readonly user: string;
  readonly codec: Codec;
  readonly rtpPort: number;
  start(): Promise<void>;
  dial(): Promise<void>;
  press(digits: string): Promise<void>;
  hangUp(): Promise<void>;
  /** What it heard in its last call, a linphone in its first. */
  heard(): Buffer;
  /** The keys of ours that it tells of. */
  digits(): string;
  dispose(): Promise<void>;
}

const found = (log: string, what: RegExp): string =>
  [...log.matchAll(what)].map(([, digit]) => digit).join("");

/** Decibels. */
interface Change {
  readonly there: number;
  readonly here: number;
}
const NONE: Change = { there: 0, here: 0 };
/** Between linphone and baresip it is the same. */
const LINPHONE_G722: Change = { there: 6.02, here: -6.02 };

describe("the sound of telephones", function () {
  this.timeout(60_000);
  beforeEach(onceMoreWhenDisturbed);
  const network = ownNetwork();
  const folder = mkdtempSync(join(tmpdir(), "sound-"));
  const telephones: Telephone[] = [];
  let kamailio: Kamailio;
  let nodeRed: NodeRed;

  before(async function () {
    needs(this, "kamailio", "baresip", "linphonec", "tshark", "openssl");
    kamailio = new Kamailio({ address: `${network}.200` });
    writeFileSync(join(folder, "tone.wav"), toneWav(OURS, 3.5, 16_000));
    const users = ["alice", "bob", "carol", "dave", "erin", "frank", "tina", "tess"];
    for (const [index, codec] of CODECS.entries()) {
      telephones.push(makeBaresip(users[index], index, codec));
      telephones.push(await makeLinphone(users[4 + index], index, codec));
    }
    const [started] = await Promise.all([NodeRed.start(), kamailio.start()]);
    nodeRed = started;
    const { flows, credentials } = await soundFlow();
    await Promise.all([
      nodeRed.deploy(flows, { credentials }).then(() => nodeRed.waitFor("registered")),
      ...telephones.map((telephone) => telephone.start()),
    ]);
  });

  after(async () => {
    await Promise.all(telephones.map((telephone) => telephone.dispose()));
    await nodeRed?.stop();
    await kamailio?.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  function makeBaresip(user: string, index: number, codec: Codec): Telephone {
    const rtpPort = RTP_PORT + 100 * index;
    const phone = new Baresip({
      name: user,
      address: `${network}.${211 + index}`,
      registrar: { address: kamailio.address, domain: "sip.test", password: `${user}pw` },
      answer: "auto",
      tone: THEIRS,
      rtpPort,
      codec,
    });
    return {
      kind: "baresip",
      user,
      codec,
      rtpPort,
      start: () => phone.start(),
      dial: async () => void (await phone.command("dial", "sip:nodered@sip.test")),
      press: (digits) => phone.press(digits),
      hangUp: async () => void (await phone.command("hangup")),
      heard: () => readFileSync(phone.recordings().toSorted().at(-1) ?? ""),
      digits: () => found(phone.log, /received DTMF: '(.)'/g),
      dispose: () => phone.dispose(),
    };
  }

  async function makeLinphone(user: string, index: number, codec: Codec): Promise<Telephone> {
    const rtpPort = RTP_PORT + 400 + 20 * index;
    const address = `${network}.${221 + index}`;
    const phone = new Linphone({
      name: user,
      address,
      port: await freePort(address),
      registrar: { address: kamailio.address, domain: "sip.test", password: `${user}pw` },
      rtpPort,
      codec,
      tone: THEIRS,
      digits: DIGITS[codec],
    });
    return {
      kind: "linphone",
      user,
      codec,
      rtpPort,
      start: async () => {
        await phone.start();
        await phone.record("heard.wav");
      },
      dial: async () => void (await phone.command("call sip:nodered@sip.test")),
      press: (digits) => phone.press(digits),
      hangUp: async () => void (await phone.command("terminate all")),
      heard: () => phone.recording("heard.wav"),
      digits: () => found(phone.log, /Receiving tone (.) /g),
      dispose: () => phone.dispose(),
    };
  }

  async function soundFlow() {
    const flow = new FlowBuilder();
    const stack = flow.config("sip-stack", {
      transports: [{ protocol: "udp", address: "127.0.0.1", port: await freePort() }],
      rtpPortMin: RTP_PORT + 500,
      rtpPortMax: RTP_PORT + 598,
    });
    const registrar = `sip:${kamailio.address}:5060`;
    const account = flow.config("sip-account", {
      stack,
      uri: "sip:nodered@sip.test",
      registrar,
      outboundProxy: registrar,
    });
    const code = (func: string, outputs: number, wires: string[][]) =>
      flow.node("function", { func, outputs, libs: [], initialize: "", finalize: "" }, wires);
    flow.node("sip-event", { stack, events: ["registered"] }, [[flow.capture("registered")]]);
    flow.node("sip-event", { stack, events: ["dtmf"] }, [[flow.capture("dtmf")]]);
    flow.node("catch", { scope: null, uncaught: false }, [[flow.capture("caught")]]);

    // A tone is played while both sides are recorded, in two ways; then we hang up.
    const record = (channels: string) =>
      code(`msg.options = { target: msg.sip.remote.user + "-${channels}.wav" }; return msg;`, 1, [
        [flow.node("sip-record", { channels, terminator: "" }, flow.captures(channels, 2))],
      ]);
    const play = flow.node(
      "sip-play",
      { source: join(folder, "tone.wav"), sourceType: "file" },
      flow.captures("play", 2, { 1: [flow.node("sip-bye", {}, flow.captures("bye", 1))] }),
    );
    const tone = flow.node(
      "sip-accept",
      {},
      flow.captures("tone", 2, { 1: [record("remote"), record("stereo"), play] }),
    );

    // Three menus: 1, then 2, then 3 is the way; 8 in the second leads back to the first.
    const menu = (name: string, properties: Record<string, unknown>, next: string[]) =>
      flow.node(
        "sip-menu",
        { promptType: "tone", retries: 1, timeout: 1, ...properties },
        flow.captures(name, 3 + (properties.choices as unknown[]).length, { 1: next }),
        name,
      );
    const third = menu(
      "third",
      { prompt: "dial/8000", choices: [{ digits: "3", label: "three" }] },
      [
        code(
          'msg.options = { method: msg.sip.media[0].codec === "PCMA" ? "info-relay" : "rfc4733" }; return msg;',
          1,
          [[flow.node("sip-dtmf", { digits: "47", gap: 100 }, flow.captures("keys", 2))]],
        ),
      ],
    );
    flow.node(
      "sip-menu",
      {
        prompt: "ring/400",
        promptType: "tone",
        invalidPrompt: "tone:busy/300",
        retries: 1,
        timeout: 1,
        choices: [{ digits: "2" }, { digits: "8" }],
      },
      flow.captures("second", 5, { 1: [third], 2: ["first"] }),
      "second",
    );
    menu("first", { prompt: "dial/8000", choices: [{ digits: "1" }] }, ["second"]);
    const menus = flow.node("sip-accept", {}, flow.captures("menus", 2, { 1: ["first"] }));

    const mailbox = flow.node(
      "sip-accept",
      {},
      flow.captures("mailbox", 2, {
        1: [
          code(
            'msg.options = { target: "messages/" + msg.mode + ".wav", beep: msg.mode === "message" }; return msg;',
            1,
            [[flow.node("sip-record", { maxDuration: 60 }, flow.captures("message", 2))]],
          ),
        ],
      }),
    );
    // What it says goes through the flow and back.
    flow.node("sip-stream", { sampleRate: 16_000 }, [["echo"], [], []], "echo");
    const echo = flow.node("sip-accept", {}, flow.captures("echo", 2, { 1: ["echo"] }));

    const choose = code(
      `msg.mode = flow.get("mode-" + msg.sip.remote.user) || "tone";
const way = ["tone", "menu", "echo"].indexOf(msg.mode);
return [0, 1, 2, 3].map((output) => output === (way < 0 ? 3 : way) ? msg : null);`,
      4,
      [[tone], [menus], [echo], [mailbox]],
    );
    flow.node(
      "sip-incoming",
      { stack, account, ring: false },
      flow.captures("incoming", 2, { 1: [choose] }),
    );
    flow.entry("mode", [
      code('for (const user of msg.users) flow.set("mode-" + user, msg.mode);', 1, [[]]),
    ]);
    return { flows: flow.build(), credentials: { [account]: { password: "noderedpw" } } };
  }

  /** Messages of that capture about that telephone's calls. */
  async function of(name: string, { user }: Telephone): Promise<Message[]> {
    const all = await nodeRed.captured(name);
    return all
      .map(({ msg }): Message => msg)
      .filter(({ sip }) => (sip.remote as { user?: string }).user === user);
  }

  async function sees(name: string, telephone: Telephone, least = 1): Promise<Message[]> {
    const end = Date.now() + 15_000;
    for (;;) {
      const found = await of(name, telephone);
      if (found.length >= least) return found;
      if (Date.now() > end) {
        const all = Object.keys(await nodeRed.allCaptured()).join(" ");
        assert.fail(
          `${telephone.kind} ${telephone.codec}: no ${name}; ${all} ${nodeRed.log.slice(-500)}`,
        );
      }
      await pause(50);
    }
  }

  const phone = (kind: Telephone["kind"], codec: Codec): Telephone => {
    const found = telephones.find((one) => one.kind === kind && one.codec === codec);
    assert.ok(found);
    return found;
  };
  const recorded = (name: string): Buffer => readFileSync(join(nodeRed.userDir, "sip-media", name));

  describe("by codec", () => {
    const capture = new Capture();
    let streams: RtpStream[] = [];

    before(async () => {
      await capture.start(`udp portrange ${RTP_PORT}-${RTP_PORT + 598} or udp port 5060`);
      for (const telephone of telephones) {
        void telephone.dial();
        await pause(150);
      }
      for (const telephone of telephones) {
        await sees("bye/1", telephone);
        await sees("remote/1", telephone);
        await sees("stereo/1", telephone);
      }
      // The telephones write the ends of their files.
      await capture.stop();
      streams = capture.streams();
    });

    after(() => capture.dispose());

    /** Frequency within 1 %, level within 1 dB, no gap over 40 ms. */
    function clear(heard: HeardTone, frequency: number, where: string, change = 0): void {
      const shown = `${where}: ${JSON.stringify(heard)}`;
      assert.ok(Math.abs(heard.frequency / frequency - 1) < 0.01, shown);
      assert.ok(Math.abs(heard.decibels - change) < 1, shown);
      assert.ok(heard.gap <= 40, shown);
    }

    for (const kind of ["baresip", "linphone"] as const) {
      for (const codec of CODECS) {
        it(`${kind} by ${codec}: our tone in its recording, its tone in ours`, async () => {
          const telephone = phone(kind, codec);
          const [{ sip }] = await of("tone/1", telephone);
          assert.equal(sip.media[0].codec, codec);
          const { user } = telephone;
          const { there, here } = kind === "linphone" && codec === "G722" ? LINPHONE_G722 : NONE;
          const ours = { frequency: OURS, level: LEVEL };
          const theirs = { frequency: THEIRS, level: LEVEL };
          clear(heardTone(telephone.heard(), ours), OURS, "the telephone heard", there);
          clear(heardTone(recorded(`${user}-remote.wav`), theirs), THEIRS, "we heard", here);
          const stereo = recorded(`${user}-stereo.wav`);
          clear(heardTone(stereo, theirs, 0), THEIRS, "left", here);
          clear(heardTone(stereo, ours, 1), OURS, "right");
        });
      }
    }

    for (const codec of CODECS) {
      it(`our packets of ${codec} are 20.0 ms apart, and none is missing`, () => {
        for (const kind of ["baresip", "linphone"] as const) {
          const { rtpPort } = phone(kind, codec);
          const end = rtpPort + (kind === "baresip" ? 100 : 20);
          const ours = streams.filter(
            ({ destinationPort: to, packets }) => to >= rtpPort && to < end && packets > 100,
          );
          const shown = JSON.stringify(ours);
          assert.equal(ours.length, 1, shown);
          const [{ lost, meanDelta, meanJitter }] = ours;
          assert.equal(lost, 0, shown);
          assert.ok(Math.abs(meanDelta - 20) < 0.5, shown);
          // Beside eight telephones on the same machine it is not ours alone.
          if (Math.abs(meanDelta - 20) > 0.1 || meanJitter >= 2)
            console.log(`      ${kind} ${codec}: ${meanDelta} ms, jitter ${meanJitter} ms`);
        }
      });
    }
  });

  describe("and keys", () => {
    before(async () => {
      await nodeRed.clearCaptured();
      const users = telephones.map(({ user }) => user);
      await nodeRed.inject("mode", { users, mode: "menu" });
      await nodeRed.inject("mode", { users: [phone("baresip", "opus").user], mode: "message" });
    });

    /** Presses a key when that menu has asked, and waits for what comes of it. */
    async function press(telephone: Telephone, digits: string, then: string, least?: number) {
      await telephone.press(digits);
      await sees(then, telephone, least);
    }

    it("find their way through three menus, as telephone events and as INFO, while prompts play", async () => {
      const way = async (telephone: Telephone, method: string): Promise<void> => {
        await telephone.dial();
        await sees("menus/1", telephone);
        const begin = Date.now();
        await pause(300);
        await press(telephone, "1", "first/1");
        await press(telephone, "8", "second/2");
        await press(telephone, "1", "first/1", 2);
        await press(telephone, "2", "second/1");
        await press(telephone, "3", "third/1");
        // Three prompts of eight seconds were interrupted.
        assert.ok(Date.now() - begin < 8000, `${Date.now() - begin} ms`);
        const [chosen] = await of("third/1", telephone);
        assert.deepEqual([chosen.payload, chosen.sip.choice], ["3", "three"]);
        const digits = await of("dtmf", telephone);
        assert.equal(digits.map(({ payload }) => payload).join(""), "18123");
        for (const { sip } of digits) assert.match(sip.dtmf.method, new RegExp(`^${method}`));
        await sees("keys/1", telephone);
        // baresip tells only of those in INFO.
        if (telephone.kind === "linphone" || telephone.codec === "PCMA") {
          for (let i = 0; i < 40 && telephone.digits() !== "47"; i++) await pause(50);
          assert.equal(telephone.digits(), "47", `${telephone.kind} ${telephone.codec}`);
        }
        await telephone.hangUp();
      };
      await Promise.all([
        way(phone("baresip", "PCMU"), "rfc4733"),
        way(phone("baresip", "PCMA"), "rfc4733"),
        // Each key comes twice, and counts once.
        way(phone("linphone", "PCMU"), "(rfc4733|info)"),
        way(phone("linphone", "PCMA"), "info"),
        leavesMessage(phone("baresip", "opus")),
        wrong(phone("baresip", "G722")),
        silent(phone("linphone", "opus")),
        gone(phone("linphone", "G722")),
      ]);
    });

    /** What the others did beside it. */
    async function leavesMessage(telephone: Telephone): Promise<void> {
      await telephone.dial();
      await sees("mailbox/1", telephone);
      await pause(10_000);
      await telephone.hangUp();
    }

    async function wrong(telephone: Telephone): Promise<void> {
      await telephone.dial();
      await sees("menus/1", telephone);
      await pause(300);
      await press(telephone, "1", "first/1");
      await telephone.press("7");
      await press(telephone, "9", "second/4");
      await telephone.hangUp();
      await sees("incoming/2", telephone);
      await nodeRed.inject("mode", { users: [telephone.user], mode: "echo" });
      await telephone.dial();
      await sees("echo/1", telephone);
      await pause(3500);
      await telephone.hangUp();
      await sees("incoming/2", telephone, 2);
    }

    async function silent(telephone: Telephone): Promise<void> {
      await telephone.dial();
      await sees("menus/1", telephone);
      await pause(300);
      await press(telephone, "1", "second/3");
      await telephone.hangUp();
    }

    async function gone(telephone: Telephone): Promise<void> {
      await telephone.dial();
      await sees("menus/1", telephone);
      await pause(500);
      await telephone.hangUp();
      await sees("incoming/2", telephone);
    }

    it("that are wrong twice, none in time, and a hang-up in mid-prompt have a wire each", async () => {
      const ways = async (telephone: Telephone): Promise<string[]> => {
        const all = await nodeRed.allCaptured();
        return Object.entries(all)
          .filter(([name]) => /^(first|second|third)/.test(name))
          .flatMap(([name, list]) => list.map(({ at, msg }) => ({ name, at, msg: msg })))
          .filter(({ msg }) => msg.sip.remote.user === telephone.user)
          .toSorted((a, b) => a.at - b.at)
          .map(({ name, msg }) => `${name} ${msg.topic} ${msg.payload}`);
      };
      assert.deepEqual(await ways(phone("baresip", "G722")), [
        "first/1 choice 1",
        "second/4 invalid 9",
      ]);
      assert.deepEqual(await ways(phone("linphone", "opus")), [
        "first/1 choice 1",
        "second/3 timeout ",
      ]);
      assert.deepEqual(await ways(phone("linphone", "G722")), ["first/4 ended "]);
      const [ended] = await of("first/4", phone("linphone", "G722"));
      assert.equal(ended.sip.cause, "remote-bye");
    });
  });

  describe("tones", () => {
    it("go beside it through the flow and back as a stream of Buffers", () => {
      const heard = heardTone(phone("baresip", "G722").heard(), {
        frequency: THEIRS,
        level: LEVEL,
      });
      const shown = JSON.stringify(heard);
      assert.ok(Math.abs(heard.frequency / THEIRS - 1) < 0.01, shown);
      assert.ok(Math.abs(heard.decibels) < 1, shown);
      assert.ok(heard.gap <= 60, shown);
    });

    it("are kept by a mailbox from the beep to the hang-up", async () => {
      const telephone = phone("baresip", "opus");
      const [message] = await sees("message/1", telephone);
      const { reason, seconds, file } = message.sip.recording;
      assert.equal(reason, "hangup");
      const wav = readFileSync(file as string);
      const heard = heardTone(wav, { frequency: THEIRS, level: LEVEL, judged: 8 });
      const shown = JSON.stringify({ ...heard, seconds, tone: heard.seconds });
      assert.ok(Math.abs(heard.frequency / THEIRS - 1) < 0.01, shown);
      assert.ok(heard.gap <= 40, shown);
      const [accepted] = (await nodeRed.captured("mailbox/1")).map(({ at }) => at);
      const [ended] = (await nodeRed.captured("message/1")).map(({ at }) => at);
      // All of the call but the beep.
      const expected = (ended - accepted) / 1000;
      assert.ok(seconds < expected && seconds > expected - 1.5, `${shown} ${expected}`);
      assert.ok(Math.abs(heard.seconds - seconds) < 0.5, shown);
      assert.equal(wav.readUInt32LE(40), wav.length - 44);
    });

    it("raised no error on the way", async () => {
      const caught = await nodeRed.captured("caught");
      assert.deepEqual(
        caught.map(({ msg }) => (msg as { error: unknown }).error),
        [],
      );
    });

    it("are readable in the file when the process was killed in the middle, but for the last second", async () => {
      const telephone = phone("baresip", "PCMU");
      await nodeRed.inject("mode", { users: [telephone.user], mode: "killed" });
      await nodeRed.clearCaptured();
      await telephone.dial();
      const [accepted] = await nodeRed.waitFor("mailbox/1");
      await pause(4000);
      const lasted = (Date.now() - accepted.at) / 1000;
      nodeRed.process.kill("SIGKILL");
      await nodeRed.until(() => nodeRed.exitCode !== undefined, 5000, "the process to die");
      const wav = recorded("messages/killed.wav");
      const length = wav.readUInt32LE(40);
      assert.ok(length <= wav.length - 44);
      const seconds = length / wav.readUInt32LE(28);
      assert.ok(seconds > lasted - 1.1, `${seconds} of ${lasted} s`);
      const heard = heardTone(wav.subarray(0, 44 + length), { frequency: THEIRS, level: LEVEL });
      assert.ok(Math.abs(heard.frequency / THEIRS - 1) < 0.01, JSON.stringify(heard));
      await telephone.hangUp();
    });
  });
});
