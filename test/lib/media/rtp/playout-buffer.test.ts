import assert from "node:assert/strict";
import type { AudioDecoder } from "../../../../lib/media/codec/audio-codec.js";
import { pcmu } from "../../../../lib/media/codec/g711-codec.js";
import { PlayoutBuffer } from "../../../../lib/media/rtp/playout-buffer.js";
import type { PlayoutFormat } from "../../../../lib/media/rtp/playout-buffer.js";
import { toneAmplitude } from "../../../support/rtp-phone.js";
import { SeededRandom } from "../../../support/seeded-random.js";

const FRAME = 160;

interface Network {
  /** Milliseconds between packets of the sender in our time. */
  readonly interval?: number;
  readonly seconds: number;
  /** Share of packets that never come. */
  readonly loss?: number;
  /** Milliseconds that each packet is late at random. */
  readonly jitter?: number;
  /** Further: changes or drops single packets; returns the delay in ms, undefined = lost. */
  readonly delay?: (packet: number) => number | undefined;
  readonly firstTimestamp?: number;
  /** Samples of each packet of the sender. */
  readonly frame?: number;
}

interface Heard {
  readonly samples: Int16Array;
  readonly buffer: PlayoutBuffer;
  /** Milliseconds between the sending of what is heard and its hearing, once a second. */
  readonly delays: readonly number[];
}

/** A sender of a 200 Hz tone on one side of a bad network, our 20 ms beat on the other. */
function listenTo(network: Network): Heard {
  const random = new SeededRandom(3550);
  const frame = network.frame ?? FRAME;
  const interval = network.interval ?? (frame * 1000) / 8000;
  const format: PlayoutFormat = {
    decoder: pcmu.createDecoder(),
    sampleRate: pcmu.sampleRate,
    clockRate: pcmu.clockRate,
  };
  const encoder = pcmu.createEncoder();
  const arrivals: { at: number; packet: number }[] = [];
  const packets = Math.floor((network.seconds * 1000) / interval);
  for (let packet = 0; packet < packets; packet++) {
    if (random.next() < (network.loss ?? 0)) continue;
    const delay = network.delay === undefined ? 0 : network.delay(packet);
    if (delay === undefined) continue;
    arrivals.push({
      at: packet * interval + delay + random.next() * (network.jitter ?? 0),
      packet,
    });
  }
  arrivals.sort((a, b) => a.at - b.at);
  const buffer = new PlayoutBuffer();
  const ticks = Math.floor((packets * interval) / 20);
  const samples = new Int16Array(ticks * FRAME);
  const out = new Int16Array(FRAME);
  const delays: number[] = [];
  let next = 0;
  const tone = new Int16Array(frame);
  for (let tick = 0; tick < ticks; tick++) {
    const now = tick * 20 + 7;
    for (; next < arrivals.length && arrivals[next].at <= now; next++) {
      const { packet, at } = arrivals[next];
      for (let i = 0; i < frame; i++) {
        tone[i] = Math.round(8000 * Math.sin((2 * Math.PI * 200 * (packet * frame + i)) / 8000));
      }
      const payload = new Uint8Array(frame);
      encoder.encode(tone, frame, payload, 0);
      buffer.push(((network.firstTimestamp ?? 0) + packet * frame) >>> 0, payload, format, at);
    }
    buffer.pull(out, FRAME, now);
    samples.set(out, tick * FRAME);
    if (tick % 50 === 49) delays.push(buffer.heldMs);
  }
  return { samples, buffer, delays };
}

/** Longest stretch without sound, in ms, after the first sound and before the last 100 ms. */
function longestGap(samples: Int16Array): number {
  let longest = 0;
  let gap = 0;
  const start = samples.findIndex((sample) => sample !== 0);
  for (let i = start; i < samples.length - 800; i++) {
    gap = Math.abs(samples[i]) < 8 ? gap + 1 : 0;
    longest = Math.max(longest, gap);
  }
  return longest / 8;
}

describe("PlayoutBuffer", () => {
  it("gives what comes evenly as it was sent, after at most 60 ms", () => {
    const { samples, buffer } = listenTo({ seconds: 5 });
    const start = samples.findIndex((sample) => sample !== 0);
    assert.ok(start <= 480, `${start / 8} ms`);
    assert.ok(toneAmplitude(samples.slice(start, start + 32_000), 200) > 7_900);
    assert.ok(buffer.statistics.concealedMs <= 20);
  });

  it("hears 30 % of loss without a gap over 40 ms", () => {
    const { samples, buffer } = listenTo({
      seconds: 20,
      delay: (packet) => ([2, 5, 8].includes(packet % 10) ? undefined : 0),
    });
    assert.ok(longestGap(samples) < 40, `${longestGap(samples)} ms`);
    const lost = 20 * 1000 * 0.3;
    assert.ok(
      Math.abs(buffer.statistics.concealedMs - lost) < lost / 4,
      `${buffer.statistics.concealedMs}`,
    );
  });

  it("puts packets in order and drops doubled ones", () => {
    const order = listenTo({ seconds: 10, delay: (packet) => (packet % 5 === 0 ? 30 : 0) });
    assert.ok(longestGap(order.samples.slice(16_000)) < 5);
    assert.ok(toneAmplitude(order.samples.slice(16_000, 72_000), 200) > 7_500);
  });

  it("waits as long as the network needs and no longer than 200 ms", () => {
    const even = listenTo({ seconds: 20 }).buffer.statistics.targetMs;
    const rough = listenTo({ seconds: 20, jitter: 90 }).buffer.statistics.targetMs;
    const hopeless = listenTo({ seconds: 20, jitter: 900 }).buffer.statistics.targetMs;
    assert.ok(even < 35, `${even}`);
    assert.ok(rough > 70 && rough < 120, `${rough}`);
    assert.equal(Math.round(hopeless), 200);
  });

  it("keeps 97 % and more in time at a jitter of 60 ms", () => {
    const { buffer } = listenTo({ seconds: 60, jitter: 60 });
    assert.ok(buffer.statistics.late < 60 * 50 * 0.03, `${buffer.statistics.late}`);
  });

  for (const [ppm, seconds] of [
    [200, 3600],
    [-200, 600],
  ] as const) {
    it(`${seconds} s of a clock ${ppm} ppm off with 2 % of loss: no growing delay, no gap`, () => {
      const { delays, samples, buffer } = listenTo({
        seconds,
        interval: 20 * (1 + ppm / 1_000_000),
        loss: 0.02,
        jitter: 10,
      });
      assert.ok(Math.max(...delays.slice(60)) < 120, `${Math.max(...delays.slice(60))} ms`);
      assert.ok(longestGap(samples) < 60, `${longestGap(samples)} ms`);
      assert.ok(buffer.statistics.concealedMs < seconds * 1000 * 0.04);
    });
  }

  it("goes on after silence, a burst, a jump and the wrap of timestamps", () => {
    const cases: [string, Partial<Network>][] = [
      ["silence", { delay: (packet) => (packet > 100 && packet < 200 ? undefined : 0) }],
      ["burst", { delay: (packet) => (packet > 100 && packet < 130 ? (130 - packet) * 20 : 0) }],
      ["wrap", { firstTimestamp: 0xffff_ff00 - 100 * FRAME }],
    ];
    for (const [name, network] of cases) {
      const { samples, delays } = listenTo({ seconds: 10, ...network });
      assert.ok(toneAmplitude(samples.slice(-16_000, -800), 200) > 7_000, name);
      assert.ok((delays.at(-1) ?? 0) < 150, `${name}: ${delays.at(-1)} ms`);
    }
  });

  it("takes packets of any length", () => {
    for (const frame of [80, 240, 480]) {
      const { samples } = listenTo({ seconds: 10, frame });
      assert.ok(toneAmplitude(samples.slice(16_000, 72_000), 200) > 7_800, `${frame}`);
    }
  });

  it("begins anew when timestamps jump, and is silent after reset", () => {
    const buffer = new PlayoutBuffer();
    const format = { decoder: pcmu.createDecoder(), sampleRate: 8000, clockRate: 8000 };
    const loud = new Uint8Array(FRAME).fill(0x80);
    const out = new Int16Array(FRAME);
    for (let i = 0; i < 10; i++) {
      buffer.push(i * FRAME, loud, format, i * 20);
      buffer.pull(out, FRAME, i * 20);
    }
    assert.equal(out[10], 32_124);
    for (let i = 10; i < 20; i++) {
      buffer.push(900_000 + i * FRAME, loud, format, i * 20);
      buffer.pull(out, FRAME, i * 20);
    }
    assert.equal(out[10], 32_124);
    buffer.reset();
    assert.equal(buffer.pull(out, FRAME, 400), false);
    assert.ok(out.every((sample) => sample === 0));
    assert.equal(buffer.sampleRate, undefined);
  });

  it("holds a bounded number of packets whatever comes", () => {
    const random = new SeededRandom(1);
    const buffer = new PlayoutBuffer();
    const format = { decoder: pcmu.createDecoder(), sampleRate: 8000, clockRate: 8000 };
    const out = new Int16Array(FRAME);
    for (let i = 0; i < 20_000; i++) {
      const timestamp = Math.floor(random.next() * (i % 2 ? 0x1_0000_0000 : 16_000));
      buffer.push(timestamp, new Uint8Array(Math.floor(random.next() * 300)), format, i);
      if (i % 20 === 0) buffer.pull(out, FRAME, i);
      assert.ok(buffer.heldMs < 10_000);
    }
  });
});

describe("PlayoutBuffer and packets that repeat what was lost", () => {
  /** Decodes to what the payload says, recovers to its negative. */
  function setUp(recovers = true) {
    const log: string[] = [];
    const decoder: AudioDecoder = {
      decode(source, start, _end, target) {
        log.push(`decode ${source[start]}`);
        target.fill(source[start], 0, FRAME);
        return FRAME;
      },
      conceal(target, count) {
        log.push(`conceal ${count}`);
        target.fill(0, 0, count);
      },
      recover(source, start, _end, target, count) {
        log.push(`recover ${count} from ${source[start]}`);
        if (!recovers) return false;
        target.fill(-source[start], 0, count);
        return true;
      },
      close: () => undefined,
    };
    const format: PlayoutFormat = { decoder, sampleRate: 8000, clockRate: 8000 };
    const buffer = new PlayoutBuffer();
    for (const packet of [0, 1, 3, 4, 7]) {
      buffer.push(packet * FRAME, Uint8Array.of(packet), format, packet * 20);
    }
    const samples: number[] = [];
    const out = new Int16Array(FRAME);
    for (let tick = 0; tick < 8; tick++) {
      buffer.pull(out, FRAME, 200 + tick * 20);
      samples.push(out[0]);
    }
    return { log, samples, buffer };
  }

  it("takes one lost packet from the next one, and of two only the second", () => {
    const { log, samples, buffer } = setUp();
    assert.deepEqual(samples.slice(0, 5), [0, 1, -3, 3, 4]);
    assert.deepEqual(log.slice(0, 7), [
      "decode 0",
      "decode 1",
      "recover 160 from 3",
      "decode 3",
      "decode 4",
      "conceal 160",
      "recover 160 from 7",
    ]);
    assert.deepEqual(samples.slice(5), [0, -7, 7]);
    assert.equal(buffer.statistics.concealedMs, 60);
  });

  it("conceals where nothing is repeated", () => {
    const { samples, log } = setUp(false);
    assert.deepEqual(samples, [0, 1, 0, 3, 4, 0, 0, 7]);
    assert.equal(log.filter((line) => line === "conceal 160").length, 3);
  });
});
