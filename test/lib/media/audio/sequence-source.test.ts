/** Lists of sounds. Hard cases: no gap between two, what cannot be opened, empty sounds, closed while one is opened. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MediaError } from "../../../../lib/foundation/index.js";
import type { SampleSource } from "../../../../lib/media/audio/audio-source.js";
import { openSource } from "../../../../lib/media/audio/open-source.js";
import { SequenceSource } from "../../../../lib/media/audio/sequence-source.js";
import type { TransferredOne } from "../../../../lib/media/rtp/worker-protocol.js";
import { drained } from "../../../support/drained.js";
import { pause, toneAmplitude, toneFrequency, wavOfTone } from "../../../support/rtp-phone.js";

/** So many samples of one value. */
class Constant implements SampleSource {
  readonly sampleRate = 8000;
  failed = false;
  closed = 0;
  #left: number;

  constructor(
    readonly value: number,
    length: number,
  ) {
    this.#left = length;
  }

  get ended(): boolean {
    return this.#left === 0 || this.failed;
  }

  read(target: Int16Array, count: number): number {
    const given = Math.min(count, this.#left);
    target.fill(this.value, 0, given);
    this.#left -= given;
    return given;
  }

  close(): void {
    this.closed += 1;
  }
}

const wav = (frequency: number, ms: number): TransferredOne => ({
  kind: "buffer",
  data: wavOfTone(frequency, ms),
});
const list = (...sources: TransferredOne[]) => ({ kind: "list", sources }) as const;

describe("SequenceSource", () => {
  it("plays all in order, without a gap, and closes each", async () => {
    const sources = [new Constant(1, 100), new Constant(2, 400), new Constant(3, 33)];
    const openers = sources.map((source) => () => Promise.resolve(source));
    const sequence = await SequenceSource.open(openers, 1, 8000);
    await pause(0);
    const samples = await drained(sequence);
    assert.equal(samples.length, 533);
    assert.deepEqual([samples[99], samples[100], samples[499], samples[500]], [1, 2, 2, 3]);
    assert.deepEqual(
      sources.map((source) => source.closed),
      [1, 1, 1],
    );
    assert.equal(sequence.failed, false);
  });

  it("repeats them all, opened anew", async () => {
    let opened = 0;
    const opener = () => {
      opened += 1;
      return Promise.resolve(new Constant(opened, 200));
    };
    const samples = await drained(await SequenceSource.open([opener, opener], 3, 8000));
    assert.equal(samples.length, 1200);
    assert.equal(opened, 6);
    assert.equal(samples[1199], 6);
  });

  it("ends at once when all are empty, however often repeated", async () => {
    const opener = () => Promise.resolve(new Constant(1, 0));
    const samples = await drained(await SequenceSource.open([opener, opener], Infinity, 8000));
    assert.equal(samples.length, 0);
    assert.ok((await SequenceSource.open([], Infinity, 8000)).ended);
  });

  it("is failed when one fails, or cannot be opened any more", async () => {
    const broken = new Constant(2, 500);
    const sources = [new Constant(1, 200), broken, new Constant(3, 200)];
    const sequence = await SequenceSource.open(
      sources.map((source) => () => Promise.resolve(source)),
      1,
      8000,
    );
    await pause(0);
    sequence.read(new Int16Array(300), 300);
    broken.failed = true;
    assert.ok((await drained(sequence)).length === 0);
    assert.ok(sequence.failed);

    const gone = await SequenceSource.open(
      [() => Promise.resolve(new Constant(1, 200)), () => Promise.reject(new Error("gone"))],
      1,
      8000,
    );
    assert.equal((await drained(gone)).length, 200);
    assert.ok(gone.failed);
  });

  it("closes a source that is opened too late", async () => {
    const late = new Constant(2, 100);
    let give: (source: SampleSource) => void = () => undefined;
    const sequence = await SequenceSource.open(
      [
        () => Promise.resolve(new Constant(1, 100)),
        () => new Promise((resolve) => (give = resolve)),
      ],
      1,
      8000,
    );
    assert.equal(sequence.read(new Int16Array(160), 160), 100);
    assert.equal(sequence.ended, false);
    sequence.close();
    give(late);
    await pause(0);
    assert.equal(late.closed, 1);
    assert.equal(sequence.read(new Int16Array(160), 160), 0);
  });
});

describe("lists of sounds", () => {
  it("join files, MP3 and tones at the sample", async () => {
    const mp3 = readFileSync(join(__dirname, "../../../fixtures/audio/tone-440.mp3"));
    const source = await openSource(
      list(
        wav(500, 300),
        { kind: "tone", name: "silence/200" },
        { kind: "buffer", data: mp3 },
        { kind: "tone", name: "beep" },
      ),
      false,
      8000,
    );
    await pause(30);
    const samples = await drained(source);
    assert.ok(Math.abs(samples.length - (2400 + 1600 + 8000 + 2000)) <= 4, `${samples.length}`);
    assert.ok(Math.abs(toneFrequency(samples.slice(100, 2300)) - 500) < 1);
    assert.ok(samples.slice(2410, 3990).every((sample) => Math.abs(sample) < 60));
    assert.ok(Math.abs(toneFrequency(samples.slice(4500, 11_500)) - 440) < 1);
    assert.ok(toneAmplitude(samples.slice(12_100, 13_900), 1000) > 4500);
  });

  it("are repeated as a whole", async () => {
    const source = await openSource(list(wav(500, 100), wav(800, 100)), 2, 8000);
    const samples = await drained(source);
    assert.equal(samples.length, 3200);
    assert.ok(toneAmplitude(samples.slice(1650, 2350), 500) > 9000);
    assert.ok(toneAmplitude(samples.slice(2450, 3150), 800) > 9000);
  });

  it("name what cannot be played before anything is heard", async () => {
    for (const [bad, rule] of [
      [{ kind: "buffer", data: Buffer.from("<html>") }, "unsupported-audio"],
      [{ kind: "tone", name: "ring/xx" }, "unsupported-audio"],
      [{ kind: "file", path: join(__dirname, "none.wav") }, "no-file"],
    ] as const) {
      await assert.rejects(
        openSource(list(wav(500, 100), bad), false, 8000),
        (error) => error instanceof MediaError && error.rule === rule,
      );
    }
  });

  it("of thousands are refused", async () => {
    const many = Array.from({ length: 1000 }, () => wav(500, 1));
    await assert.rejects(openSource({ kind: "list", sources: many }, false, 8000), /too long/);
  });
});
