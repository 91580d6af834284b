/**
 * Finds the samples in a WAV file (RIFF WAVE, also RF64 and WAVE_FORMAT_EXTENSIBLE). Chunks may come in any
 * order before the samples; sizes that a streaming writer could not know (0, 0xFFFFFFFF) mean "to the end".
 */
import { MediaError } from "../../foundation/index.js";
import { ENCODED_BYTES } from "./pcm-format.js";
import type { PcmFormat, SampleEncoding } from "./pcm-format.js";
import type { RandomAccess } from "./random-access.js";

export interface WavAudio {
  readonly format: PcmFormat;
  /** Bytes. */
  readonly dataStart: number;
  readonly dataLength: number;
}

/** For error texts: what can be played. */
export const ACCEPTED_AUDIO =
  "WAV with PCM of 8, 16, 24 or 32 bits, floating point or G.711, mono or stereo, 4 to 192 kHz; MP3; Ogg Opus";

/** A file with more chunks before its samples is no honest file. */
const MOST_CHUNKS = 1_000;
const PCM = 1;
const FLOAT = 3;
const A_LAW = 6;
const MU_LAW = 7;
const EXTENSIBLE = 0xfffe;
/** For error texts. */
const TAGS: ReadonlyMap<number, string> = new Map([
  [1, "PCM"],
  [2, "Microsoft ADPCM"],
  [0x11, "IMA ADPCM"],
  [0x31, "GSM"],
  [0x55, "MP3 inside WAV"],
]);

/** @throws MediaError, rule `unsupported-audio`, naming the source and what is accepted. */
export async function readWavHeader(source: RandomAccess): Promise<WavAudio> {
  const head = await source.read(0, 12);
  const riff = head.toString("latin1", 0, 4);
  if (head.length < 12 || head.toString("latin1", 8, 12) !== "WAVE") {
    throw unsupported(source, "it is not a WAV file");
  }
  if (riff !== "RIFF" && riff !== "RF64") throw unsupported(source, `its form is ${riff.trim()}`);
  let format: PcmFormat | undefined;
  /** Of a file with more than 4 GB (EBU Tech 3306). */
  let longLength: number | undefined;
  let position = 12;
  for (let chunks = 0; chunks < MOST_CHUNKS; chunks++) {
    const header = await source.read(position, 8);
    if (header.length < 8) break;
    const id = header.toString("latin1", 0, 4);
    const size = header.readUInt32LE(4);
    const body = position + 8;
    if (id === "fmt ") {
      format = formatOf(source, await source.read(body, Math.min(size, 40)));
    } else if (id === "ds64") {
      longLength = longDataLength(await source.read(body, Math.min(size, 16)));
    } else if (id === "data") {
      if (format === undefined) throw unsupported(source, "its samples come before their format");
      const given = size === 0xffff_ffff ? (longLength ?? size) : size;
      return { format, dataStart: body, dataLength: await dataLength(source, body, given) };
    }
    // Chunks are filled up to an even length.
    position = body + size + (size & 1);
  }
  throw unsupported(source, "it has no samples");
}

function formatOf(source: RandomAccess, chunk: Buffer): PcmFormat {
  if (chunk.length < 16) throw unsupported(source, "its format chunk is too short");
  let tag = chunk.readUInt16LE(0);
  const channels = chunk.readUInt16LE(2);
  const sampleRate = chunk.readUInt32LE(4);
  const blockAlign = chunk.readUInt16LE(12);
  const bits = chunk.readUInt16LE(14);
  // The first two bytes of the subformat's GUID are the old tag.
  if (tag === EXTENSIBLE && chunk.length >= 26) tag = chunk.readUInt16LE(24);
  const encoding = encodingOf(tag, bits);
  if (encoding === undefined) {
    throw unsupported(source, `its format is ${TAGS.get(tag) ?? tag} with ${bits} bits`);
  }
  if (channels !== 1 && channels !== 2) throw unsupported(source, `it has ${channels} channels`);
  if (sampleRate < 4_000 || sampleRate > 192_000) {
    throw unsupported(source, `its sample rate is ${sampleRate} Hz`);
  }
  // 24 bits may stand in four bytes; a block length that fits nothing is a writer's mistake.
  const encoded = ENCODED_BYTES[encoding];
  const stored = blockAlign / channels;
  const bytesPerSample =
    Number.isInteger(stored) && stored >= encoded && stored <= 8 ? stored : encoded;
  return { encoding, channels, sampleRate, bytesPerSample };
}

function encodingOf(tag: number, bits: number): SampleEncoding | undefined {
  if (tag === PCM) {
    if (bits === 8) return "u8";
    if (bits === 16) return "s16";
    if (bits === 24) return "s24";
    return bits === 32 ? "s32" : undefined;
  }
  if (tag === FLOAT) {
    if (bits === 32) return "float32";
    return bits === 64 ? "float64" : undefined;
  }
  if (bits !== 8) return undefined;
  if (tag === A_LAW) return "alaw";
  return tag === MU_LAW ? "mulaw" : undefined;
}

/** Undefined where the writer did not fill it in. */
function longDataLength(chunk: Buffer): number | undefined {
  if (chunk.length < 16) return undefined;
  const length = Number(chunk.readBigUInt64LE(8));
  return length === 0 ? undefined : length;
}

async function dataLength(source: RandomAccess, start: number, size: number): Promise<number> {
  const rest = Math.max(0, source.size - start);
  if (size !== 0) return Math.min(size, rest);
  // Size 0: nothing at all when another chunk follows, else a writer that never came back to fill it in.
  const next = (await source.read(start, 4)).toString("latin1");
  return ["LIST", "id3 ", "ID3 ", "fact", "cue ", "bext"].includes(next) ? 0 : rest;
}

function unsupported(source: RandomAccess, why: string): MediaError {
  return new MediaError(
    `The audio of "${source.name}" cannot be played: ${why}. Accepted is ${ACCEPTED_AUDIO}.`,
    { rule: "unsupported-audio" },
  );
}
