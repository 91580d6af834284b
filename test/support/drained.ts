/** Reads a source as the beat of a call reads it. */
import type { SampleSource } from "../../lib/media/audio/audio-source.js";
import { pause } from "./rtp-phone.js";

/** Everything that a source gives, in frames of 20 ms; at most `most` samples. The source is closed then. */
export async function drained(
  source: SampleSource,
  options: { readonly sampleRate?: number; readonly most?: number } = {},
): Promise<Int16Array> {
  const { sampleRate = 8000, most = sampleRate * 120 } = options;
  const frame = new Int16Array(sampleRate / 50);
  const parts: Int16Array[] = [];
  let length = 0;
  for (let empty = 0; !source.ended && length < most && empty < 1000;) {
    const count = source.read(frame, frame.length);
    parts.push(frame.slice(0, count));
    length += count;
    if (count === 0) {
      empty += 1;
      await pause(0);
    }
  }
  source.close();
  const samples = new Int16Array(length);
  let at = 0;
  for (const part of parts) {
    samples.set(part, at);
    at += part.length;
  }
  return samples;
}
