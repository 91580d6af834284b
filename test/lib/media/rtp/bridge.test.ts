/**
 * Two RTP sessions joined, each with a phone on a wire. Hard cases: loss and order, another source, codecs and packet
 * times that differ, what plays meanwhile, keys whose end is lost, SRTP on one side, a flood.
 */
import assert from "node:assert/strict";
import { toneSource } from "../../../../lib/media/audio/tones.js";
import { g722 } from "../../../../lib/media/codec/g722-codec.js";
import { pcma, pcmu } from "../../../../lib/media/codec/g711-codec.js";
import type { AudioCodec } from "../../../../lib/media/codec/audio-codec.js";
import { RtpSession } from "../../../../lib/media/rtp/rtp-session.js";
import { emptyRtpHeader, readRtpHeader } from "../../../../lib/media/rtp/rtp-packet.js";
import type { StreamSettings } from "../../../../lib/media/rtp/stream-settings.js";
import { TelephoneEventReceiver } from "../../../../lib/media/rtp/telephone-event-receiver.js";
import { EVENT_DIGITS } from "../../../../lib/media/rtp/telephone-event-sender.js";
import { WorkerBridges } from "../../../../lib/media/rtp/worker-bridges.js";
import type { FromWorker } from "../../../../lib/media/rtp/worker-protocol.js";
import { SrtpProtection } from "../../../../lib/media/srtp/srtp-protection.js";
import { LoopSockets } from "../../../support/loop-sockets.js";
import { ManualClock } from "../../../support/manual-clock.js";
import { SeededRandom } from "../../../support/seeded-random.js";
import { toneAmplitude, toneFrequency } from "../../../support/rtp-phone.js";

const PAYLOAD_TYPES: Readonly<Record<string, number>> = { PCMU: 0, PCMA: 8, G722: 9 };
const CODECS: Readonly<Record<string, AudioCodec>> = { PCMU: pcmu, PCMA: pcma, G722: g722 };

interface Packet {
  readonly marker: boolean;
  readonly payloadType: number;
  readonly sequenceNumber: number;
  readonly timestamp: number;
  readonly ssrc: number;
  readonly payload: Buffer;
}

class Leg {
  readonly session: RtpSession;
  readonly digits: string[] = [];
  readonly plays: string[] = [];
  readonly codec: AudioCodec;
  readonly #encoder;
  sequenceNumber = 1000;
  timestamp = 77_000;
  ssrc = 99;
  #phase = 0;

  constructor(
    readonly bench: Bench,
    readonly number: number,
    readonly settings: StreamSettings,
  ) {
    this.codec = CODECS[settings.send.codec];
    this.#encoder = this.codec.createEncoder();
    this.session = new RtpSession({
      sockets: bench.wire.open(`192.0.2.${number}`, 4000),
      clock: bench.clock,
      random: new SeededRandom(number),
      mediaTimeoutMs: 0,
      events: {
        onDigit: (digit, duration) => this.digits.push(`${digit} ${duration}`),
        onPlaybackDone: (id, result) => this.plays.push(`${id} ${result}`),
        onDigitsSent: () => undefined,
        onMediaTimeout: () => undefined,
        onError: (text) => assert.fail(text),
      },
    });
    this.session.configure(settings, true);
  }

  /** What the phone has got. */
  get packets(): Packet[] {
    return this.bench.wire.sent
      .filter(
        ({ fromAddress, fromPort }) =>
          fromAddress === `192.0.2.${this.number}` && fromPort === 4000,
      )
      .map(({ data }) => {
        const header = emptyRtpHeader();
        assert.ok(readRtpHeader(data, header));
        return { ...header, payload: data.subarray(header.payloadStart, header.payloadEnd) };
      });
  }

  /** What the phone heard, decoded packet by packet. */
  heard(packets = this.packets): Int16Array {
    const decoder = this.codec.createDecoder();
    const parts: Int16Array[] = [];
    for (const { payload, payloadType } of packets) {
      if (payloadType !== this.settings.send.payloadType) continue;
      const samples = new Int16Array(9600);
      const count = decoder.decode(payload, 0, payload.length, samples);
      parts.push(samples.slice(0, count));
    }
    return Int16Array.from(parts.flatMap((part) => [...part]));
  }

  /** The phone says one packet of a tone. */
  say(options: { lost?: boolean; hz?: number; ms?: number; marker?: boolean } = {}): Buffer {
    const { hz = 440, ms = this.settings.ptime } = options;
    const count = (ms * this.codec.sampleRate) / 1000;
    const samples = Int16Array.from({ length: count }, (_, i) =>
      Math.round(8000 * Math.sin((2 * Math.PI * hz * (this.#phase + i)) / this.codec.sampleRate)),
    );
    this.#phase += count;
    const packet = Buffer.alloc(12 + this.codec.maximumBytes(ms));
    const bytes = this.#encoder.encode(samples, count, packet, 12);
    this.header(packet, this.settings.send.payloadType, options.marker);
    this.timestamp += (ms * this.codec.clockRate) / 1000;
    const whole = packet.subarray(0, 12 + bytes);
    if (options.lost !== true) this.deliver(whole);
    return whole;
  }

  /** One packet of a key. */
  key(event: number, duration: number, end = false, timestamp = this.timestamp): void {
    const packet = Buffer.alloc(16);
    this.header(packet, 101);
    packet.writeUInt32BE(timestamp >>> 0, 4);
    packet.set([event, end ? 0x8a : 0x0a, duration >> 8, duration & 0xff], 12);
    this.deliver(packet);
  }

  header(packet: Buffer, payloadType: number, marker = false): void {
    packet[0] = 0x80;
    packet[1] = payloadType | (marker ? 0x80 : 0);
    packet.writeUInt16BE(this.sequenceNumber++ & 0xffff, 2);
    packet.writeUInt32BE(this.timestamp >>> 0, 4);
    packet.writeUInt32BE(this.ssrc, 8);
  }

  deliver(packet: Buffer): void {
    this.bench.wire.deliver(
      packet,
      { address: `198.51.100.${this.number}`, port: 5000 },
      `192.0.2.${this.number}:4000`,
    );
  }

  play(hz: "dial" | "beep" = "dial"): void {
    const source = toneSource(hz, Infinity, this.session.lineRate);
    assert.ok(source);
    this.session.play({ id: 50 + this.plays.length, source, background: false, settle: 0 });
  }
}

class Bench {
  readonly clock = new ManualClock();
  readonly wire = new LoopSockets();
  readonly legs = new Map<number, Leg>();
  readonly ended: string[] = [];
  readonly bridges = new WorkerBridges(
    (message: FromWorker) => {
      if (message.type === "bridgeEnded") {
        this.ended.push(`${message.session} ${message.bridge} ${message.reason}`);
      }
    },
    (session) => this.legs.get(session)?.session,
  );

  leg(number: number, codec = "PCMU", change: Partial<StreamSettings> = {}): Leg {
    const leg = new Leg(this, number, {
      address: `198.51.100.${number}`,
      port: 5000,
      rtcpAddress: `198.51.100.${number}`,
      rtcpPort: 5001,
      rtcpMux: false,
      srtp: undefined,
      signallingAddress: `198.51.100.${number}`,
      send: { payloadType: PAYLOAD_TYPES[codec], codec },
      receive: [{ payloadType: PAYLOAD_TYPES[codec], codec }],
      eventPayloadType: 101,
      eventsReceived: [101],
      clockRate: CODECS[codec].clockRate,
      ptime: 20,
      maySend: true,
      mayReceive: true,
      ...change,
    });
    this.legs.set(number, leg);
    return leg;
  }

  join(first: Leg, second: Leg, id = 1): void {
    this.bridges.join({ type: "bridge", id, session: first.number, other: second.number });
  }

  /** One packet time of all legs. */
  tick(times = 1, each: () => void = () => undefined): void {
    for (let i = 0; i < times; i++) {
      each();
      this.clock.advance(20);
      for (const { session } of this.legs.values()) session.tick(this.clock.now());
    }
  }
}

/** Differences from one packet to the next. */
function steps(packets: readonly Packet[]): string[] {
  return packets.slice(1).map((packet, index) => {
    const before = packets[index];
    const sequence = ((packet.sequenceNumber - before.sequenceNumber) << 16) >> 16;
    return `${sequence}/${(packet.timestamp - before.timestamp) | 0}`;
  });
}

const isTone = (samples: Int16Array, hz: number, rate: number): void => {
  assert.ok(samples.length > rate / 5, `${samples.length} samples`);
  const found = toneFrequency(samples, rate);
  assert.ok(Math.abs(found - hz) < hz / 100, `${found} Hz`);
  const level = toneAmplitude(samples, hz, rate);
  assert.ok(Math.abs(level - 8000) < 1000, `level ${level}`);
};

describe("a bridge of two legs with one codec", () => {
  let bench: Bench;
  let a: Leg;
  let b: Leg;
  beforeEach(() => {
    bench = new Bench();
    a = bench.leg(1);
    b = bench.leg(2);
    bench.join(a, b);
  });

  it("passes each packet on as it is, in our own stream, both ways", () => {
    const said: Buffer[] = [];
    bench.tick(20, () => {
      said.push(a.say());
      b.say({ hz: 600 });
    });
    const { packets } = b;
    assert.equal(packets.length, 20);
    packets.forEach((packet, index) => assert.deepEqual(packet.payload, said[index].subarray(12)));
    assert.deepEqual(new Set(steps(packets)), new Set(["1/160"]));
    assert.deepEqual(packets.map(({ marker }) => marker).indexOf(true), 0);
    assert.notEqual(packets[0].ssrc, a.ssrc);
    isTone(a.heard(), 600, 8000);
  });

  it("leaves gaps and the order of packets as they came", () => {
    a.say();
    a.say({ lost: true });
    const late = a.say({ lost: true });
    a.say();
    a.deliver(late);
    a.say();
    assert.deepEqual(steps(b.packets), ["3/480", "-1/-160", "2/320"]);
  });

  it("goes on in one stream when a sound is played, ends, and when the other side falls silent", () => {
    bench.tick(10, () => a.say());
    b.play();
    bench.tick(10, () => a.say());
    b.session.stop(50);
    bench.tick(10, () => a.say());
    bench.tick(40);
    bench.tick(10, () => a.say());
    const { packets } = b;
    for (const [index, step] of steps(packets).entries()) {
      const [sequence, units] = step.split("/").map(Number);
      assert.equal(sequence, 1, `packet ${index}: ${step}`);
      assert.ok(units >= 160 && units <= 160 * 26, `packet ${index}: ${step}`);
    }
    // Of 80 packet times those are without a packet in which the silence was not sure yet.
    assert.ok(packets.length >= 54 && packets.length <= 80, String(packets.length));
    assert.deepEqual(b.plays, ["50 stopped"]);
  });

  it("ends what plays when it begins, and what was asked for before", () => {
    const c = bench.leg(3);
    c.play();
    a.play();
    bench.join(a, c, 60);
    assert.deepEqual([a.plays, c.plays], [["50 stopped"], ["50 stopped"]]);
    c.play();
    assert.deepEqual(c.plays, ["50 stopped", "51 stopped"]);
    assert.deepEqual(bench.ended, ["1 1 replaced", "2 1 replaced"]);
    bench.tick(5, () => a.say());
    assert.equal(
      c.packets.filter(({ payload }) => payload.some((byte) => byte !== 0xff)).length,
      5,
    );
    assert.ok(b.packets.every(({ payload }) => payload.every((byte) => byte === 0xff)));
  });

  for (const [clock, every] of [
    ["faster", 5000],
    ["slower", -5000],
  ] as const) {
    it(`goes on without a jump after ten minutes of a source whose clock is ${clock} by 200 ppm`, () => {
      for (let i = 1; i <= 30_000; i++) {
        bench.tick(1, () => {
          if (every > 0 || i % every !== 0) a.say();
          if (i % every === 0 && every > 0) a.say();
        });
        bench.wire.sent.length = 0;
      }
      bench.tick(5, () => a.say());
      b.play();
      bench.tick(5, () => a.say());
      b.session.stop(50);
      bench.tick(5, () => a.say());
      for (const step of steps(b.packets)) assert.match(step, /^1\/(160|320)$/);
    });
  }

  it("begins a new stretch for another source and for one that starts over", () => {
    bench.tick(5, () => a.say());
    a.ssrc = 100;
    a.sequenceNumber = 7;
    a.timestamp = 5;
    bench.tick(5, () => a.say());
    a.timestamp = 0x8000_0000;
    bench.tick(5, () => a.say());
    assert.deepEqual(new Set(steps(b.packets)), new Set(["1/160"]));
    assert.equal(b.packets.length, 15);
  });

  it("keeps the packet time of the source, whatever ours is", () => {
    const c = bench.leg(3, "PCMU", { ptime: 30 });
    const d = bench.leg(4, "PCMU", { ptime: 60 });
    bench.join(c, d, 2);
    bench.tick(30, () => c.say({ ms: 10 }));
    assert.deepEqual(new Set(steps(d.packets)), new Set(["1/80"]));
    assert.equal(d.packets.length, 30);
  });

  it("hears nothing of a side on hold, and sends nothing to one", () => {
    a.session.configure({ ...a.settings, mayReceive: false }, true);
    bench.tick(20, () => a.say());
    assert.ok(b.packets.every(({ payload }) => payload.every((byte) => byte === 0xff)));
    assert.equal(b.packets.length, 20);
    a.session.configure({ ...a.settings, maySend: false }, true);
    const before = a.packets.length;
    bench.tick(20, () => b.say());
    assert.equal(a.packets.length, before);
  });

  it("lets recordings of the other side's leg hear what is passed on", () => {
    const remote: number[] = [];
    const local: number[] = [];
    b.session.listen({
      frame: (theirs, ours, count) => {
        remote.push(...theirs.subarray(0, count));
        local.push(...ours.subarray(0, count));
      },
    });
    bench.tick(50, () => {
      a.say();
      b.say({ hz: 600 });
    });
    isTone(Int16Array.from(local.slice(2000)), 440, 8000);
    isTone(Int16Array.from(remote.slice(2000)), 600, 8000);
    assert.deepEqual(new Set(steps(b.packets)), new Set(["1/160"]));
    assert.equal(b.packets.length, 50);
  });

  it("passes a flood on no faster than sound can come", () => {
    for (let i = 0; i < 5000; i++) a.say();
    assert.ok(b.packets.length <= 40, String(b.packets.length));
    bench.tick();
    const empty = Buffer.alloc(12);
    for (let i = 0; i < 20; i++) {
      a.header(empty, 0);
      a.deliver(empty);
      a.deliver(Buffer.alloc(i, 0x80));
    }
    bench.tick(15, () => a.say());
    isTone(b.heard(b.packets.slice(-14)), 440, 8000);
  });

  it("is over when it is taken apart, and when a leg is closed", async () => {
    bench.tick(5, () => a.say());
    bench.bridges.stop(1, 99);
    assert.deepEqual(bench.ended, []);
    bench.bridges.stop(2, 1);
    assert.deepEqual(bench.ended, ["1 1 stopped", "2 1 stopped"]);
    const before = b.packets.length;
    bench.tick(20, () => a.say());
    assert.ok(
      b.packets.slice(before).every(({ payload }) => payload.every((byte) => byte === 0xff)),
    );
    assert.equal(b.packets.length, before + 20);
    bench.join(a, b, 2);
    bench.bridges.close(1);
    assert.deepEqual(bench.ended.slice(2), ["1 2 closed", "2 2 closed"]);
    bench.legs.delete(1);
    assert.throws(() => bench.join(a, b, 3), /ended/);
    await a.session.close();
    await b.session.close();
  });

  it("is joined from a side with SRTP to one without", () => {
    const key = (byte: number): string => Buffer.alloc(30, byte).toString("base64");
    const srtp = {
      suite: "AES_CM_128_HMAC_SHA1_80",
      localKey: key(1),
      remoteKey: key(2),
      remoteKeyIdentifier: "",
    } as const;
    const c = bench.leg(3, "PCMU", { srtp });
    bench.join(c, b, 2);
    const phone = new SrtpProtection({ ...srtp, localKey: key(2), remoteKey: key(1) });
    bench.tick(30, () => {
      c.deliver(phone.protectRtp(c.say({ lost: true })));
      b.say({ hz: 600 });
    });
    isTone(b.heard(), 440, 8000);
    const sealed = bench.wire.sent.filter(
      ({ fromAddress, fromPort }) => fromAddress === "192.0.2.3" && fromPort === 4000,
    );
    assert.equal(sealed.length, 30);
    for (const { data } of sealed) assert.equal(phone.unprotectRtp(data)?.length, 172);
  });
});

describe("a bridge and hostile packets", () => {
  for (const codec of ["PCMU", "PCMA"]) {
    it(`survives 20,000 mutated packets on their way to ${codec}, and goes on`, () => {
      const bench = new Bench();
      const a = bench.leg(1);
      const b = bench.leg(2, codec);
      bench.join(a, b);
      b.session.listen({ frame: () => undefined });
      const random = new SeededRandom(7);
      bench.tick(10, () => a.say());
      for (let i = 0; i < 20_000; i++) {
        const packet = a.say({ lost: true });
        const changes = 1 + Math.floor(random.next() * 4);
        for (let change = 0; change < changes; change++) {
          const place = Math.floor(random.next() * (random.next() < 0.5 ? 12 : packet.length));
          packet[place] = Math.floor(random.next() * 256);
        }
        a.deliver(packet.subarray(0, 4 + Math.floor(random.next() * packet.length)));
        if (i % 10 === 0) a.key(Math.floor(random.next() * 300) & 0xff, i & 0xffff, i % 3 === 0, i);
        if (i % 20 === 0) bench.tick();
      }
      // What the storm has told of other sources and times is over soon.
      bench.tick(500, () => a.say());
      isTone(b.heard(b.packets.slice(-25)), 440, 8000);
      assert.ok(b.packets.length < 20_000);
    });
  }
});

describe("a bridge of two legs with different codecs", () => {
  for (const [one, other] of [
    ["PCMU", "PCMA"],
    ["PCMU", "G722"],
    ["G722", "PCMA"],
  ]) {
    it(`converts ${one} and ${other} both ways`, () => {
      const bench = new Bench();
      const a = bench.leg(1, one);
      const b = bench.leg(2, other);
      bench.join(a, b);
      bench.tick(100, () => {
        a.say();
        b.say({ hz: 600 });
      });
      isTone(b.heard().slice(8000), 440, b.codec.sampleRate);
      isTone(a.heard().slice(8000), 600, a.codec.sampleRate);
      assert.deepEqual(new Set(steps(b.packets)), new Set(["1/160"]));
      assert.equal(b.packets.length, 100);
    });
  }

  it("converts rates without a hole in packets of 5 ms", () => {
    const bench = new Bench();
    const a = bench.leg(1, "PCMU");
    const b = bench.leg(2, "G722", { ptime: 5 });
    bench.join(a, b);
    for (let i = 0; i < 400; i++) {
      if (i % 4 === 0) a.say();
      bench.clock.advance(5);
      b.session.tick(bench.clock.now());
    }
    isTone(b.heard().slice(8000), 440, 16_000);
  });

  it("changes to passing on and back in mid-call without a break in the stream", () => {
    const bench = new Bench();
    const a = bench.leg(1, "PCMU");
    const b = bench.leg(2, "PCMA");
    bench.join(a, b);
    bench.tick(50, () => a.say());
    b.session.configure({ ...b.settings, send: a.settings.send }, true);
    bench.tick(50, () => a.say());
    b.session.configure(b.settings, true);
    bench.tick(50, () => a.say());
    for (const step of steps(b.packets)) assert.equal(step.split("/")[0], "1");
    const distance = (b.packets.at(-1)?.timestamp ?? 0) - b.packets[0].timestamp;
    assert.ok(Math.abs(distance - 149 * 160) <= 4 * 160, String(distance));
    isTone(b.heard(b.packets.slice(-20)), 440, 8000);
  });

  it("hides a lost packet, and goes on with another source", () => {
    const bench = new Bench();
    const a = bench.leg(1, "PCMU");
    const b = bench.leg(2, "PCMA");
    bench.join(a, b);
    let count = 0;
    bench.tick(100, () => a.say({ lost: ++count % 10 === 0 }));
    a.ssrc = 5;
    bench.tick(50, () => a.say());
    assert.equal(b.packets.length, 150);
    isTone(b.heard(b.packets.slice(-30)), 440, 8000);
  });
});

describe("keys in a bridge", () => {
  const events = (leg: Leg): Packet[] =>
    leg.packets.filter(({ payloadType }) => payloadType === leg.settings.eventPayloadType);

  it("are pressed on the other side while they are pressed here, with its number and clock", () => {
    const bench = new Bench();
    const a = bench.leg(1);
    const b = bench.leg(2, "PCMU", { eventPayloadType: 97 });
    bench.join(a, b);
    bench.tick(5, () => a.say());
    const start = a.timestamp;
    for (let i = 1; i <= 10; i++) bench.tick(1, () => a.key(7, 160 * i, i === 10, start));
    a.key(7, 1600, true, start);
    a.key(7, 1600, true, start);
    a.timestamp += 1600;
    bench.tick(10, () => a.say());
    const sent = events(b);
    const first = sent[0];
    assert.ok(first.marker);
    assert.deepEqual(new Set(sent.map(({ timestamp }) => timestamp)), new Set([first.timestamp]));
    assert.ok(sent.every(({ payload }) => payload[0] === 7));
    const ends = sent.filter(({ payload }) => (payload[1] & 0x80) !== 0);
    assert.equal(ends.length, 3);
    assert.equal(ends[0].payload.readUInt16BE(2), 1600);
    assert.deepEqual(a.digits, ["7 200"]);
    for (const step of steps(b.packets)) assert.equal(step.split("/")[0], "1");
    // The sound goes on behind it.
    assert.deepEqual(
      b.packets.slice(-5).map(({ payloadType }) => payloadType),
      [0, 0, 0, 0, 0],
    );
  });

  it("arrive once each, 1,000 of 1,000, though 10 % of the packets are lost on either side", () => {
    const bench = new Bench();
    const a = bench.leg(1);
    const b = bench.leg(2);
    bench.join(a, b);
    const random = new SeededRandom(3);
    const isLost = (): boolean => random.next() < 0.1;
    const wanted: string[] = [];
    for (let i = 0; i < 1000; i++) {
      const event = Math.floor(random.next() * 16);
      wanted.push(String(event));
      const start = a.timestamp;
      for (let packet = 1; packet <= 7; packet++) {
        if (isLost()) a.sequenceNumber++;
        else a.key(event, Math.min(packet, 5) * 160, packet >= 5, start);
        a.timestamp += 160;
        bench.tick();
      }
      bench.tick(5, () => a.say({ lost: isLost() }));
    }
    bench.tick(30);
    const got: string[] = [];
    const receiver = new TelephoneEventReceiver(8000, ({ digit }) =>
      got.push(String(EVENT_DIGITS.indexOf(digit))),
    );
    let now = 0;
    for (const { payloadType, payload, timestamp } of b.packets) {
      now += 20;
      receiver.tick(now);
      if (payloadType !== 101 || isLost()) continue;
      receiver.packet(payload, 0, payload.length, timestamp, now);
    }
    receiver.tick(now + 1000);
    assert.equal(a.digits.length, 1000);
    assert.deepEqual(got, wanted);
  });

  it("end on the other side when their end is lost, and when the bridge ends", () => {
    const bench = new Bench();
    const a = bench.leg(1);
    const b = bench.leg(2);
    bench.join(a, b);
    a.key(1, 160);
    bench.tick(40);
    assert.equal(events(b).filter(({ payload }) => (payload[1] & 0x80) !== 0).length, 3);
    a.timestamp += 8000;
    a.key(2, 160);
    bench.tick(2);
    bench.bridges.stop(1, 1);
    bench.tick(20);
    const ends = events(b).filter(({ payload }) => (payload[1] & 0x80) !== 0);
    assert.deepEqual(
      ends.map(({ payload }) => payload[0]),
      [1, 1, 1, 2, 2, 2],
    );
  });

  it("come in their order one after the other, also behind digits of ours", () => {
    const bench = new Bench();
    const a = bench.leg(1);
    const b = bench.leg(2);
    bench.join(a, b);
    b.session.sendDigits({ id: 9, digits: "55", method: "rfc4733", duration: 100, gap: 60 });
    for (const event of [1, 2, 3]) {
      a.timestamp += 800;
      a.key(event, 800, true);
      bench.tick(1);
    }
    bench.tick(60, () => a.say());
    const order = [
      ...new Map(events(b).map((packet) => [packet.timestamp, packet.payload[0]])).values(),
    ];
    assert.deepEqual(order, [5, 5, 1, 2, 3]);
    assert.deepEqual(a.digits, ["1 100", "2 100", "3 100"]);
  });

  it("do not reach a side that takes no events: somebody else passes them on", () => {
    const bench = new Bench();
    const a = bench.leg(1);
    const b = bench.leg(2, "PCMU", { eventPayloadType: undefined });
    bench.join(a, b);
    bench.tick(1, () => a.key(1, 160, true));
    bench.tick(10);
    assert.deepEqual(a.digits, ["1 20"]);
    assert.ok(b.packets.every(({ payloadType }) => payloadType === 0));
  });
});
