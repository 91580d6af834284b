import assert from "node:assert/strict";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MediaError } from "../../../../lib/foundation/index.js";
import type { SampleSource } from "../../../../lib/media/audio/audio-source.js";
import { openSource } from "../../../../lib/media/audio/open-source.js";
import { openBuffer } from "../../../../lib/media/audio/random-access.js";
import type { RandomAccess } from "../../../../lib/media/audio/random-access.js";
import { openStoredAudio } from "../../../../lib/media/audio/open-stored-audio.js";
import { pause, toneAmplitude, toneFrequency, wavOfTone } from "../../../support/rtp-phone.js";
import { SeededRandom } from "../../../support/seeded-random.js";

/** Everything that a source gives, read as the packet tick reads it. */
async function drained(source: SampleSource, most = 80_000): Promise<Int16Array> {
  const frame = new Int16Array(160);
  const samples: number[] = [];
  for (let empty = 0; !source.ended && samples.length < most && empty < 1000;) {
    const count = source.read(frame, 160);
    samples.push(...frame.subarray(0, count));
    if (count === 0) {
      empty += 1;
      await pause(0);
    }
  }
  source.close();
  return Int16Array.from(samples);
}

async function decoded(data: Buffer, loop: boolean | number = false): Promise<Int16Array> {
  return drained(await openSource({ kind: "buffer", data }, loop, 8000));
}

interface Chunk {
  readonly id: string;
  readonly body: Buffer;
  readonly size?: number;
}

function wav(chunks: Chunk[], form = "RIFF"): Buffer {
  const parts: Buffer[] = [Buffer.from(`${form}\0\0\0\0WAVE`, "latin1")];
  for (const { id, body, size } of chunks) {
    const head = Buffer.alloc(8);
    head.write(id, 0, "latin1");
    head.writeUInt32LE(size ?? body.length, 4);
    parts.push(head, body, Buffer.alloc(body.length & 1));
  }
  return Buffer.concat(parts);
}

function format(
  tag: number,
  bits: number,
  options: { channels?: number; rate?: number; align?: number; extra?: Buffer } = {},
): Chunk {
  const { channels = 1, rate = 8000, extra = Buffer.alloc(0) } = options;
  const body = Buffer.alloc(16);
  body.writeUInt16LE(tag, 0);
  body.writeUInt16LE(channels, 2);
  body.writeUInt32LE(rate, 4);
  body.writeUInt16LE(options.align ?? (channels * bits) / 8, 12);
  body.writeUInt16LE(bits, 14);
  return { id: "fmt ", body: Buffer.concat([body, extra]) };
}

/** A second of 440 Hz, written sample by sample. */
function tone(bytes: number, write: (target: Buffer, at: number, value: number) => void): Buffer {
  const body = Buffer.alloc(8000 * bytes);
  for (let i = 0; i < 8000; i++) {
    write(body, i * bytes, 0.5 * Math.sin((2 * Math.PI * 440 * i) / 8000));
  }
  return body;
}

function assertTone(samples: Int16Array, frequency = 440, length = 8000): void {
  assert.ok(Math.abs(samples.length - length) <= 2, `${samples.length} samples`);
  const middle = samples.slice(400, length - 400);
  assert.ok(Math.abs(toneFrequency(middle) - frequency) < 0.5, `${toneFrequency(middle)} Hz`);
}

const PCM16 = tone(2, (target, at, value) => target.writeInt16LE(Math.round(value * 32_767), at));

function longLength(bytes: number): Buffer {
  const body = Buffer.alloc(28);
  body.writeBigUInt64LE(BigInt(bytes), 8);
  return body;
}

describe("stored audio", () => {
  const FORMATS: [string, Chunk, Buffer][] = [
    ["8 bits", format(1, 8), tone(1, (t, at, v) => (t[at] = Math.round(v * 127) + 128))],
    ["16 bits", format(1, 16), PCM16],
    [
      "24 bits",
      format(1, 24),
      tone(3, (t, at, v) => t.writeIntLE(Math.round(v * 8_388_607), at, 3)),
    ],
    [
      "24 bits in four bytes",
      format(1, 24, { align: 4 }),
      tone(4, (t, at, v) => t.writeIntLE(Math.round(v * 8_388_607), at + 1, 3)),
    ],
    [
      "32 bits",
      format(1, 32),
      tone(4, (t, at, v) => t.writeInt32LE(Math.round(v * 2_147_483_647), at)),
    ],
    ["float of 32 bits", format(3, 32), tone(4, (t, at, v) => t.writeFloatLE(v, at))],
    ["float of 64 bits", format(3, 64), tone(8, (t, at, v) => t.writeDoubleLE(v, at))],
  ];
  for (const [name, fmt, body] of FORMATS) {
    it(`decodes WAV with ${name}`, async () => {
      const samples = await decoded(wav([fmt, { id: "data", body }]));
      assertTone(samples);
      const amplitude = toneAmplitude(samples.slice(0, 8000), 440);
      assert.ok(Math.abs(amplitude / 16_384 - 1) < 0.05, `amplitude ${amplitude}`);
    });
  }

  it("decodes G.711 of both laws, in WAV and raw", async () => {
    for (const [tag, name, code] of [
      [6, "alaw", 0xd5],
      [7, "mulaw", 0xff],
    ] as const) {
      const body = Buffer.alloc(800, code);
      body[10] = 0x00;
      const samples = await decoded(wav([format(tag, 8), { id: "data", body }]));
      const raw = await drained(
        await openSource({ kind: "buffer", data: body, format: name }, false, 8000),
      );
      assert.deepEqual(samples, raw);
      assert.equal(samples.length, 800);
      assert.ok(Math.abs(samples[0]) <= 8 && Math.abs(samples[10]) > 5000);
    }
  });

  it("decodes the extensible form by its subformat", async () => {
    const extra = Buffer.alloc(24);
    extra.writeUInt16LE(22, 0);
    extra.writeUInt16LE(1, 8);
    assertTone(await decoded(wav([format(0xfffe, 16, { extra }), { id: "data", body: PCM16 }])));
  });

  for (const sampleRate of [8000, 16_000, 22_050, 44_100, 48_000, 96_000]) {
    for (const channels of [1, 2] as const) {
      it(`plays ${sampleRate} Hz with ${channels} channel(s) at the right pitch and length`, async () => {
        assertTone(await decoded(wavOfTone(440, 1000, { sampleRate, channels })));
      });
    }
  }

  it("mixes both channels", async () => {
    const body = Buffer.alloc(4 * 100);
    for (let i = 0; i < 100; i++) {
      body.writeInt16LE(10_000, i * 4);
      body.writeInt16LE(-4_000, i * 4 + 2);
    }
    const samples = await decoded(wav([format(1, 16, { channels: 2 }), { id: "data", body }]));
    assert.equal(samples.length, 100);
    assert.ok(samples.every((sample) => Math.abs(sample - 3000) <= 1));
  });

  const data: Chunk = { id: "data", body: PCM16 };
  const ODD: [string, Buffer][] = [
    ["a LIST chunk first", wav([{ id: "LIST", body: Buffer.alloc(26) }, format(1, 16), data])],
    ["chunks of odd length", wav([format(1, 16), { id: "note", body: Buffer.alloc(7) }, data])],
    [
      "a chunk behind the samples",
      wav([format(1, 16), data, { id: "LIST", body: Buffer.alloc(9) }]),
    ],
    ["a data size of 0", wav([format(1, 16), { ...data, size: 0 }])],
    ["a data size of 0xFFFFFFFF", wav([format(1, 16), { ...data, size: 0xffff_ffff }])],
    [
      "the form RF64",
      wav(
        [{ id: "ds64", body: Buffer.alloc(28) }, format(1, 16), { ...data, size: 0xffff_ffff }],
        "RF64",
      ),
    ],
    [
      "the length of the samples in its ds64 chunk",
      wav(
        [
          { id: "ds64", body: longLength(PCM16.length) },
          format(1, 16),
          { ...data, size: 0xffff_ffff },
          { id: "LIST", body: Buffer.alloc(3000, 0x7f) },
        ],
        "RF64",
      ),
    ],
    ["a block length that fits nothing", wav([format(1, 16, { align: 77 }), data])],
    ["a block length of 0", wav([format(1, 16, { align: 0 }), data])],
  ];
  for (const [name, file] of ODD) {
    it(`plays WAV with ${name}`, async () => assertTone(await decoded(file)));
  }

  it("ends at once when there are no samples, looped or not", async () => {
    const empty = wav([format(1, 16), { id: "data", body: Buffer.alloc(0) }]);
    assert.equal((await decoded(empty)).length, 0);
    assert.equal((await decoded(empty, true)).length, 0);
    const tagged = wav([
      format(1, 16),
      { id: "data", body: Buffer.alloc(0) },
      { id: "LIST", body: Buffer.alloc(40) },
    ]);
    assert.equal((await decoded(tagged)).length, 0);
  });

  it("drops half a sample at the end", async () => {
    const file = wav([format(1, 16), { id: "data", body: PCM16.subarray(0, 1001) }]);
    assert.equal((await decoded(file)).length, 500);
  });

  it("does not pass on NaN and infinity", async () => {
    const body = Buffer.alloc(12);
    body.writeFloatLE(NaN, 0);
    body.writeFloatLE(Infinity, 4);
    body.writeFloatLE(-1e30, 8);
    const samples = await decoded(wav([format(3, 32), { id: "data", body }]));
    assert.deepEqual([...samples], [0, 32_767, -32_768]);
  });

  it("repeats as often as asked, without a gap", async () => {
    assertTone(await decoded(wavOfTone(440, 500), 3), 440, 12_000);
    assertTone(await decoded(wavOfTone(440, 500, { sampleRate: 44_100 }), 3), 440, 12_000);
  });

  it("repeats for ever until it is closed", async () => {
    const source = await openSource({ kind: "buffer", data: wavOfTone(440, 100) }, true, 8000);
    const samples = await drained(source, 40_000);
    assert.equal(samples.length, 40_000);
    assert.ok(source.ended);
  });

  const REFUSED: [string, Buffer][] = [
    ["an empty buffer", Buffer.alloc(0)],
    ["a text", Buffer.from("hello, this is not a WAV file at all")],
    ["an MP3", Buffer.concat([Buffer.from("ID3\u0004"), Buffer.alloc(100)])],
    ["the form RIFX", wav([format(1, 16), data], "RIFX")],
    ["no samples", wav([format(1, 16)])],
    ["no format", wav([data])],
    ["a format chunk cut short", wav([{ id: "fmt ", body: Buffer.alloc(8) }, data])],
    ["ADPCM", wav([format(2, 4), data])],
    ["12 bits", wav([format(1, 12), data])],
    ["three channels", wav([format(1, 16, { channels: 3 }), data])],
    ["no channel", wav([format(1, 16, { channels: 0 }), data])],
    ["a rate of 0", wav([format(1, 16, { rate: 0 }), data])],
    ["a rate of four GHz", wav([format(1, 16, { rate: 0xffff_ffff }), data])],
    [
      "endless empty chunks",
      wav(Array.from({ length: 3000 }, () => ({ id: "junk", body: Buffer.alloc(0) }))),
    ],
  ];
  for (const [name, file] of REFUSED) {
    it(`refuses ${name} and says what is accepted`, async () => {
      await assert.rejects(decoded(file), (error) => {
        assert.ok(error instanceof MediaError);
        assert.equal(error.rule, "unsupported-audio");
        assert.match(error.message, /Accepted is WAV/);
        return true;
      });
    });
  }

  it("refuses raw audio of an unknown format or rate", async () => {
    for (const sampleRate of [0, -1, 1e9, 8000.5, NaN]) {
      await assert.rejects(
        openSource({ kind: "buffer", data: PCM16, format: "pcm16", sampleRate }, false, 8000),
        (error) => error instanceof MediaError && error.rule === "unsupported-audio",
      );
    }
  });

  it("resamples raw audio", async () => {
    const raw = wavOfTone(440, 1000, { sampleRate: 16_000 }).subarray(44);
    const source = await openSource(
      { kind: "buffer", data: raw, format: "pcm16", sampleRate: 16_000 },
      false,
      8000,
    );
    assertTone(await drained(source));
  });

  it("survives 3,000 mutated files: plays something or refuses, never hangs", async () => {
    const random = new SeededRandom(1234);
    const seed = wav([
      format(1, 16),
      { id: "LIST", body: Buffer.alloc(10) },
      { id: "data", body: PCM16.subarray(0, 400) },
    ]);
    for (let round = 0; round < 3000; round++) {
      const file = Buffer.from(seed);
      for (let change = 0; change < 4; change++) {
        file[Math.floor(random.next() * 70)] = Math.floor(random.next() * 256);
      }
      const cut = file.subarray(
        0,
        random.next() < 0.3 ? Math.floor(random.next() * file.length) : file.length,
      );
      try {
        await decoded(cut);
      } catch (error) {
        assert.ok(error instanceof MediaError, String(error));
      }
    }
  });
});

describe("audio files", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "audio-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  it("are read in pieces to their end", async () => {
    const path = join(folder, "long.wav");
    writeFileSync(path, wavOfTone(440, 6000, { sampleRate: 48_000, channels: 2 }));
    assertTone(await drained(await openSource({ kind: "file", path }, false, 8000)), 440, 48_000);
  });

  it("of more than 2 GB play at once, and are not loaded", async () => {
    const path = join(folder, "huge.wav");
    const head = wavOfTone(440, 3000);
    head.writeUInt32LE(2_400_000_000, 40);
    writeFileSync(path, head);
    // The rest is a hole that takes no place on the disk.
    truncateSync(path, 2_400_000_044);
    const before = process.memoryUsage().arrayBuffers;
    const source = await openSource({ kind: "file", path }, false, 8000);
    const samples = await drained(source, 16_000);
    assert.ok(Math.abs(toneFrequency(samples.slice(0, 16_000)) - 440) < 0.5);
    assert.ok(process.memoryUsage().arrayBuffers - before < 20_000_000);
  });

  it("that are missing are refused by name", async () => {
    for (const path of [join(folder, "none.wav"), join(folder, "none", "x.wav")]) {
      await assert.rejects(openSource({ kind: "file", path }, false, 8000), (error) => {
        assert.ok(error instanceof MediaError);
        assert.equal(error.rule, "no-file");
        assert.ok(error.message.includes(path));
        assert.match(error.message, /no such file/);
        return true;
      });
    }
  });

  it("that are folders, or have impossible names, are refused", async () => {
    for (const path of [folder, "\0", ""]) {
      await assert.rejects(
        openSource({ kind: "file", path }, false, 8000),
        (error) => error instanceof MediaError && error.rule === "no-file",
      );
    }
  });

  it("that are cut while they play end early", async () => {
    const path = join(folder, "cut.wav");
    writeFileSync(path, wavOfTone(440, 10_000, { sampleRate: 48_000 }));
    const source = await openSource({ kind: "file", path }, false, 8000);
    truncateSync(path, 300_000);
    const samples = await drained(source);
    assert.ok(samples.length > 8000 && samples.length < 80_000);
    assert.equal(source.failed, false);
  });

  it("that cannot be read any more end as failed, and are closed", async () => {
    let reads = 0;
    let closed = 0;
    const good = openBuffer(wavOfTone(440, 10_000));
    const access: RandomAccess = {
      ...good,
      read: (position, length) =>
        ++reads > 7 ? Promise.reject(new Error("disk")) : good.read(position, length),
      close: () => {
        closed += 1;
        return Promise.reject(new Error("gone"));
      },
    };
    const source = await openStoredAudio(access, { sampleRate: 8000 });
    const samples = await drained(source);
    assert.ok(samples.length > 0 && samples.length < 80_000);
    assert.ok(source.failed);
    await pause(0);
    assert.equal(closed, 1);
  });

  it("closed before the end are freed", async () => {
    let closed = 0;
    const good = openBuffer(wavOfTone(440, 10_000));
    const source = await openStoredAudio(
      {
        ...good,
        close: () => {
          closed += 1;
          return Promise.resolve();
        },
      },
      { rounds: Infinity, sampleRate: 8000 },
    );
    source.close();
    source.close();
    await pause(0);
    assert.equal(closed, 1);
    assert.equal(source.read(new Int16Array(10), 10), 0);
  });
});

describe("tones", () => {
  async function heard(name: string, count: number, loop: boolean | number = false) {
    const source = await openSource({ kind: "tone", name }, loop, 8000);
    const samples = new Int16Array(count);
    const given = source.read(samples, count);
    return { samples: samples.subarray(0, given), source };
  }

  it("ring for one second and pause for four", async () => {
    const { samples, source } = await heard("ring", 80_000, true);
    assert.ok(Math.abs(toneFrequency(samples.slice(0, 8000)) - 425) < 0.5);
    assert.ok(samples.slice(8000, 40_000).every((sample) => sample === 0));
    assert.ok(Math.abs(toneFrequency(samples.slice(40_000, 48_000)) - 425) < 0.5);
    assert.equal(source.ended, false);
  });

  it("busy has 480 ms of tone and of silence", async () => {
    const { samples } = await heard("busy", 8000);
    assert.ok(Math.abs(toneFrequency(samples.slice(0, 3840)) - 425) < 1);
    assert.ok(samples.slice(3840, 7680).every((sample) => sample === 0));
  });

  it("dial goes on without dips", async () => {
    const { samples } = await heard("dial", 24_000);
    assert.ok(Math.abs(toneFrequency(samples) - 425) < 0.1);
    for (let at = 0; at + 400 <= samples.length; at += 400) {
      assert.ok(toneAmplitude(samples.slice(at, at + 400), 425) > 4900);
    }
  });

  it("last about five seconds, in whole cadences, or a number of times that", async () => {
    for (const [name, seconds] of [
      ["ring", 5],
      ["busy", 5.76],
      ["dial", 5],
      ["silence", 5],
    ] as const) {
      const once = await heard(name, 120_000);
      assert.equal(once.samples.length, seconds * 8000, name);
      assert.ok(once.source.ended);
      const twice = await heard(name, 120_000, 2);
      assert.equal(twice.samples.length, 2 * seconds * 8000, name);
    }
  });

  it("silence is silent and goes on", async () => {
    const { samples, source } = await heard("silence", 16_000);
    assert.equal(samples.length, 16_000);
    assert.ok(samples.every((sample) => sample === 0));
    assert.equal(source.ended, false);
  });

  it("beep ends by itself, once or as often as asked", async () => {
    const once = await heard("beep", 8000);
    assert.equal(once.samples.length, 2000);
    assert.ok(once.source.ended);
    const twice = await heard("beep", 80_000, 2);
    assert.equal(twice.samples.length, 8000);
    assert.ok(twice.source.ended);
  });

  it("that are not known are refused with those that are", async () => {
    for (const name of ["", "rinG", "__proto__", "toString"]) {
      await assert.rejects(openSource({ kind: "tone", name }, false, 8000), (error) => {
        assert.ok(error instanceof MediaError);
        assert.equal(error.rule, "unsupported-audio");
        assert.match(error.message, /ring, busy/);
        return true;
      });
    }
  });
});
