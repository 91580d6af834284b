/** From what a flow wants to be heard to samples. */
import { MediaError } from "../../foundation/index.js";
import type { TransferredOne, TransferredSource } from "../rtp/worker-protocol.js";
import type { SampleSource } from "./audio-source.js";
import { openDecoder, openStoredAudio } from "./open-stored-audio.js";
import type { PcmFormat } from "./pcm-format.js";
import { openBuffer, openFile } from "./random-access.js";
import type { RandomAccess } from "./random-access.js";
import { SharedSounds } from "./shared-sounds.js";
import { SequenceSource } from "./sequence-source.js";
import { KNOWN_TONES, toneSource } from "./tones.js";

/** Of this thread. */
const sounds = new SharedSounds();

/** Sounds of one list. */
const MOST_SOURCES = 200;

/**
 * @param loop - As in PlayOptions: true = for ever, a number = that many times.
 * @param sampleRate - Hz of the samples that are wanted.
 * @throws MediaError, rule `no-file` or `unsupported-audio`; for a list, whichever of its sources it is.
 */
export async function openSource(
  source: TransferredSource,
  loop: boolean | number,
  sampleRate: number,
): Promise<SampleSource> {
  const rounds = roundsOf(loop);
  if (source.kind !== "list") return openOne(source, rounds, sampleRate);
  if (source.sources.length > MOST_SOURCES) {
    throw new MediaError(`A list of ${source.sources.length} sounds is too long to be played`, {
      rule: "unsupported-audio",
    });
  }
  // What cannot be played is told before the first of them is heard.
  for (const one of source.sources) await check(one);
  const openers = source.sources.map((one) => () => openOne(one, 1, sampleRate));
  return SequenceSource.open(openers, rounds, sampleRate);
}

async function openOne(
  source: TransferredOne,
  rounds: number,
  sampleRate: number,
): Promise<SampleSource> {
  if (source.kind === "tone") {
    const tone = toneSource(source.name, rounds, sampleRate);
    if (tone) return tone;
    throw new MediaError(`There is no tone "${source.name}"; known are ${KNOWN_TONES}`, {
      rule: "unsupported-audio",
    });
  }
  const { access, raw } = await accessTo(source);
  const again = source.kind === "file" ? () => openFile(source.path) : undefined;
  return openStoredAudio(access, { rounds, sampleRate, raw, shared: sounds, again });
}

/** @throws as `openOne` does. */
async function check(source: TransferredOne): Promise<void> {
  if (source.kind === "tone") {
    (await openOne(source, 1, 8000)).close();
    return;
  }
  const { access, raw } = await accessTo(source);
  await (await openDecoder(access, raw)).close();
}

async function accessTo(
  source: Exclude<TransferredOne, { kind: "tone" }>,
): Promise<{ readonly access: RandomAccess; readonly raw?: PcmFormat | undefined }> {
  if (source.kind === "file") return { access: await openFile(source.path) };
  const { data } = source;
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return { access: openBuffer(buffer), raw: rawFormat(source) };
}

function roundsOf(loop: boolean | number): number {
  if (typeof loop === "boolean") return loop ? Infinity : 1;
  return Number.isNaN(loop) ? 1 : Math.max(1, Math.floor(loop));
}

/** Undefined for a buffer that holds a file. */
function rawFormat(source: Extract<TransferredOne, { kind: "buffer" }>): PcmFormat | undefined {
  if (source.format === undefined) return undefined;
  const sampleRate = source.sampleRate ?? 8000;
  if (!Number.isInteger(sampleRate) || sampleRate < 4_000 || sampleRate > 192_000) {
    throw new MediaError(`A sample rate of ${sampleRate} Hz cannot be played, 4 to 192 kHz can`, {
      rule: "unsupported-audio",
    });
  }
  switch (source.format) {
    case "pcm16":
      return { encoding: "s16", channels: 1, sampleRate, bytesPerSample: 2 };
    case "mulaw":
      return { encoding: "mulaw", channels: 1, sampleRate, bytesPerSample: 1 };
    case "alaw":
      return { encoding: "alaw", channels: 1, sampleRate, bytesPerSample: 1 };
    default:
      throw new MediaError(
        `Raw audio of the format "${String(source.format)}" cannot be played; accepted are pcm16, mulaw and alaw`,
        { rule: "unsupported-audio" },
      );
  }
}
