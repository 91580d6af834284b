import assert from "node:assert/strict";
import { Player } from "../../../../lib/media/audio/player.js";
import { loadCodecs } from "../../../../lib/media/codec/codecs.js";
import { opus } from "../../../../lib/media/codec/opus-codec.js";
import { toneSource } from "../../../../lib/media/audio/tones.js";
import { emptyRtpHeader, readRtpHeader } from "../../../../lib/media/rtp/rtp-packet.js";
import { RtpSender } from "../../../../lib/media/rtp/rtp-sender.js";
import type { StreamSettings } from "../../../../lib/media/rtp/stream-settings.js";
import { decibels, sine, toneLevel } from "../../../support/signals.js";

const SETTINGS: StreamSettings = {
  address: "192.0.2.1",
  port: 4000,
  rtcpAddress: "192.0.2.1",
  rtcpPort: 4001,
  rtcpMux: false,
  srtp: undefined,
  signallingAddress: "192.0.2.1",
  send: { payloadType: 8, codec: "PCMA" },
  receive: [],
  eventPayloadType: 96,
  eventsReceived: [],
  clockRate: 8000,
  ptime: 20,
  maySend: true,
  mayReceive: true,
};

function setUp(settings: StreamSettings = SETTINGS) {
  const done: string[] = [];
  const player = new Player((id, result) => done.push(`play ${id} ${result}`));
  const sender = new RtpSender({
    ssrc: 0xffff_fffe,
    sequenceNumber: 0xfffe,
    timestamp: 0xffff_ff00,
    player,
    onDigitsSent: (id, sent) => done.push(`digits ${id} ${sent}`),
  });
  sender.configure(settings);
  return {
    player,
    sender,
    done,
    /** One packet time: `8 m seq timestamp length`, or what was not sent. */
    tick(audible = true): string {
      const packet = sender.tick(audible);
      sender.sent();
      if (packet === undefined) return "nothing";
      const header = emptyRtpHeader();
      assert.ok(readRtpHeader(packet, header));
      assert.equal(header.ssrc, 0xffff_fffe);
      return `${header.payloadType}${header.marker ? " m" : ""} ${header.sequenceNumber} ${header.timestamp} ${packet.length - 12}`;
    },
  };
}

describe("RtpSender and the codec", () => {
  before(() => loadCodecs(["opus"]));

  const OPUS: StreamSettings = {
    ...SETTINGS,
    send: { payloadType: 111, codec: "OPUS", parameters: "useinbandfec=1" },
    clockRate: 48_000,
  };

  it("goes on playing when it changes in mid-call, from 8000 to 48000 Hz", async () => {
    const { player, sender, tick } = setUp();
    const tone = sine(523, 1200, 8000);
    let at = 0;
    player.play({
      id: 1,
      background: false,
      settle: 0,
      source: {
        sampleRate: 8000,
        failed: false,
        get ended() {
          return at >= tone.length;
        },
        read: (target, count) => {
          const part = tone.subarray(at, at + count);
          target.set(part);
          at += part.length;
          return part.length;
        },
        close: () => undefined,
      },
    });
    assert.match(tick(), /^8 m 65534 4294967040 160$/);
    sender.configure(OPUS);
    // What the library makes for the stream is there after its promises.
    await new Promise((resolve) => setImmediate(resolve));
    const decoder = opus.createDecoder();
    await new Promise((resolve) => setImmediate(resolve));
    const heard = new Int16Array(40 * 960);
    const timestamps: number[] = [];
    for (let i = 0; i < 40; i++) {
      const packet = sender.tick(true);
      sender.sent();
      const header = emptyRtpHeader();
      assert.ok(packet && readRtpHeader(packet, header));
      assert.equal(header.payloadType, 111);
      timestamps.push(header.timestamp);
      const count = decoder.decode(
        packet,
        header.payloadStart,
        header.payloadEnd,
        heard.subarray(i * 960),
      );
      assert.equal(count, 960);
    }
    decoder.close();
    sender.close();
    assert.equal((timestamps[1] - timestamps[0]) >>> 0, 960);
    const middle = heard.subarray(10 * 960);
    assert.ok(Math.abs(decibels(toneLevel(middle, 523, 48_000) / 0.3)) < 1);
  });

  it("counts digits in the clock of the events where the peer has no other (RFC 4733 §2.5.1.1)", async () => {
    const { sender } = setUp({ ...OPUS, eventPayloadType: 101, eventClockRates: { 101: 8_000 } });
    await new Promise((resolve) => setImmediate(resolve));
    sender.sendDigits({ id: 1, digits: "5", method: "rfc4733", duration: 60, gap: 0 });
    const shown: string[] = [];
    for (let i = 0; i < 5; i++) {
      const packet = sender.tick(true);
      assert.ok(packet);
      const header = emptyRtpHeader();
      assert.ok(readRtpHeader(packet, header));
      shown.push(
        `${header.payloadType} ${packet[12]} ${packet[13] >> 7} ${packet.readUInt16BE(14)}`,
      );
    }
    sender.close();
    assert.deepEqual(shown, [
      "101 5 0 160",
      "101 5 0 320",
      "101 5 1 480",
      "101 5 1 480",
      "101 5 1 480",
    ]);
  });
});

describe("RtpSender", () => {
  it("sends silence while nothing plays, with a marker at the start, over all wraps", () => {
    const { sender, tick } = setUp();
    assert.deepEqual(
      [tick(), tick(), tick()],
      ["8 m 65534 4294967040 160", "8 65535 4294967200 160", "8 0 64 160"],
    );
    assert.equal(sender.packetsSent, 3);
    assert.equal(sender.octetsSent, 480);
  });

  it("sends the code of silence and of sound", () => {
    const { player, sender } = setUp();
    const silence = sender.tick(true);
    assert.ok(silence?.subarray(12).every((code) => code === 0xd5));
    const source = toneSource("dial", 1, 8000);
    assert.ok(source);
    player.play({ id: 1, source, background: false, settle: 0 });
    assert.ok(
      sender
        .tick(true)
        ?.subarray(12)
        .some((code) => code !== 0xd5),
    );
  });

  it("keeps its time while it may not send, and marks the next packet", () => {
    const { tick } = setUp();
    tick();
    assert.deepEqual([tick(false), tick(false)], ["nothing", "nothing"]);
    assert.equal(tick(), "8 m 65535 224 160");
    assert.equal(tick(), "8 0 384 160");
  });

  it("lets what plays pass unheard while it may not send", () => {
    const { player, done, tick } = setUp();
    const source = toneSource("beep", 1, 8000);
    assert.ok(source);
    player.play({ id: 5, source, background: false, settle: 0 });
    for (let i = 0; i < 13; i++) tick(false);
    assert.deepEqual(done, ["play 5 completed"]);
  });

  it("goes on after a standstill with a marker and the time that passed", () => {
    const { sender, tick } = setUp();
    tick();
    sender.skip(1000);
    assert.equal(tick(), `8 m 65535 ${(0xffff_ff00 + 160 + 8000) % 0x1_0000_0000} 160`);
  });

  it("makes packets of the negotiated length", () => {
    for (const ptime of [10, 30, 60]) {
      const { tick } = setUp({ ...SETTINGS, ptime });
      assert.match(tick(), new RegExp(` ${ptime * 8}$`));
    }
  });

  it("sends nothing before it was configured or while no stream is left", () => {
    const { sender } = setUp();
    sender.configure(undefined);
    assert.equal(sender.tick(false), undefined);
  });

  it("sends digits instead of audio under the peer's number, then audio with the right time", () => {
    const { sender, done, tick } = setUp();
    tick();
    assert.ok(sender.sendDigits({ id: 3, digits: "5", method: "rfc4733", duration: 60, gap: 0 }));
    assert.deepEqual(
      [tick(), tick(), tick(), tick(), tick()],
      [
        "96 m 65535 4294967200 4",
        "96 0 4294967200 4",
        "96 1 4294967200 4",
        "96 2 4294967200 4",
        "96 3 4294967200 4",
      ],
    );
    assert.deepEqual(done, ["digits 3 true"]);
    assert.equal(tick(), `8 4 ${(0xffff_ff00 + 6 * 160) % 0x1_0000_0000} 160`);
  });

  it("sends one request after the other", () => {
    const { sender, done, tick } = setUp();
    sender.sendDigits({ id: 1, digits: "1", method: "rfc4733", duration: 40, gap: 0 });
    sender.sendDigits({ id: 2, digits: "2", method: "inband", duration: 40, gap: 0 });
    sender.sendDigits({ id: 3, digits: "", method: "rfc4733", duration: 40, gap: 0 });
    const types = Array.from({ length: 8 }, () => tick().split(" ")[0]);
    assert.deepEqual(types, ["96", "96", "96", "96", "8", "8", "8", "8"]);
    assert.deepEqual(done, ["digits 1 true", "digits 2 true", "digits 3 true"]);
  });

  it("covers what plays with digits in band", () => {
    const { player, sender } = setUp();
    const source = toneSource("silence", 1, 8000);
    assert.ok(source);
    player.play({ id: 1, source, background: false, settle: 0 });
    sender.sendDigits({ id: 2, digits: "1", method: "inband", duration: 40, gap: 0 });
    assert.ok(
      sender
        .tick(true)
        ?.subarray(12)
        .some((code) => code !== 0xd5),
    );
  });

  it("bounds the requests that wait and tells all of them at the end", () => {
    const { sender, done } = setUp();
    const request = { digits: "1", method: "rfc4733", duration: 40, gap: 0 } as const;
    let taken = 0;
    while (sender.sendDigits({ id: taken, ...request })) taken += 1;
    assert.equal(taken, 64);
    sender.tick(true);
    sender.close();
    assert.equal(done.length, 64);
    assert.ok(done.every((text) => text.endsWith("false")));
  });

  it("finishes digits in time though the peer put us on hold meanwhile", () => {
    const { sender, done, tick } = setUp();
    sender.sendDigits({ id: 1, digits: "12", method: "rfc4733", duration: 100, gap: 100 });
    tick();
    for (let i = 0; i < 30; i++) tick(false);
    assert.deepEqual(done, ["digits 1 true"]);
  });
});
