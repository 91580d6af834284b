/**
 * Hard cases: the first calls play while it is read, a file that changes, files that are too long or broken, more sounds than
 * are kept, seams where a stream goes over to memory.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SampleSource } from "../../../../lib/media/audio/audio-source.js";
import { openDecoder, openStoredAudio } from "../../../../lib/media/audio/open-stored-audio.js";
import { openBuffer, openFile } from "../../../../lib/media/audio/random-access.js";
import { MemorySource, SharedSounds } from "../../../../lib/media/audio/shared-sounds.js";
import { StoredAudio } from "../../../../lib/media/audio/stored-audio.js";
import { pause, toneAmplitude, toneFrequency, wavOfTone } from "../../../support/rtp-phone.js";

/** `count` samples as the packet tick reads them. */
async function heard(source: SampleSource, count: number): Promise<Int16Array> {
  const frame = new Int16Array(160);
  const samples: number[] = [];
  for (let empty = 0; samples.length < count && empty < 1000 && !source.ended;) {
    const filled = source.read(frame, 160);
    samples.push(...frame.subarray(0, filled));
    empty = filled === 0 ? empty + 1 : 0;
    if (filled < 160) await pause(0);
  }
  return Int16Array.from(samples);
}

describe("sounds that many calls play", () => {
  let folder: string;
  let shared: SharedSounds;
  /** Handles of ours that are open. */
  let open: number;
  let path: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "shared-"));
    path = join(folder, "sound.wav");
    shared = new SharedSounds();
    open = 0;
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const access = async () => {
    const file = await openFile(path);
    open += 1;
    return {
      ...file,
      close: () => {
        open -= 1;
        return file.close();
      },
    };
  };
  const play = async (rounds = 1, sampleRate = 8000) =>
    openStoredAudio(await access(), { rounds, sampleRate, shared, again: access });
  /** Until it was read, or given up. */
  const settled = async () => {
    for (let tries = 0; tries < 500 && open + shared.reading > 0; tries++) await pause(1);
    assert.equal(open, 0, "files left open");
  };

  for (const [kind, options] of [
    ["as they are stored", {}],
    ["of another rate, in two channels", { sampleRate: 44_100, channels: 2 }],
  ] as const) {
    it(`${kind}: the third call hears from memory what the first heard from the disk`, async () => {
      writeFileSync(path, wavOfTone(440, 2500, options));
      const first = await heard(await play(), 30_000);
      assert.equal(shared.kept, 0, "one call alone keeps nothing");
      (await play()).close();
      await settled();
      const third = await play();
      assert.ok(third instanceof MemorySource);
      const again = await heard(third, 30_000);
      assert.deepEqual(again, first);
      assert.ok(third.ended && !third.failed);
      assert.equal(shared.kept, first.length);
      await settled();
    });
  }

  it("go over to memory between two rounds, without a gap", async () => {
    // Whole waves: the end fits to the start.
    writeFileSync(path, wavOfTone(500, 1000));
    const [one, other] = [await play(Infinity), await play(3)];
    const long = await heard(one, 40_000);
    assert.equal(long.length, 40_000);
    assert.ok(Math.abs(toneFrequency(long.slice(8000)) - 500) < 0.5);
    assert.ok(Math.abs(toneAmplitude(long.slice(7_900, 8_300), 500) - 10_000) < 200);
    assert.equal((await heard(other, 40_000)).length, 24_000);
    assert.ok(other.ended && !other.failed);
    assert.equal(open, 0, "the disk is needed no more");
    one.close();
    assert.ok(one.ended);
  });

  it("that have changed on the disk are others", async () => {
    writeFileSync(path, wavOfTone(440, 1000));
    for (let i = 0; i < 2; i++) (await play()).close();
    await settled();
    assert.ok((await play()) instanceof MemorySource);
    writeFileSync(path, wavOfTone(600, 1000));
    utimesSync(path, new Date(), new Date(Date.now() + 5000));
    const source = await play();
    assert.ok(source instanceof StoredAudio);
    assert.ok(Math.abs(toneFrequency(await heard(source, 8_000)) - 600) < 1);
    await settled();
  });

  it("that change between two openings are not kept under their old name", async () => {
    writeFileSync(path, wavOfTone(440, 1000));
    (await play()).close();
    const file = await access();
    const options = { sampleRate: 8000, shared };
    const again = () => {
      writeFileSync(path, wavOfTone(600, 700));
      return access();
    };
    const source = await openStoredAudio(file, { ...options, again });
    source.close();
    await settled();
    assert.equal(shared.kept, 0);
  });

  it("that are long stay on the disk, and are tried once", async () => {
    writeFileSync(path, wavOfTone(440, 140_000));
    for (let i = 0; i < 4; i++) {
      const source = await play();
      assert.ok(source instanceof StoredAudio);
      source.close();
      await settled();
    }
    assert.equal(shared.kept, 0);
  });

  it("that vanish or cannot be decoded while they are read harm no call", async () => {
    let opened = 0;
    const fails = () => {
      opened += 1;
      return Promise.reject(new Error("gone"));
    };
    for (let i = 0; i < 4; i++) shared.opened("a", 8000, fails);
    const breaks = () =>
      Promise.resolve({
        sampleRate: 8000,
        next: () => Promise.reject(new Error("broken")),
        rewind: () => Promise.resolve(),
        close: () => Promise.reject(new Error("closed already")),
      });
    for (let i = 0; i < 4; i++) shared.opened("b", 8000, breaks);
    await pause(5);
    assert.equal(opened, 1);
    assert.equal(shared.find("a", 8000), undefined);
    assert.equal(shared.find("b", 8000), undefined);
  });

  it("are kept up to a limit: what nobody asks for goes first", async () => {
    const data = wavOfTone(440, 100_000);
    const decoder = () => openDecoder(openBuffer(data));
    for (let i = 0; i < 12; i++) {
      for (let times = 0; times < 2; times++) shared.opened(`sound ${i}`, 8000, decoder);
      while (shared.find(`sound ${i}`, 8000) === undefined) await pause(1);
      shared.find("sound 0", 8000);
    }
    assert.ok(shared.kept <= 8 << 20, `${shared.kept} samples`);
    assert.ok(shared.find("sound 0", 8000) !== undefined);
    assert.equal(shared.find("sound 1", 8000), undefined);
    assert.ok(shared.find("sound 11", 8000) !== undefined);
    for (let i = 0; i < 5_000; i++) shared.opened(`name ${i}`, 8000, decoder);
    assert.ok(shared.kept <= 8 << 20);
  });
});
