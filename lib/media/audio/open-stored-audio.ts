/** Finds out what a file or a buffer holds, by its content and never by its name, and makes its decoder. */
import { errorText, MediaError } from "../../foundation/index.js";
import type { SoundDecoder } from "./sound-decoder.js";
import { audioCodec } from "../codec/codecs.js";
import { openMp3 } from "./mp3-decoder.js";
import { openOggOpus } from "./ogg-opus-decoder.js";
import type { PcmFormat } from "./pcm-format.js";
import type { SampleSource } from "./audio-source.js";
import type { RandomAccess } from "./random-access.js";
import { MemorySource, type SharedSounds } from "./shared-sounds.js";
import { StoredAudio } from "./stored-audio.js";
import { WavDecoder } from "./wav-decoder.js";
import { ACCEPTED_AUDIO, readWavHeader } from "./wav-header.js";

export interface StoredAudioOptions {
  /** How many times it is played; Infinity = for ever. Default 1. */
  readonly rounds?: number | undefined;
  /** Hz of the samples that are wanted. */
  readonly sampleRate: number;
  /** The data are samples without a header. */
  readonly raw?: PcmFormat | undefined;
  /** Sounds that others play, and how this one is opened again for them. */
  readonly shared?: SharedSounds | undefined;
  readonly again?: (() => Promise<RandomAccess>) | undefined;
}

/**
 * Opens stored audio and has the beginning ready.
 *
 * @throws (rejects with) MediaError, rule `unsupported-audio`; the access is closed then.
 */
export async function openStoredAudio(
  access: RandomAccess,
  options: StoredAudioOptions,
): Promise<SampleSource> {
  const { rounds = 1, sampleRate, shared, again } = options;
  const { identity } = access;
  const find = () => (identity === undefined ? undefined : shared?.find(identity, sampleRate));
  const known = find();
  if (known !== undefined) {
    await access.close();
    return new MemorySource(known, rounds, sampleRate);
  }
  const decoder = await openDecoder(access, options.raw);
  if (identity !== undefined && again !== undefined) {
    shared?.opened(identity, sampleRate, async () => {
      const other = await again();
      if (other.identity === identity) return openDecoder(other);
      await other.close();
      throw new MediaError("the file has changed meanwhile");
    });
  }
  const source = new StoredAudio(decoder, rounds, sampleRate, find);
  await source.prepare();
  if (source.failed) throw unreadable(access, source.reason);
  return source;
}

/** @throws (rejects with) MediaError, rule `unsupported-audio`; the access is closed then. */
export async function openDecoder(access: RandomAccess, raw?: PcmFormat): Promise<SoundDecoder> {
  try {
    if (raw) {
      const audio = { format: raw, dataStart: 0, dataLength: access.size };
      return new WavDecoder(access, audio);
    }
    const head = await access.read(0, 64);
    const form = head.toString("latin1", 0, 4);
    if (form === "RIFF" || form === "RF64") {
      return new WavDecoder(access, await readWavHeader(access));
    }
    if (form === "OggS") return await openOgg(access, head);
    const known = FORMS.find(({ is }) => is(head));
    if (known) throw unsupported(access, `it is ${known.name}`);
    const mp3 = await openMp3(access);
    if (mp3) return mp3;
    throw unsupported(access, "it holds no sound of a known form");
  } catch (error) {
    await access.close();
    throw error instanceof MediaError ? error : unreadable(access, error);
  }
}

/** Of what Ogg can hold, calls know Opus. */
async function openOgg(access: RandomAccess, head: Buffer): Promise<SoundDecoder> {
  const codec = audioCodec("OPUS");
  if (codec === undefined) throw unsupported(access, "it is Ogg, for which there is no codec");
  await codec.load?.();
  const decoder = await openOggOpus(access, codec);
  if (decoder) return decoder;
  const other = ["vorbis", "FLAC", "Speex"].find((name) => head.includes(name));
  throw unsupported(access, `it is Ogg with ${other ?? "no Opus"}`);
}

interface Form {
  readonly name: string;
  readonly is: (head: Buffer) => boolean;
}

const begins =
  (text: string, at = 0) =>
  (head: Buffer): boolean =>
    head.toString("latin1", at, at + text.length) === text;

/** What is often tried, named so that the flow's author sees what happened. */
const FORMS: readonly Form[] = [
  { name: "empty", is: (head) => head.length === 0 },
  { name: "a WAV file of the form RIFX", is: begins("RIFX") },
  { name: "FLAC", is: begins("fLaC") },
  { name: "AIFF", is: begins("FORM") },
  { name: "AMR", is: begins("#!AMR") },
  { name: "an AU file", is: begins(".snd") },
  { name: "WebM", is: begins("\x1aE\xdf\xa3") },
  { name: "MP4 or M4A", is: begins("ftyp", 4) },
  {
    name: "a web page",
    is: (head) => /^[\s\xef\xbb\xbf]*<(!doctype|html|\?xml)/i.test(latin1(head)),
  },
  { name: "JSON", is: (head) => /^\s*[{[]\s*["{[\]}]/.test(latin1(head)) },
];

function latin1(data: Buffer): string {
  return data.toString("latin1");
}

function unsupported(access: RandomAccess, why: string): MediaError {
  return new MediaError(
    `The audio of "${access.name}" cannot be played: ${why}. Accepted is ${ACCEPTED_AUDIO}.`,
    { rule: "unsupported-audio" },
  );
}

function unreadable(access: RandomAccess, error: unknown): MediaError {
  return new MediaError(`The audio of "${access.name}" cannot be read: ${errorText(error)}`, {
    cause: error,
    rule: "unsupported-audio",
  });
}
