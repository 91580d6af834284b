/** From what a flow wants to be heard to samples. */
import { MediaError } from "../../foundation/index.js";
import type { TransferredSource } from "../rtp/worker-protocol.js";
import type { SampleSource } from "./audio-source.js";
import { openStoredAudio } from "./open-stored-audio.js";
import type { PcmFormat } from "./pcm-format.js";
import { openBuffer, openFile } from "./random-access.js";
import { KNOWN_TONES, toneSource } from "./tones.js";

/**
 * @param loop - As in PlayOptions: true = for ever, a number = that many times.
 * @param sampleRate - Hz of the samples that are wanted.
 * @throws MediaError, rule `no-file` or `unsupported-audio`.
 */
export async function openSource(
  source: TransferredSource,
  loop: boolean | number,
  sampleRate: number,
): Promise<SampleSource> {
  const rounds = roundsOf(loop);
  switch (source.kind) {
    case "tone": {
      const tone = toneSource(source.name, rounds, sampleRate);
      if (tone) return tone;
      throw new MediaError(`There is no tone "${source.name}"; known are ${KNOWN_TONES}`, {
        rule: "unsupported-audio",
      });
    }
    case "file":
      return openStoredAudio(await openFile(source.path), { rounds, sampleRate });
    case "buffer": {
      const { data } = source;
      const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      const raw = rawFormat(source);
      return openStoredAudio(openBuffer(buffer), { rounds, sampleRate, raw });
    }
  }
}

function roundsOf(loop: boolean | number): number {
  if (typeof loop === "boolean") return loop ? Infinity : 1;
  return Number.isNaN(loop) ? 1 : Math.max(1, Math.floor(loop));
}

/** Undefined for a buffer that holds a WAV file. */
function rawFormat(source: Extract<TransferredSource, { kind: "buffer" }>): PcmFormat | undefined {
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
