import assert from "node:assert/strict";
import { g722 } from "../../../../lib/media/codec/g722-codec.js";
import { writeRtpHeader } from "../../../../lib/media/rtp/rtp-packet.js";
import { RtpReceiver } from "../../../../lib/media/rtp/rtp-receiver.js";
import type { StreamSettings } from "../../../../lib/media/rtp/stream-settings.js";
import { decibels, sine, toneLevel } from "../../../support/signals.js";
import { SeededRandom } from "../../../support/seeded-random.js";

export const SETTINGS: StreamSettings = {
  address: "192.0.2.1",
  port: 4000,
  rtcpAddress: "192.0.2.1",
  rtcpPort: 4001,
  rtcpMux: false,
  srtp: undefined,
  signallingAddress: "192.0.2.1",
  send: { payloadType: 0, codec: "PCMU" },
  receive: [
    { payloadType: 0, codec: "PCMU" },
    { payloadType: 8, codec: "PCMA" },
  ],
  eventPayloadType: 101,
  eventsReceived: [101],
  clockRate: 8000,
  ptime: 20,
  maySend: true,
  mayReceive: true,
};

function packet(options: {
  payloadType?: number;
  sequence: number;
  ssrc?: number;
  timestamp?: number;
  payload?: Buffer;
}): Buffer {
  const payload = options.payload ?? Buffer.alloc(160, 0x80);
  const datagram = Buffer.alloc(12 + payload.length);
  writeRtpHeader(datagram, {
    marker: false,
    payloadType: options.payloadType ?? 0,
    sequenceNumber: options.sequence & 0xffff,
    timestamp: options.timestamp ?? options.sequence * 160,
    ssrc: options.ssrc ?? 7,
  });
  payload.copy(datagram, 12);
  return datagram;
}

function receiver(settings: StreamSettings | undefined = SETTINGS) {
  const digits: string[] = [];
  const made = new RtpReceiver({ ownSsrc: 99, onDigit: ({ digit }) => digits.push(digit) });
  made.configure(settings, 0);
  let now = 0;
  return {
    receiver: made,
    digits,
    pull(count: number, sampleRate = 8000): Int16Array {
      const target = new Int16Array(count);
      made.pull(target, count, sampleRate, now);
      return target;
    },
    from(datagram: Buffer, address = "192.0.2.1", port = 4000): void {
      now += 20;
      made.datagram(datagram, address, port, now);
    },
  };
}

describe("RtpReceiver and clocks", () => {
  const WIDE: StreamSettings = {
    ...SETTINGS,
    send: { payloadType: 96, codec: "OPUS" },
    receive: [
      { payloadType: 96, codec: "OPUS" },
      { payloadType: 9, codec: "G722" },
      { payloadType: 0, codec: "PCMU" },
    ],
    eventsReceived: [101, 97],
    eventClockRates: { 101: 8_000, 97: 48_000 },
    clockRate: 48_000,
  };

  it("reads each event's duration in the clock of its number", () => {
    const durations: number[] = [];
    const made = new RtpReceiver({
      ownSsrc: 99,
      onDigit: ({ duration }) => durations.push(duration),
    });
    made.configure(WIDE, 0);
    // 100 ms in 8000 and in 48 000 Hz.
    const presses: [number, number][] = [
      [101, 800],
      [97, 4800],
    ];
    for (const [index, [payloadType, units]] of presses.entries()) {
      const payload = Buffer.from([5, 0x8a, units >> 8, units & 0xff]);
      const datagram = packet({ payloadType, sequence: index, timestamp: index * 48_000, payload });
      made.datagram(datagram, "192.0.2.1", 4000, index * 1000);
    }
    assert.deepEqual(durations, [100, 100]);
  });

  it("measures the jitter in the clock of what comes, not of what is sent", () => {
    const { receiver: made, from } = receiver(WIDE);
    for (let sequence = 0; sequence < 100; sequence++) from(packet({ sequence }));
    assert.ok(made.jitterMs < 0.1, `${made.jitterMs} ms`);
    assert.equal(made.packetsReceived, 100);
  });

  it("takes comfort noise beside any codec without hearing it, and drops unknown numbers", () => {
    const { receiver: made, from } = receiver(WIDE);
    made.hear(true);
    from(packet({ sequence: 1, payloadType: 13, payload: Buffer.of(60) }));
    from(packet({ sequence: 2, payloadType: 18, payload: Buffer.alloc(20) }));
    assert.equal(made.packetsReceived, 1);
    assert.equal(made.packetsDropped, 1);
  });

  it("follows a sender that changes from G.711 to G.722, at twice the samples on the same clock", () => {
    const { receiver: made, from, pull } = receiver(WIDE);
    made.hear(true);
    const encoder = g722.createEncoder();
    const tone = sine(1000, 1000, 16_000);
    for (let sequence = 0; sequence < 50; sequence++) {
      const payload = Buffer.alloc(160);
      encoder.encode(tone.subarray(sequence * 320, (sequence + 1) * 320), 320, payload, 0);
      from(sequence < 10 ? packet({ sequence }) : packet({ sequence, payloadType: 9, payload }));
      const heard = pull(960, 48_000);
      if (sequence < 30) continue;
      assert.ok(Math.abs(decibels(toneLevel(heard, 1000, 48_000) / 0.3)) < 1, `at ${sequence}`);
    }
  });
});

describe("RtpReceiver", () => {
  it("counts, decodes while somebody hears and knows when the last packet came", () => {
    const { receiver: made, from, pull } = receiver();
    from(packet({ sequence: 1 }));
    assert.equal(pull(160).at(-1), 0);
    made.hear(true);
    from(packet({ sequence: 2 }));
    from(packet({ sequence: 3, payloadType: 8, payload: Buffer.alloc(80, 0xaa) }));
    from(packet({ sequence: 4, timestamp: 560 }));
    const heard = pull(400);
    assert.deepEqual(
      [heard[0], heard[159], heard[160], heard[239]],
      [32_124, 32_124, 32_256, 32_256],
    );
    made.hear(false);
    assert.deepEqual(pull(1), Int16Array.of(0));
    assert.equal(made.packetsReceived, 4);
    assert.equal(made.packetsDropped, 0);
    assert.equal(made.lastPacketAt, 80);
  });

  it("is heard at the rate that is asked for", () => {
    const { receiver: made, from, pull } = receiver();
    made.hear(true);
    for (let sequence = 1; sequence < 6; sequence++) from(packet({ sequence }));
    const heard = pull(640, 16_000);
    assert.ok(heard.subarray(200).every((sample) => Math.abs(sample - 32_124) < 700));
  });

  const DROPPED: [string, Buffer, string, number][] = [
    ["no RTP", Buffer.from("hello"), "192.0.2.1", 4000],
    ["an unknown payload type", packet({ sequence: 1, payloadType: 18 }), "192.0.2.1", 4000],
    ["our own source, come back", packet({ sequence: 1, ssrc: 99 }), "192.0.2.1", 4000],
    ["a stranger", packet({ sequence: 1 }), "203.0.113.1", 4000],
  ];
  for (const [name, datagram, address, port] of DROPPED) {
    it(`drops and counts ${name}`, () => {
      const { receiver: made, from } = receiver();
      from(datagram, address, port);
      assert.equal(made.packetsDropped, 1);
      assert.equal(made.packetsReceived, 0);
    });
  }

  it("takes a new source identifier from the same place and keeps the counts", () => {
    const { receiver: made, from } = receiver();
    for (const sequence of [1, 2, 4]) from(packet({ sequence }));
    for (const sequence of [500, 501]) from(packet({ sequence, ssrc: 8 }));
    assert.equal(made.packetsReceived, 5);
    assert.equal(made.packetsLost, 1);
    assert.equal(made.remoteSsrc, 8);
    from(packet({ sequence: 1, ssrc: 9 }), "203.0.113.1");
    assert.equal(made.remoteSsrc, 8);
  });

  it("hears nothing and no digits while the direction forbids it, but counts", () => {
    const { receiver: made, digits, from, pull } = receiver({ ...SETTINGS, mayReceive: false });
    made.hear(true);
    from(packet({ sequence: 1 }));
    from(packet({ sequence: 2, payloadType: 101, payload: Buffer.from([1, 0x80, 3, 0x20]) }));
    assert.ok(pull(160).every((sample) => sample === 0));
    assert.deepEqual(digits, []);
    assert.equal(made.packetsReceived, 2);
  });

  it("finds digits under each negotiated number and reports a lost end later", () => {
    const { receiver: made, digits, from } = receiver({ ...SETTINGS, eventsReceived: [101, 97] });
    const press = (event: number): Buffer => Buffer.from([event, 0x80, 3, 0x20]);
    from(packet({ sequence: 1, payloadType: 101, timestamp: 1000, payload: press(5) }));
    from(packet({ sequence: 2, payloadType: 97, timestamp: 9000, payload: press(6) }));
    from(
      packet({
        sequence: 3,
        payloadType: 97,
        timestamp: 20_000,
        payload: Buffer.from([7, 0, 0, 160]),
      }),
    );
    assert.deepEqual(digits, ["5", "6"]);
    made.tick(1000);
    assert.deepEqual(digits, ["5", "6", "7"]);
  });

  it("counts comfort noise and hears nothing in it", () => {
    const { receiver: made, from, pull } = receiver();
    made.hear(true);
    from(packet({ sequence: 1, payloadType: 13, payload: Buffer.from([40]) }));
    assert.equal(made.packetsReceived, 1);
    assert.ok(pull(160).every((sample) => sample === 0));
  });

  it("listens to nobody without a stream", () => {
    const { receiver: made, from } = receiver();
    made.configure(undefined, 0);
    from(packet({ sequence: 1 }));
    assert.equal(made.packetsReceived, 0);
    assert.equal(made.listening, false);
  });

  it("cuts a packet that is longer than any sound should be", () => {
    const { receiver: made, from, pull } = receiver();
    made.hear(true);
    from(packet({ sequence: 1, payload: Buffer.alloc(60_000) }));
    for (const sequence of [2, 3]) from(packet({ sequence, timestamp: sequence * 1600 }));
    const heard = pull(3200);
    assert.ok(heard.subarray(0, 1600).every((sample) => sample === -32_124));
    assert.equal(heard[3000], 0);
  });

  it("survives 20,000 mutated packets from the right place", () => {
    const random = new SeededRandom(3550);
    const { receiver: made, digits, from, pull } = receiver();
    made.hear(true);
    const seeds = [
      packet({ sequence: 1 }),
      packet({ sequence: 2, payloadType: 101, payload: Buffer.from([1, 0x0a, 0, 160]) }),
      packet({ sequence: 3, payloadType: 8, payload: Buffer.alloc(4) }),
    ];
    for (let round = 0; round < 20_000; round++) {
      const datagram = Buffer.from(seeds[round % seeds.length]);
      for (let change = 0; change < 3; change++) {
        const place = Math.floor(random.next() * Math.min(20, datagram.length));
        datagram[place] = Math.floor(random.next() * 256);
      }
      from(datagram.subarray(0, Math.floor(random.next() * (datagram.length + 1))));
      pull(160, round % 3 === 0 ? 16_000 : 8000);
      if (round % 50 === 0) made.tick(round * 20);
    }
    assert.ok(made.packetsReceived > 0 && made.packetsDropped > 0);
    assert.ok(digits.length < 10_000);
    assert.ok(Number.isFinite(made.jitterMs) && Number.isFinite(made.packetsLost));
  });
});
