import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Recorder } from "../../../../lib/media/audio/recorder.js";
import type { RecorderOptions } from "../../../../lib/media/audio/recorder.js";
import type { RecordingEnd } from "../../../../lib/session/media-handler.js";
import {
  openWavFile,
  WAV_HEADER_LENGTH,
  wavFile,
  wavInMemory,
} from "../../../../lib/media/audio/wav-writer.js";
import type { RecordingTarget } from "../../../../lib/media/audio/wav-writer.js";
import { MediaError } from "../../../../lib/foundation/index.js";
import { toneAmplitude } from "../../../support/rtp-phone.js";

const FRAME = 160;

function tone(frequency: number, place: number, count = FRAME, sampleRate = 8000): Int16Array {
  return Int16Array.from({ length: count }, (_, i) =>
    Math.round(8000 * Math.sin((2 * Math.PI * frequency * (place * count + i)) / sampleRate)),
  );
}

function recorder(options: Partial<RecorderOptions> = {}) {
  const ends: RecordingEnd[] = [];
  const channels = options.channels ?? "remote";
  const made = new Recorder({
    channels,
    sampleRate: 8000,
    maxDuration: 0,
    silence: 0,
    target: wavInMemory({ channels: channels === "stereo" ? 2 : 1, sampleRate: 8000 }, 1_000_000),
    onEnd: (reason) => ends.push(reason),
    ...options,
  });
  return {
    recorder: made,
    ends,
    /** So many frames of 20 ms: the peer at 400 Hz, we at 1000 Hz. */
    hear(frames: number, loud = true): void {
      for (let i = 0; i < frames; i++) {
        made.frame(loud ? tone(400, i) : new Int16Array(FRAME), tone(1000, i), FRAME, 8000);
      }
    },
  };
}

function samplesOf(wav: Buffer | undefined): Int16Array {
  assert.ok(wav);
  assert.equal(wav.toString("latin1", 0, 4) + wav.toString("latin1", 8, 16), "RIFFWAVEfmt ");
  assert.equal(wav.readUInt32LE(4), wav.length - 8);
  assert.equal(wav.readUInt32LE(40), wav.length - WAV_HEADER_LENGTH);
  const samples = new Int16Array((wav.length - WAV_HEADER_LENGTH) / 2);
  for (let i = 0; i < samples.length; i++) samples[i] = wav.readInt16LE(WAV_HEADER_LENGTH + i * 2);
  return samples;
}

const channel = (samples: Int16Array, first: number): Int16Array =>
  samples.filter((_, index) => index % 2 === first);

describe("Recorder", () => {
  it("keeps the peer alone, both mixed, or both side by side", async () => {
    for (const [channels, peer, own] of [
      ["remote", 8000, 0],
      ["mixed", 8000, 8000],
    ] as const) {
      const { recorder: made, hear } = recorder({ channels });
      hear(100);
      const { data, seconds, reason, bytes } = await made.finish("stopped");
      const samples = samplesOf(data);
      assert.deepEqual([samples.length, seconds, reason], [16_000, 2, "stopped"]);
      assert.equal(bytes, data?.length);
      assert.ok(Math.abs(toneAmplitude(samples, 400) - peer) < 100, channels);
      assert.ok(Math.abs(toneAmplitude(samples, 1000) - own) < 100, channels);
    }
    const { recorder: made, hear } = recorder({ channels: "stereo" });
    hear(100);
    const samples = samplesOf((await made.finish("digit")).data);
    assert.equal(samples.length, 32_000);
    assert.ok(toneAmplitude(channel(samples, 0), 400) > 7_900);
    assert.ok(toneAmplitude(channel(samples, 0), 1000) < 50);
    assert.ok(toneAmplitude(channel(samples, 1), 1000) > 7_900);
  });

  it("ends at its longest time, to the sample, and takes nothing after", async () => {
    const { recorder: made, hear, ends } = recorder({ maxDuration: 1_010 });
    hear(100);
    assert.deepEqual(ends, ["max"]);
    const { data, seconds, reason } = await made.finish("hangup");
    assert.deepEqual([samplesOf(data).length, seconds, reason], [8_080, 1.01, "max"]);
  });

  it("ends after silence of the peer, which a sound begins anew and a pause does not count", async () => {
    const { recorder: made, hear, ends } = recorder({ silence: 500 });
    hear(10);
    hear(24, false);
    hear(1);
    hear(24, false);
    made.paused = true;
    hear(100, false);
    made.paused = false;
    hear(24, false);
    assert.deepEqual(ends, []);
    hear(1, false);
    assert.deepEqual(ends, ["silence"]);
    assert.equal((await made.finish("stopped")).reason, "silence");
    assert.equal(made.seconds, (10 + 24 + 1 + 24 + 25) * 0.02);
  });

  it("keeps its rate when the call changes codecs", async () => {
    const { recorder: made } = recorder({ channels: "stereo" });
    for (let i = 0; i < 50; i++) made.frame(tone(400, i), tone(1000, i), FRAME, 8000);
    for (let i = 0; i < 50; i++) {
      made.frame(tone(400, i, 960, 48_000), tone(1000, i, 960, 48_000), 960, 48_000);
    }
    const samples = samplesOf((await made.finish("stopped")).data);
    assert.ok(Math.abs(samples.length / 2 - 16_000) < 40, `${samples.length / 2}`);
    assert.ok(toneAmplitude(channel(samples, 0).slice(8_400, 15_600), 400) > 7_800);
  });

  it("in memory ends when it becomes too long", async () => {
    const target = wavInMemory({ channels: 1, sampleRate: 8000 }, 20_000);
    const { recorder: made, hear, ends } = recorder({ target });
    hear(200);
    assert.deepEqual(ends, ["failed"]);
    const { reason, error, data } = await made.finish("stopped");
    assert.equal(reason, "failed");
    assert.equal(error?.rule, "record-failed");
    assert.equal(samplesOf(data).length, 8_000);
  });

  describe("to a file", () => {
    let folder: string;
    before(() => (folder = mkdtempSync(join(tmpdir(), "recorder-"))));
    after(() => rmSync(folder, { recursive: true }));

    it("is a valid WAV at each moment, less the last half second at most", async () => {
      const path = join(folder, "new", "call.wav");
      const target = await openWavFile(path, { channels: 1, sampleRate: 8000 });
      const { recorder: made, hear } = recorder({ target });
      hear(110);
      // What a process that is killed now leaves behind.
      while (statSync(path).size < WAV_HEADER_LENGTH + 32_000) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      const { data, seconds, reason } = await made.finish("hangup");
      assert.deepEqual([data, seconds, reason], [undefined, 2.2, "hangup"]);
      assert.equal(samplesOf(readFileSync(path)).length, 17_600);
    });

    it("on a disk that is full is an error that says so, and leaves nothing open", async () => {
      const isFullDisk = (descriptor: string): boolean => {
        try {
          return readlinkSync(`/proc/self/fd/${descriptor}`) === "/dev/full";
        } catch {
          // The folder's own descriptor is gone by now.
          return false;
        }
      };
      await assert.rejects(
        openWavFile("/dev/full", { channels: 1, sampleRate: 8000 }),
        (error) =>
          error instanceof MediaError &&
          error.rule === "record-failed" &&
          /ENOSPC/.test(error.message),
      );
      assert.deepEqual(readdirSync("/proc/self/fd").filter(isFullDisk), []);
    });

    it("on a disk that hangs ends as failed before it costs much memory", async () => {
      let letGo = (): void => undefined;
      const hanging = new Promise<void>((resolve) => (letGo = resolve));
      const target = wavFile(
        {
          write: async (data: Uint8Array) => {
            await hanging;
            return { bytesWritten: data.length, buffer: data };
          },
          close: () => Promise.resolve(),
        } as unknown as Parameters<typeof wavFile>[0],
        { channels: 1, sampleRate: 8000 },
      );
      const { recorder: made, hear, ends } = recorder({ target });
      for (let i = 0; i < 100 && ends.length === 0; i++) hear(200);
      assert.deepEqual(ends, ["failed"]);
      assert.ok(made.seconds < 300, `${made.seconds} s`);
      letGo();
      const { reason, error } = await made.finish("hangup");
      assert.equal(reason, "failed");
      assert.match(error?.message ?? "", /does not keep up/);
    });

    it("that cannot be made is an error, and one that fails keeps what was there before", async () => {
      await assert.rejects(
        openWavFile(join(folder, "new", "call.wav", "x.wav"), { channels: 1, sampleRate: 8000 }),
        (error) => error instanceof MediaError && error.rule === "record-failed",
      );
      const full: RecordingTarget = {
        bytes: 44,
        failed: new MediaError("disk full", { rule: "record-failed" }),
        write: () => undefined,
        update: () => undefined,
        finish: () => Promise.reject(new MediaError("disk full", { rule: "record-failed" })),
      };
      const { recorder: made, hear, ends } = recorder({ target: full });
      hear(2);
      assert.deepEqual(ends, ["failed"]);
      const summary = await made.finish("stopped");
      assert.deepEqual([summary.reason, summary.error?.message], ["failed", "disk full"]);
    });
  });
});
