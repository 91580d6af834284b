/**
 * baresip phones and a flow, all registered at Kamailio: what the phone hears is measured in its recording, digits go
 * both ways, the phone holds and resumes, the flow transfers it; tshark judges our RTP.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onceMoreWhenDisturbed } from "../support/disturbance.js";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed, pause } from "../support/node-red.js";
import { Baresip } from "../support/peers/baresip.js";
import { Capture } from "../support/peers/capture.js";
import { Kamailio } from "../support/peers/kamailio.js";
import { needs } from "../support/peers/process.js";
import { dominantFrequency, readWav, toneWav } from "../support/peers/wav.js";
import { freePort } from "../support/ports.js";

type Message = { payload: unknown; topic: string; sip: Record<string, unknown> };

describe("telephones through a registrar", function () {
  this.timeout(90_000);
  beforeEach(onceMoreWhenDisturbed);
  const kamailioAddress = "127.0.63.1";
  const folder = mkdtempSync(join(tmpdir(), "prompts-"));
  let kamailio: Kamailio;
  let alice: Baresip;
  let bob: Baresip;
  let nodeRed: NodeRed;

  before(async function () {
    needs(this, "kamailio", "baresip", "tshark", "openssl");
    kamailio = new Kamailio({ address: kamailioAddress });
    await kamailio.start();
    const registrar = (name: string) => ({
      address: kamailioAddress,
      domain: "sip.test",
      password: `${name}pw`,
    });
    alice = new Baresip({
      name: "alice",
      address: "127.0.63.11",
      registrar: registrar("alice"),
      answer: "auto",
      tone: 440,
      rtpPort: 30400,
    });
    bob = new Baresip({
      name: "bob",
      address: "127.0.63.12",
      registrar: registrar("bob"),
      answer: "auto",
      tone: 660,
      rtpPort: 30500,
    });
    await alice.start();
    await bob.start();
    writeFileSync(join(folder, "prompt.wav"), toneWav(523, 3, 16000));
    writeFileSync(join(folder, "prompt44.wav"), toneWav(523, 3, 44100));
    writeFileSync(join(folder, "prompt48.wav"), toneWav(523, 3, 48000));
    nodeRed = await NodeRed.start();
    const { flows, credentials } = await phoneFlow();
    await nodeRed.deploy(flows, { credentials });
    await nodeRed.waitFor("registered");
  });

  after(async () => {
    await nodeRed?.stop();
    await alice?.dispose();
    await bob?.dispose();
    await kamailio?.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  async function phoneFlow() {
    const flow = new FlowBuilder();
    const stack = flow.config("sip-stack", {
      transports: [{ protocol: "udp", address: "127.0.0.1", port: await freePort() }],
      rtpPortMin: 31000,
      rtpPortMax: 31199,
      codecs: "PCMU,PCMA",
    });
    const account = flow.config("sip-account", {
      stack,
      uri: "sip:nodered@sip.test",
      registrar: `sip:${kamailioAddress}:5060`,
      outboundProxy: `sip:${kamailioAddress}:5060`,
      register: true,
    });
    flow.node("sip-event", { stack, events: ["registered"] }, [[flow.capture("registered")]]);
    flow.node("sip-event", { stack, events: ["dtmf", "hold", "resume", "updated", "confirmed"] }, [
      [flow.capture("events")],
    ]);
    flow.node("catch", { scope: null, uncaught: false }, [[flow.capture("caught")]]);

    // Incoming: answer, play, collect four digits, send digits back; the test decides what follows.
    const latest = flow.node("function", {
      func: 'flow.set("call", RED.util.cloneMessage(msg)); return null;',
      outputs: 0,
      libs: [],
      initialize: "",
      finalize: "",
    });
    const sendDigits = flow.node(
      "sip-dtmf",
      { digits: "42#", digitsType: "str", method: "rfc4733", gap: 100 },
      flow.captures("sent", 2),
    );
    const gather = flow.node(
      "sip-gather",
      { max: 4, firstDigitTimeout: 20, interDigitTimeout: 5 },
      flow.captures("gather", 4, { 1: [sendDigits] }),
    );
    const play = flow.node(
      "sip-play",
      { source: join(folder, "prompt.wav"), sourceType: "file" },
      flow.captures("play", 2, { 1: [gather] }),
    );
    const accept = flow.node("sip-accept", {}, flow.captures("accept", 2, { 1: [latest, play] }));
    flow.node(
      "sip-incoming",
      { stack, account, ring: true },
      flow.captures("incoming", 2, { 1: [accept] }),
    );

    const withCall = (name: string, next: string[]) => {
      const recall = flow.node(
        "function",
        {
          func: 'const call = flow.get("call"); return {...msg, sip: call.sip};',
          outputs: 1,
          libs: [],
          initialize: "",
          finalize: "",
        },
        [next],
      );
      flow.entry(name, [recall]);
    };
    withCall("transfer", [
      flow.node("sip-refer", { to: "sip:bob@sip.test", timeout: 20 }, flow.captures("refer", 3)),
    ]);
    withCall("bye", [flow.node("sip-bye", {}, flow.captures("bye", 1))]);

    // Outgoing: call, play, hang up.
    const byeOut = flow.node("sip-bye", {}, flow.captures("out-bye", 1));
    const playOut = flow.node(
      "sip-play",
      { source: join(folder, "prompt.wav"), sourceType: "file", settle: 200 },
      flow.captures("out-play", 2, { 1: [byeOut] }),
    );
    const invite = flow.node(
      "sip-invite",
      { account, stack, to: "to", toType: "msg", timeout: 20 },
      flow.captures("out", 4, { 1: [playOut] }),
    );
    flow.entry("call", [invite]);
    return { flows: flow.build(), credentials: { [account]: { password: "noderedpw" } } };
  }

  function heardFrequency(phone: Baresip): number {
    const file = phone.recordings().at(-1);
    assert.ok(file, "nothing was recorded");
    const { rate, samples } = readWav(readFileSync(file));
    return dominantFrequency(samples, rate);
  }

  it("is called by a phone, which hears the WAV at its pitch, without loss and 20 ms apart", async () => {
    const capture = new Capture();
    await capture.start("udp portrange 30400-31199");
    await alice.command("dial", "sip:nodered@sip.test");
    await nodeRed.waitFor("play/1", 1, 20_000);
    await pause(300);
    await capture.stop();
    // Until the phone's first packet shows where it really sends from, ours go to the address of its SDP: a short
    // stream of its own in the statistics.
    const ours = capture
      .streams()
      .filter(
        ({ sourcePort, packets }) => sourcePort >= 31000 && sourcePort < 31200 && packets > 20,
      );
    capture.dispose();
    assert.equal(ours.length, 1);
    const [stream] = ours;
    assert.ok((stream?.packets ?? 0) > 140, JSON.stringify(stream));
    assert.equal(stream?.lost, 0);
    assert.ok(Math.abs((stream?.meanDelta ?? 0) - 20) < 0.5, JSON.stringify(stream));
  });

  it("collects the digits that the phone sends, and the phone gets ours", async () => {
    await alice.press("1590");
    const [gathered] = await nodeRed.waitFor("gather/1", 1, 15_000);
    assert.equal((gathered?.msg as Message).payload, "1590");
    const digits = (await nodeRed.captured("events"))
      .map(({ msg }) => msg as Message)
      .filter((msg) => msg.topic === "dtmf");
    assert.deepEqual(
      digits.map((msg) => msg.payload),
      ["1", "5", "9", "0"],
    );
    await nodeRed.waitFor("sent/1", 1, 10_000);
  });

  it("is held and resumed by the phone", async () => {
    await alice.command("hold");
    await waitForTopic("hold");
    await pause(300);
    await alice.command("resume");
    await waitForTopic("resume");
  });

  async function waitForTopic(topic: string): Promise<void> {
    const end = Date.now() + 10_000;
    for (;;) {
      const topics = (await nodeRed.captured("events")).map(({ msg }) => (msg as Message).topic);
      if (topics.includes(topic)) return;
      if (Date.now() > end)
        assert.fail(`${topic} not seen: ${topics.join(" ")}\n${nodeRed.log.slice(-1000)}`);
      await pause(100);
    }
  }

  it("transfers the phone to a second one, and its own call ends as transferred", async () => {
    await nodeRed.inject("transfer");
    const [transferred] = await nodeRed.waitFor("refer/1", 1, 20_000);
    assert.equal((transferred?.msg as Message).topic, "transferred");
    const [ended] = await nodeRed.waitFor("incoming/2", 1, 10_000);
    assert.equal((ended?.msg as Message).sip.cause, "transferred");
    await bob.until(/Call established/, 10_000);
    await pause(1000);
    await alice.command("hangup");
    await pause(700);
    assert.ok(Math.abs(heardFrequency(bob) - 440) < 5, `bob heard ${heardFrequency(bob)} Hz`);
  });

  it("heard the prompt at 523 Hz in the phone's recording of that call", () => {
    const first = alice.recordings()[0];
    assert.ok(first);
    const { rate, samples } = readWav(readFileSync(first));
    assert.ok(Math.abs(dominantFrequency(samples.subarray(0, rate * 2), rate) - 523) < 5);
  });

  it("calls a phone, plays to it and hangs up after the last packet", async () => {
    await nodeRed.inject("call", { to: "sip:bob@sip.test" });
    await nodeRed.waitFor("out/1", 1, 15_000);
    await nodeRed.waitFor("out-play/1", 1, 15_000);
    const [ended] = await nodeRed.waitFor("out/4", 1, 10_000);
    assert.equal((ended?.msg as Message).sip.cause, "local-bye");
    const statistics = (ended?.msg as Message).sip["statistics"] as Record<string, number>;
    assert.ok(statistics["packetsReceived"] > 20, JSON.stringify(statistics));
    assert.equal(statistics["packetsLost"], 0);
    await pause(700);
    assert.ok(Math.abs(heardFrequency(bob) - 523) < 5, `bob heard ${heardFrequency(bob)} Hz`);
  });

  it("reports the proxy's 404 for a user whom nobody knows", async () => {
    await nodeRed.inject("call", { to: "sip:dave@sip.test" });
    const [failed] = await nodeRed.waitFor("out/3", 1, 10_000);
    assert.equal((failed?.msg as Message).payload, 404);
    assert.equal((failed?.msg as Message).sip.cause, "not-found");
  });

  /** A flow on one secure or web transport that calls, plays a file and hangs up. */
  async function callingFlow(protocol: "tls" | "ws", registrar: string, file: string) {
    const flow = new FlowBuilder();
    const tls = flow.config("tls-config", {
      name: "authority",
      cert: "",
      key: "",
      ca: "",
      servername: "",
      verifyservercert: true,
      alpnprotocol: "",
    });
    const place = protocol === "tls" ? { port: await freePort(), tls } : { path: "/" };
    const stack = flow.config("sip-stack", {
      transports: [{ protocol, address: "127.0.0.1", ...place }],
      rtpPortMin: 31200,
      rtpPortMax: 31299,
    });
    const account = flow.config("sip-account", {
      stack,
      uri: "sip:carol@sip.test",
      registrar,
      outboundProxy: registrar,
      register: true,
    });
    flow.node("sip-event", { stack, events: ["registered"] }, [[flow.capture("registered")]]);
    flow.node("catch", { scope: null, uncaught: false }, [[flow.capture("caught")]]);
    const bye = flow.node("sip-bye", {}, flow.captures("bye", 1));
    const play = flow.node(
      "sip-play",
      { source: join(folder, file), sourceType: "file", settle: 200 },
      flow.captures("play", 2, { 1: [bye] }),
    );
    const invite = flow.node(
      "sip-invite",
      { account, stack, to: "sip:bob@sip.test", timeout: 20 },
      flow.captures("out", 4, { 1: [play] }),
    );
    flow.entry("call", [invite]);
    return {
      flows: flow.build(),
      credentials: {
        [account]: { password: "carolpw" },
        [tls]: { cadata: kamailio.authority },
      } as Record<string, Record<string, string>>,
    };
  }

  const further = [
    {
      protocol: "tls",
      registrar: `sip:${kamailioAddress}:5061;transport=tls`,
      file: "prompt44.wav",
    },
    { protocol: "ws", registrar: `ws://${kamailioAddress}:5080/`, file: "prompt48.wav" },
  ] as const;
  for (const { protocol, registrar, file } of further) {
    it(`calls a phone over ${protocol} and plays it ${file}`, async () => {
      const { flows, credentials } = await callingFlow(protocol, registrar, file);
      await nodeRed.clearCaptured();
      await nodeRed.deploy(flows, { credentials });
      await nodeRed.waitFor("registered", 1, 10_000);
      await nodeRed.inject("call");
      const [ended] = await nodeRed.waitFor("out/4", 1, 20_000);
      assert.equal((ended?.msg as Message).sip.cause, "local-bye");
      await pause(700);
      assert.ok(Math.abs(heardFrequency(bob) - 523) < 5, `bob heard ${heardFrequency(bob)} Hz`);
    });
  }

  it("raised no error on the way", async () => {
    assert.deepEqual(
      (await nodeRed.captured("caught")).map(({ msg }) => (msg as { error: unknown }).error),
      [],
    );
  });
});
