import assert from "node:assert/strict";
import type { AudioDecoder, AudioEncoder } from "../../../../lib/media/codec/audio-codec.js";
import { loadCodecs } from "../../../../lib/media/codec/codecs.js";
import { opus } from "../../../../lib/media/codec/opus-codec.js";
import { encoderOptions } from "../../../../lib/media/codec/opus-parameters.js";
import { settle } from "../../../support/manual-clock.js";
import {
  decibels,
  level,
  noise,
  signalToNoise,
  sine,
  toneLevel,
} from "../../../support/signals.js";

const RATE = 48_000;
const FRAME = 960;

/** What the library makes for a stream is there after its promises. */
const ready = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("Opus", () => {
  const open: { close(): void }[] = [];

  before(() => opus.load?.());
  afterEach(() => {
    for (const stream of open.splice(0)) stream.close();
  });

  async function pair(
    parameters?: string,
  ): Promise<{ encoder: AudioEncoder; decoder: AudioDecoder }> {
    const encoder = opus.createEncoder(parameters);
    const decoder = opus.createDecoder();
    open.push(encoder, decoder);
    await ready();
    return { encoder, decoder };
  }

  function packets(encoder: AudioEncoder, samples: Int16Array, count = FRAME): Uint8Array[] {
    const all: Uint8Array[] = [];
    for (let at = 0; at + count <= samples.length; at += count) {
      const target = new Uint8Array(1300);
      const bytes = encoder.encode(samples.subarray(at, at + count), count, target, 12);
      assert.ok(bytes > 0);
      all.push(target.slice(12, 12 + bytes));
    }
    return all;
  }

  function decoded(decoder: AudioDecoder, payloads: readonly Uint8Array[]): Int16Array {
    const target = new Int16Array(9600);
    const parts = payloads.map((payload) => {
      const count = decoder.decode(payload, 0, payload.length, target);
      assert.equal(count, opus.duration(payload, 0, payload.length));
      return [...target.subarray(0, count)];
    });
    return Int16Array.from(parts.flat());
  }

  it("is ready before the next packet: promises only, no timer and no message, lie between", async () => {
    const encoder = opus.createEncoder("useinbandfec=1");
    const decoder = opus.createDecoder();
    open.push(encoder, decoder);
    await settle();
    const target = new Uint8Array(1300);
    const bytes = encoder.encode(sine(440, 20, RATE), FRAME, target, 0);
    assert.ok(bytes > 10);
    assert.equal(decoder.decode(target, 0, bytes, new Int16Array(9600)), FRAME);
  });

  for (const frequency of [300, 1000, 3000, 6000]) {
    it(`carries a tone of ${frequency} Hz at its loudness`, async () => {
      const { encoder, decoder } = await pair("useinbandfec=1");
      const sent = sine(frequency, 500, RATE);
      const heard = decoded(decoder, packets(encoder, sent)).subarray(RATE / 5);
      const change = decibels(toneLevel(heard, frequency, RATE) / 0.3);
      assert.ok(Math.abs(change) < 1, `${change} dB`);
      const rest = level(heard) / (toneLevel(heard, frequency, RATE) / Math.SQRT2);
      assert.ok(rest < 1.05, `the tone is 1 of ${rest}`);
    });
  }

  for (const milliseconds of [10, 20, 40, 60]) {
    it(`makes packets of ${milliseconds} ms that say their length`, async () => {
      const { encoder, decoder } = await pair();
      const made = packets(encoder, sine(440, 240, RATE), milliseconds * 48);
      assert.ok(
        made.every((payload) => opus.duration(payload, 0, payload.length) === milliseconds * 48),
      );
      assert.equal(decoded(decoder, made).length, 240 * 48);
    });
  }

  it("makes nothing of a length that Opus does not have", async () => {
    const { encoder } = await pair();
    assert.equal(encoder.encode(new Int16Array(1440), 1440, new Uint8Array(1300), 0), 0);
  });

  it("spends few bytes on silence and decodes it as such", async () => {
    const { encoder, decoder } = await pair();
    const target = new Uint8Array(1300);
    let bytes = 0;
    const made: Uint8Array[] = [];
    for (let i = 0; i < 25; i++) {
      bytes = encoder.encodeSilence(FRAME, target, 0);
      made.push(target.slice(0, bytes));
    }
    assert.ok(bytes > 0 && bytes < 40, `${bytes} bytes`);
    assert.ok(level(decoded(decoder, made)) < 0.001);
  });

  it("reads the duration from the first bytes of a payload (RFC 6716 §3.1)", () => {
    const CASES: [number[], number][] = [
      [[], 0],
      [[0 << 3], 480],
      [[3 << 3], 2880],
      [[(1 << 3) | 1], 1920],
      [[(13 << 3) | 2], 1920],
      [[16 << 3], 120],
      [[31 << 3], 960],
      [[(31 << 3) | 3, 3], 2880],
      [[(31 << 3) | 3], 0],
      // 63 frames of 60 ms: longer than any packet may be.
      [[(3 << 3) | 3, 63], 0],
    ];
    for (const [bytes, expected] of CASES) {
      assert.equal(opus.duration(Uint8Array.from(bytes), 0, bytes.length), expected, bytes.join());
    }
  });

  it("conceals any number of samples, fading out", async () => {
    const { encoder, decoder } = await pair();
    decoded(decoder, packets(encoder, sine(400, 400, RATE)));
    const target = new Int16Array(RATE);
    decoder.conceal(target, 500);
    decoder.conceal(target.subarray(500), 460);
    const first = level(target.subarray(0, FRAME));
    assert.ok(first > 0.1, `${first}`);
    decoder.conceal(target, RATE);
    assert.ok(level(target.subarray(RATE / 2)) < first / 4);
  });

  it("recovers a lost packet from the one after it, where the peer repeats it", async () => {
    const { Application, Signal, createEncoder } = await import("libopus-wasm");
    const peer = await createEncoder({
      channels: 1,
      application: Application.Voip,
      signal: Signal.Voice,
      bitrate: 32_000,
      fec: true,
      packetLossPercent: 20,
    });
    const { decoder } = await pair();
    const { decoder: undisturbed } = await pair();
    // Pulses and noise that swell, as voices do.
    const hiss = noise(1000, RATE);
    const spoken = hiss.map((sample, i) => {
      const pulse = i % 320 < 8 ? 9000 : 0;
      return (sample / 10 + pulse) * (0.5 + 0.5 * Math.sin(i / 5000));
    });
    const made: Uint8Array[] = [];
    for (let at = 0; at < spoken.length; at += FRAME) {
      made.push(peer.encode(spoken.subarray(at, at + FRAME)));
    }
    peer.free();
    const target = new Int16Array(FRAME);
    let better = 0;
    const lost = [12, 17, 22, 27, 32, 37, 42];
    for (const [index, payload] of made.entries()) {
      const [said] = [decoded(undisturbed, [payload])];
      if (!lost.includes(index)) {
        decoded(decoder, [payload]);
        continue;
      }
      const next = made[index + 1];
      assert.ok(decoder.recover?.(next, 0, next.length, target, FRAME));
      assert.equal(decoder.recover?.(next, 0, next.length, target, 100), false);
      if (signalToNoise(said, target, 0).ratio > 0) better += 1;
    }
    assert.ok(better >= 5, `${better} of ${lost.length} are more signal than noise`);
  });

  it("decodes nothing of what is no Opus, and goes on", async () => {
    const { encoder, decoder } = await pair();
    const target = new Int16Array(9600);
    const bad: number[][] = [[], [0xff], [3], [3, 0], [0x0b, 0x3f, 1, 2], [0xfd, 1, 2, 3, 4]];
    for (const bytes of bad) {
      const count = decoder.decode(Uint8Array.from(bytes), 0, bytes.length, target);
      assert.ok(count >= 0 && count <= 5760);
    }
    let state = 7;
    for (let i = 0; i < 300; i++) {
      const payload = Uint8Array.from({ length: i % 90 }, () => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return state >>> 24;
      });
      assert.ok(decoder.decode(payload, 0, payload.length, target) <= 5760);
    }
    const heard = decoded(decoder, packets(encoder, sine(1000, 400, RATE)));
    assert.ok(toneLevel(heard.subarray(RATE / 5), 1000, RATE) > 0.2);
  });

  it("decodes stereo of the peer as mono", async () => {
    const { createEncoder } = await import("libopus-wasm");
    const stereo = await createEncoder({ channels: 2 });
    const { decoder } = await pair();
    const tone = sine(500, 400, RATE);
    const made: Uint8Array[] = [];
    for (let at = 0; at < tone.length; at += FRAME) {
      const both = new Int16Array(2 * FRAME);
      for (let i = 0; i < FRAME; i++) both[2 * i] = both[2 * i + 1] = tone[at + i];
      made.push(stereo.encode(both));
    }
    stereo.free();
    const heard = decoded(decoder, made).subarray(RATE / 5);
    assert.ok(Math.abs(decibels(toneLevel(heard, 500, RATE) / 0.3)) < 1);
  });

  it("gives nothing before it is ready and after it was closed, and frees what comes late", async () => {
    const encoder = opus.createEncoder();
    const decoder = opus.createDecoder();
    const target = new Int16Array(FRAME).fill(1);
    assert.equal(encoder.encode(target, FRAME, new Uint8Array(1300), 0), 0);
    encoder.close();
    decoder.close();
    await ready();
    decoder.close();
    assert.equal(decoder.decode(Uint8Array.of(0xf8, 0xff, 0xfe), 0, 3, target), 0);
    decoder.conceal(target, FRAME);
    assert.ok(target.every((sample) => sample === 0));
  });

  describe("parameters of the peer (RFC 7587 §6.1)", () => {
    const names = {
      Application: { Audio: 2049 },
      Bandwidth: {
        Narrowband: 1101,
        Mediumband: 1102,
        Wideband: 1103,
        Superwideband: 1104,
        Fullband: 1105,
      },
    } as const;
    const CASES: [string | undefined, Record<string, unknown>][] = [
      [undefined, { bitrate: 40_000, fec: false, dtx: false, vbr: true, maxBandwidth: 1105 }],
      ["minptime=10; useinbandfec=1", { fec: true, packetLossPercent: 5 }],
      ["useinbandfec=0", { fec: false, packetLossPercent: 0 }],
      ["maxplaybackrate=8000", { maxBandwidth: 1101, bitrate: 14_000 }],
      ["maxplaybackrate=16000;stereo=1", { maxBandwidth: 1103, channels: 1 }],
      ["MaxAverageBitrate=20000", { bitrate: 20_000 }],
      ["maxaveragebitrate=1", { bitrate: 6_000 }],
      ["usedtx=1;cbr=1", { dtx: true, vbr: false }],
      ["maxaveragebitrate=99999999999;;=;x", { bitrate: 40_000 }],
      ["useinbandfec=1;useinbandfec=0", { fec: true }],
    ];
    for (const [text, expected] of CASES) {
      it(`"${text ?? ""}"`, () => {
        const options: Record<string, unknown> = { ...encoderOptions(text, names) };
        for (const [name, value] of Object.entries(expected)) assert.equal(options[name], value);
      });
    }
  });
});

describe("loadCodecs", () => {
  it("tells which codec cannot be used, and loads the others", async () => {
    const loaded: string[] = [];
    const unusable = await loadCodecs(["opus", "G722", "PCMU"], (name) => ({
      load: () => {
        if (name === "opus") return Promise.reject(new Error("no WebAssembly here"));
        loaded.push(name);
        return Promise.resolve();
      },
    }));
    assert.deepEqual(unusable, [{ name: "opus", reason: "no WebAssembly here" }]);
    assert.deepEqual(loaded, ["G722", "PCMU"]);
  });

  it("loads every codec of this version, and ignores names that it does not know", async () => {
    assert.deepEqual(await loadCodecs(["opus", "OPUS", "G722", "PCMU", "G729"]), []);
  });
});
