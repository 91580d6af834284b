/** Makes a stretch of sound shorter by one period of the voice in it, so that nobody hears it (WSOLA). */

/** Milliseconds that may be left out, and over which both sides are blended. */
const SHORTEST_MS = 2.5;
const LONGEST_MS = 12.5;
const BLEND_MS = 8;

/**
 * Leaves a piece out near the start of `samples[0…count)`, where what follows is most like what is left out.
 *
 * @param sampleRate - Hz.
 * @returns how many samples are left; `count` when there are too few.
 */
export function shortenBy(samples: Int16Array, count: number, sampleRate: number): number {
  const perMs = sampleRate / 1000;
  const shortest = Math.round(SHORTEST_MS * perMs);
  const longest = Math.round(LONGEST_MS * perMs);
  const blend = Math.round(BLEND_MS * perMs);
  if (count < longest + blend) return count;
  const lag = likeness(samples, shortest, longest, blend);
  for (let i = 0; i < blend; i++) {
    const share = i / blend;
    samples[i] = Math.round(samples[i] * (1 - share) + samples[i + lag] * share);
  }
  samples.copyWithin(blend, blend + lag, count);
  return count - lag;
}

function likeness(samples: Int16Array, shortest: number, longest: number, length: number): number {
  const stride = Math.max(1, Math.round(length / 64));
  let best = longest;
  let highest = -Infinity;
  for (let lag = shortest; lag <= longest; lag += stride) {
    let product = 0;
    let energy = 1;
    for (let i = 0; i < length; i += stride) {
      product += samples[i] * samples[i + lag];
      energy += samples[i + lag] * samples[i + lag];
    }
    const value = product / Math.sqrt(energy);
    if (value > highest) {
      highest = value;
      best = lag;
    }
  }
  return best;
}
