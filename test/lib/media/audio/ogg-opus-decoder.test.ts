/**
 * Opus in Ogg (RFC 3533, RFC 7845). Hard cases: packets over several pages, damaged and lost pages, files that are
 * cut, chained and multiplexed streams, pre-skip, gain, an end in the middle of a packet, other codecs in Ogg.
 */
import assert from "node:assert/strict";
import { checksum } from "../../../../lib/media/audio/ogg-packets.js";
import { openOggOpus } from "../../../../lib/media/audio/ogg-opus-decoder.js";
import { openBuffer } from "../../../../lib/media/audio/random-access.js";
import type { SoundDecoder } from "../../../../lib/media/audio/sound-decoder.js";
import type { AudioCodec } from "../../../../lib/media/codec/audio-codec.js";
import { SeededRandom } from "../../../support/seeded-random.js";

/** 20 ms at 48 kHz. */
const FRAME = 960;

/** Decodes a packet into 960 samples that are a hundred times its first byte. */
let open = 0;
const codec: AudioCodec = {
  name: "OPUS",
  sampleRate: 48_000,
  clockRate: 48_000,
  maximumBytes: () => 1500,
  duration: (_source, start, end) => (end > start ? FRAME : 0),
  createEncoder: () => {
    throw new Error("nothing is encoded here");
  },
  createDecoder: () => {
    open += 1;
    let closed = false;
    return {
      decode: (source, start, end, target) => {
        assert.equal(closed, false);
        if (end <= start) return 0;
        target.fill(source[start] * 100, 0, FRAME);
        return FRAME;
      },
      conceal: () => undefined,
      close: () => {
        if (!closed) open -= 1;
        closed = true;
      },
    };
  },
};

interface PageOptions {
  readonly serial?: number;
  readonly begins?: boolean;
  readonly ends?: boolean;
  readonly continues?: boolean;
  /** Undefined = no packet ends here. */
  readonly granule?: number | undefined;
  /** The last packet goes on in the next page. */
  readonly open?: boolean;
}

function page(packets: Buffer[], options: PageOptions = {}): Buffer {
  const table: number[] = [];
  for (const [index, packet] of packets.entries()) {
    let left = packet.length;
    for (; left >= 255; left -= 255) table.push(255);
    if (index < packets.length - 1 || options.open !== true) table.push(left);
  }
  const head = Buffer.alloc(27);
  head.write("OggS");
  head[5] =
    (options.continues === true ? 1 : 0) |
    (options.begins === true ? 2 : 0) |
    (options.ends === true ? 4 : 0);
  head.writeBigInt64LE(BigInt(options.granule ?? -1), 6);
  head.writeUInt32LE(options.serial ?? 7, 14);
  head[26] = table.length;
  const whole = Buffer.concat([head, Buffer.from(table), ...packets]);
  whole.writeUInt32LE(checksum(whole), 22);
  return whole;
}

function head(
  options: { channels?: number; preSkip?: number; gain?: number; family?: number } = {},
) {
  const packet = Buffer.alloc(19);
  packet.write("OpusHead");
  packet[8] = 1;
  packet[9] = options.channels ?? 1;
  packet.writeUInt16LE(options.preSkip ?? 0, 10);
  packet.writeUInt32LE(48_000, 12);
  packet.writeInt16LE(options.gain ?? 0, 16);
  packet[18] = options.family ?? 0;
  return packet;
}

const tags = Buffer.concat([Buffer.from("OpusTags"), Buffer.alloc(60)]);
const sound = (value: number, length = 30): Buffer => Buffer.alloc(length, value);

/** A stream of sound pages of two packets each, values 1, 2, 3 … */
function stream(
  pages: number,
  options: { serial?: number; head?: Buffer; cut?: number; first?: number } = {},
): Buffer {
  const { serial = 7, cut = 0, first = 0 } = options;
  const parts = [
    page([options.head ?? head()], { serial, begins: true, granule: 0 }),
    page([tags], { serial, granule: 0 }),
  ];
  for (let i = 0; i < pages; i++) {
    const last = i === pages - 1;
    const granule = first + (i + 1) * 2 * FRAME - (last ? cut : 0);
    parts.push(page([sound(2 * i + 1), sound(2 * i + 2)], { serial, granule, ends: last }));
  }
  return Buffer.concat(parts);
}

async function all(decoder: SoundDecoder): Promise<number[]> {
  const samples: number[] = [];
  for (;;) {
    const piece = await decoder.next();
    if (piece === undefined) return samples;
    assert.ok(piece.length <= 48_000 / 4);
    samples.push(...piece.map((sample) => Math.round((sample * 32_768) / 100)));
  }
}

async function heard(data: Buffer): Promise<number[]> {
  const decoder = await openOggOpus(openBuffer(data), codec);
  assert.ok(decoder, "no Opus");
  const samples = await all(decoder);
  await decoder.close();
  return samples;
}

/** The values heard, each with its number of frames. */
function values(samples: number[]): string {
  const parts: string[] = [];
  for (let at = 0; at < samples.length;) {
    let end = at;
    while (end < samples.length && samples[end] === samples[at]) end += 1;
    const frames = (end - at) / FRAME;
    parts.push(frames === 1 ? String(samples[at]) : `${samples[at]}*${frames}`);
    at = end;
  }
  return parts.join(" ");
}

describe("Opus in Ogg", () => {
  afterEach(() => assert.equal(open, 0, "a decoder was not freed"));

  it("is played packet by packet, in pieces", async () => {
    assert.equal(values(await heard(stream(3))), "1 2 3 4 5 6");
    assert.equal((await heard(stream(100))).length, 200 * FRAME);
  });

  it("leaves out the pre-skip and what lies behind the end", async () => {
    const data = stream(2, { head: head({ preSkip: 1440 }), cut: 480 });
    assert.equal(values(await heard(data)), "2*0.5 3 4*0.5");
  });

  it("of a live recording begins with its first position", async () => {
    assert.equal(values(await heard(stream(2, { first: 1_000_000, cut: 480 }))), "1 2 3 4*0.5");
  });

  it("with a single page that is cut at its end lasts as long as it says", async () => {
    assert.equal(values(await heard(stream(1, { cut: 1440 }))), "1*0.5");
  });

  it("applies the gain of its header", async () => {
    // −6.02 dB.
    const data = stream(1, { head: head({ gain: Math.round(-6.0206 * 256) }) });
    const samples = await heard(data);
    assert.equal(samples[0], 1);
    assert.equal(samples[FRAME], 1);
  });

  it("joins packets that go over several pages", async () => {
    const long = sound(9, 700);
    const data = Buffer.concat([
      page([head()], { begins: true, granule: 0 }),
      page([tags], { granule: 0 }),
      page([sound(8), long.subarray(0, 255)], { granule: FRAME, open: true }),
      page([long.subarray(255, 510)], { continues: true, open: true }),
      page([long.subarray(510), sound(7)], { continues: true, granule: 3 * FRAME, ends: true }),
    ]);
    assert.equal(values(await heard(data)), "8 9 7");
  });

  it("passes tags of megabytes", async () => {
    const pages = [page([head()], { begins: true, granule: 0 })];
    const full = Buffer.alloc(255 * 255);
    for (let i = 0; i < 40; i++) pages.push(page([full], { continues: i > 0, open: true }));
    pages.push(page([Buffer.alloc(10)], { continues: true, granule: 0 }));
    pages.push(page([sound(4)], { granule: FRAME, ends: true }));
    assert.equal(values(await heard(Buffer.concat(pages))), "4");
  });

  it("plays chained streams one after the other, with serial numbers of their own or not", async () => {
    assert.equal(values(await heard(Buffer.concat([stream(1), stream(1)]))), "1 2 1 2");
    const other = stream(1, { serial: 9, head: head({ preSkip: 960 }) });
    assert.equal(values(await heard(Buffer.concat([stream(1), other]))), "1 2*2");
  });

  it("ignores a stream that runs beside it", async () => {
    const video = page([Buffer.from("\x80theora")], { serial: 1, begins: true, granule: 0 });
    const frame = page([sound(99, 500)], { serial: 1, granule: 5 });
    const data = Buffer.concat([
      video,
      page([head()], { begins: true, granule: 0 }),
      frame,
      page([tags], { granule: 0 }),
      frame,
      page([sound(1)], { granule: FRAME }),
      frame,
      page([sound(2)], { granule: 2 * FRAME, ends: true }),
    ]);
    assert.equal(values(await heard(data)), "1 2");
  });

  it("leaves out a damaged page and goes on", async () => {
    const data = stream(4);
    const start = data.indexOf("OggS", data.indexOf("OggS", data.indexOf("OpusTags")) + 4);
    data[start + 40] ^= 0xff;
    assert.equal(values(await heard(data)), "1 2 5 6 7 8");
  });

  it("finds the next page behind garbage", async () => {
    const data = stream(2);
    const at = data.lastIndexOf("OggS");
    const dirty = Buffer.concat([
      data.subarray(0, at),
      Buffer.alloc(9000, 0x4f),
      data.subarray(at),
    ]);
    assert.equal(values(await heard(dirty)), "1 2 3 4");
  });

  it("that is cut ends with its last whole page", async () => {
    const data = stream(4);
    assert.equal(values(await heard(data.subarray(0, data.length - 5))), "1 2 3 4 5 6");
  });

  it("without any sound is an error", async () => {
    const data = stream(4);
    const cut = data.subarray(0, data.indexOf("OggS", data.indexOf("OpusTags")) + 30);
    const decoder = await openOggOpus(openBuffer(cut), codec);
    await assert.rejects(decoder?.next() ?? Promise.resolve(), /no sound/);
    await decoder?.close();
  });

  it("begins again when it is rewound", async () => {
    const data = stream(2, { head: head({ preSkip: 480 }), cut: 480 });
    const decoder = await openOggOpus(openBuffer(data), codec);
    assert.ok(decoder);
    const first = await all(decoder);
    await decoder.rewind();
    assert.deepEqual(await all(decoder), first);
    await decoder.close();
  });

  it("with other codecs inside is none, without reading the whole file", async () => {
    const vorbis = page([Buffer.from("\x01vorbis")], { begins: true, granule: 0 });
    const more = page([sound(1, 5000)], { granule: 1 });
    const data = Buffer.concat([vorbis, ...Array.from({ length: 100 }, () => more)]);
    let read = 0;
    const access = openBuffer(data);
    const counting = {
      ...access,
      read: (position: number, length: number) => {
        read += length;
        return access.read(position, length);
      },
    };
    assert.equal(await openOggOpus(counting, codec), undefined);
    assert.ok(read < 100_000);
  });

  it("with more than two channels, or a header of a later version, is refused", async () => {
    for (const first of [head({ channels: 6, family: 1 }), head({ channels: 0 })]) {
      await assert.rejects(openOggOpus(openBuffer(stream(1, { head: first })), codec), /channels/);
    }
    const later = head();
    later[8] = 0x10;
    await assert.rejects(openOggOpus(openBuffer(stream(1, { head: later })), codec), /header/);
  });

  it("survives 500 mutated files", async () => {
    const random = new SeededRandom(3);
    const seed = stream(3);
    const starts: number[] = [];
    for (let at = seed.indexOf("OggS"); at >= 0; at = seed.indexOf("OggS", at + 1)) starts.push(at);
    for (let round = 0; round < 500; round++) {
      const file = Buffer.from(seed);
      for (let change = 0; change < 3; change++) {
        file[Math.floor(random.next() * file.length)] = Math.floor(random.next() * 256);
      }
      // Half of them with checksums that are right.
      if (round % 2 === 0) {
        for (const [index, start] of starts.entries()) {
          const whole = file.subarray(start, starts[index + 1] ?? file.length);
          whole.writeUInt32LE(checksum(whole), 22);
        }
      }
      let decoder: SoundDecoder | undefined;
      try {
        decoder = await openOggOpus(openBuffer(file), codec);
        if (decoder) await all(decoder);
      } catch (error) {
        assert.match(String(error), /header|channels|no sound/);
      }
      await decoder?.close();
      open = 0;
    }
  });
});
