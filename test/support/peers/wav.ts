/** WAV files of tests: made, read, and measured. */

/** 16-bit mono WAV of a sine. @param frequency - Hz. @param seconds - length. @param rate - samples/s. */
export function toneWav(frequency: number, seconds: number, rate: number, level = 0.5): Buffer {
  const samples = Math.round(seconds * rate);
  const data = Buffer.alloc(44 + samples * 2);
  data.write("RIFF", 0, "latin1");
  data.writeUInt32LE(36 + samples * 2, 4);
  data.write("WAVEfmt ", 8, "latin1");
  data.writeUInt32LE(16, 16);
  data.writeUInt16LE(1, 20);
  data.writeUInt16LE(1, 22);
  data.writeUInt32LE(rate, 24);
  data.writeUInt32LE(rate * 2, 28);
  data.writeUInt16LE(2, 32);
  data.writeUInt16LE(16, 34);
  data.write("data", 36, "latin1");
  data.writeUInt32LE(samples * 2, 40);
  for (let i = 0; i < samples; i++)
    data.writeInt16LE(
      Math.round(Math.sin((2 * Math.PI * frequency * i) / rate) * level * 32767),
      44 + i * 2,
    );
  return data;
}

/** Samples of a 16-bit mono PCM WAV, −1 … 1. */
export function readWav(file: Buffer): { rate: number; samples: Float64Array } {
  const rate = file.readUInt32LE(24);
  const start = file.indexOf("data", 12, "latin1") + 8;
  const count = Math.floor((file.length - start) / 2);
  const samples = new Float64Array(count);
  for (let i = 0; i < count; i++) samples[i] = file.readInt16LE(start + i * 2) / 32768;
  return { rate, samples };
}

/** Share (0 … 1) of the signal's energy that lies at `frequency`, over the loud part of the samples. */
export function toneShare(samples: Float64Array, rate: number, frequency: number): number {
  const omega = (2 * Math.PI * frequency) / rate;
  let real = 0;
  let imaginary = 0;
  let energy = 0;
  samples.forEach((value, index) => {
    real += value * Math.cos(omega * index);
    imaginary += value * Math.sin(omega * index);
    energy += value * value;
  });
  if (energy === 0) return 0;
  return (2 * (real * real + imaginary * imaginary)) / (samples.length * energy);
}

/** Dominant frequency by counting rising zero crossings of the loud part, Hz; 0 when silent. */
export function dominantFrequency(samples: Float64Array, rate: number): number {
  const loud = trimSilence(samples);
  let crossings = 0;
  let first = -1;
  let last = -1;
  for (let i = 1; i < loud.length; i++) {
    if (loud[i - 1] < 0 && loud[i] >= 0) {
      crossings++;
      if (first < 0) first = i;
      last = i;
    }
  }
  return crossings < 2 ? 0 : ((crossings - 1) * rate) / (last - first);
}

/** The samples between the first and the last that are louder than 5 % of full scale. */
export function trimSilence(samples: Float64Array): Float64Array {
  let start = 0;
  let end = samples.length;
  while (start < end && Math.abs(samples[start]) < 0.05) start++;
  while (end > start && Math.abs(samples[end - 1]) < 0.05) end--;
  return samples.subarray(start, end);
}
