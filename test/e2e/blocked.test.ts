/** A flow that keeps the main thread busy must not be heard: the sound runs in threads of its own. */
import assert from "node:assert/strict";
import { onceMoreWhenDisturbed } from "../support/disturbance.js";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed } from "../support/node-red.js";
import { freePort } from "../support/ports.js";
import { RawPhone } from "../support/raw-phone.js";
import { RtpPhone, toneFrequency, wavOfTone } from "../support/rtp-phone.js";

const BLOCKED_MS = 2_000;

describe("a flow that blocks the main thread", function () {
  this.timeout(30_000);
  beforeEach(onceMoreWhenDisturbed);
  let nodeRed: NodeRed;
  let phone: RawPhone;
  let sound: RtpPhone;

  before(async () => {
    const port = await freePort();
    const flow = new FlowBuilder();
    const stack = flow.config("sip-stack", {
      transports: [{ protocol: "udp", address: "127.0.0.1", port }],
      mediaAddress: "127.0.0.1",
      rtpPortMin: 28_000,
      rtpPortMax: 28_099,
    });
    flow.node("sip-incoming", { stack }, flow.captures("call", 2, { 1: ["accept"] }));
    flow.node("sip-accept", {}, flow.captures("accept", 2), "accept");
    flow.node("sip-play", {}, flow.captures("play", 2), "play");
    flow.node(
      "function",
      {
        func: `const end = Date.now() + ${BLOCKED_MS}; while (Date.now() < end); return msg;`,
        outputs: 1,
        timeout: "",
        noerr: 0,
        initialize: "",
        finalize: "",
        libs: [],
      },
      [[flow.capture("blocked")]],
      "block",
    );
    flow.entry("play", ["play"]);
    flow.entry("block", ["block"]);
    nodeRed = await NodeRed.start({ flows: flow.build() });
    phone = await RawPhone.open(port);
    sound = await RtpPhone.open();
  });

  after(async () => {
    phone?.close();
    await sound?.close();
    await nodeRed?.stop();
  });

  it("for two seconds loses no packet of a sound that plays, and delays none", async () => {
    const call = phone.invite("anybody", { body: phone.description({ port: sound.port }) });
    await phone.final(call);
    const { sip } = (await nodeRed.waitFor("accept/1"))[0].msg;
    const wav = wavOfTone(440, 10_000);
    await nodeRed.inject("play", { sip, payloadBase64: wav.toString("base64") });
    const isLoud = (payload: Buffer): boolean => payload.some((byte) => (byte & 0x7f) < 0x60);
    const loud = (): number => sound.packets.filter(({ payload }) => isLoud(payload)).length;
    assert.ok(await sound.until(() => loud() > 25), "the sound is heard");

    const from = sound.packets.length;
    const blocking = nodeRed.inject("block");
    const wanted = (BLOCKED_MS + 600) / 20;
    assert.ok(await sound.until(() => sound.packets.length >= from + wanted), "packets come");
    await blocking;
    assert.equal((await nodeRed.waitFor("blocked")).length, 1);

    const packets = sound.packets.slice(from);
    assert.equal(packets.filter(({ payload }) => !isLoud(payload)).length, 0, "silent packets");
    for (let i = 1; i < packets.length; i++) {
      const { sequenceNumber, timestamp } = packets[i];
      assert.equal((sequenceNumber - packets[i - 1].sequenceNumber) & 0xffff, 1);
      assert.equal((timestamp - packets[i - 1].timestamp) >>> 0, 160);
    }
    const heard = sound.samples().slice(from * 160);
    assert.ok(Math.abs(toneFrequency(heard) - 440) < 2);
    const start = packets[0].arrival;
    const late = packets.map(({ arrival }, i) => arrival - start - i * 20);
    // The machine of the test may be busy; a worker that waited for the main thread would be two seconds late.
    assert.ok(Math.max(...late) < 300, `${Math.max(...late)} ms late`);
    phone.request(call, "BYE");
    await nodeRed.waitFor("play/2");
  });
});
