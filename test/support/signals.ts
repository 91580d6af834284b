/** Test signals and what is measured of them. */

/** @param amplitude - Of the peak, 1 = full scale. */
export function sine(
  frequency: number,
  milliseconds: number,
  sampleRate: number,
  amplitude = 0.3,
): Int16Array {
  return Int16Array.from({ length: (milliseconds * sampleRate) / 1000 }, (_, i) =>
    Math.round(Math.sin((2 * Math.PI * frequency * i) / sampleRate) * amplitude * 32_767),
  );
}

/** A tone that rises steadily. */
export function sweep(
  from: number,
  to: number,
  milliseconds: number,
  sampleRate: number,
  amplitude = 0.3,
): Int16Array {
  const length = (milliseconds * sampleRate) / 1000;
  return Int16Array.from({ length }, (_, i) => {
    const seconds = i / sampleRate;
    const phase = from * seconds + ((to - from) * seconds * seconds * sampleRate) / (2 * length);
    return Math.round(Math.sin(2 * Math.PI * phase) * amplitude * 32_767);
  });
}

/** The same noise each time. */
export function noise(milliseconds: number, sampleRate: number, amplitude = 0.3): Int16Array {
  let state = 1;
  return Int16Array.from({ length: (milliseconds * sampleRate) / 1000 }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.round(((state >>> 16) / 32_768 - 1) * amplitude * 32_767);
  });
}

/** Root of the mean square, full scale = 1. */
export function level(samples: Int16Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / Math.max(1, samples.length)) / 32_768;
}

export function decibels(ratio: number): number {
  return 20 * Math.log10(ratio);
}

/**
 * Signal to noise in decibels at the delay (up to `mostDelay` samples) where both fit best, loudness and the first and
 * last samples left aside.
 */
export function signalToNoise(
  sent: Int16Array,
  heard: Int16Array,
  mostDelay: number,
): { readonly delay: number; readonly ratio: number } {
  const edge = Math.floor(sent.length / 10);
  let best = { delay: 0, ratio: -Infinity };
  for (let delay = 0; delay <= mostDelay; delay++) {
    let cross = 0;
    let energy = 0;
    let total = 0;
    for (let i = edge; i < sent.length - edge && i + delay < heard.length; i++) {
      cross += sent[i] * heard[i + delay];
      energy += sent[i] * sent[i];
      total += heard[i + delay] * heard[i + delay];
    }
    const explained = (cross * cross) / Math.max(1, energy);
    const ratio = 10 * Math.log10(explained / Math.max(1e-9, total - explained));
    if (ratio > best.ratio) best = { delay, ratio };
  }
  return best;
}

/** Loudness of one frequency, full scale = 1: the peak of a sine (Goertzel). */
export function toneLevel(
  samples: Int16Array | Float64Array,
  frequency: number,
  sampleRate: number,
): number {
  let real = 0;
  let imaginary = 0;
  for (let i = 0; i < samples.length; i++) {
    const phase = (2 * Math.PI * frequency * i) / sampleRate;
    real += samples[i] * Math.cos(phase);
    imaginary += samples[i] * Math.sin(phase);
  }
  return (2 * Math.hypot(real, imaginary)) / Math.max(1, samples.length) / 32_767;
}
