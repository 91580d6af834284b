/**
 * G.711 (ITU-T G.711): 16-bit linear samples to and from the eight-bit codes of µ-law (PCMU) and A-law (PCMA).
 * Decoding reads tables of 256 entries; encoding reads tables of 65 536, made once when first needed.
 */

export type G711Law = "PCMU" | "PCMA";

/** What silence looks like on the line. */
export const SILENCE_CODE: Readonly<Record<G711Law, number>> = { PCMU: 0xff, PCMA: 0xd5 };

const MU_LAW_BIAS = 132;
const MU_LAW_CLIP = 32_635;

/** µ-law: sign, three bits of segment, four of mantissa, all inverted; segments start at bias 132. */
function muLawToLinear(code: number): number {
  const inverted = ~code & 0xff;
  const segment = (inverted >> 4) & 7;
  const magnitude = ((((inverted & 0x0f) << 3) + MU_LAW_BIAS) << segment) - MU_LAW_BIAS;
  return (inverted & 0x80) !== 0 ? -magnitude : magnitude;
}

function linearToMuLaw(sample: number): number {
  const sign = sample < 0 ? 0x80 : 0;
  const biased = Math.min(sample < 0 ? -sample : sample, MU_LAW_CLIP) + MU_LAW_BIAS;
  // The segment is the place of the highest bit above bit 7.
  const segment = 31 - Math.clz32(biased) - 7;
  const mantissa = (biased >> (segment + 3)) & 0x0f;
  return ~(sign | (segment << 4) | mantissa) & 0xff;
}

/** A-law: as µ-law without bias, even bits inverted; the lowest segment is linear. */
function aLawToLinear(code: number): number {
  const plain = code ^ 0x55;
  const segment = (plain >> 4) & 7;
  const mantissa = plain & 0x0f;
  const magnitude =
    segment === 0 ? (mantissa << 4) + 8 : ((mantissa << 4) + 0x108) << (segment - 1);
  return (plain & 0x80) !== 0 ? magnitude : -magnitude;
}

function linearToALaw(sample: number): number {
  const sign = sample < 0 ? 0 : 0x80;
  // One's complement for the negative half keeps both halves symmetric (as the reference algorithm does).
  const magnitude = (sample < 0 ? ~sample : sample) & 0x7fff;
  const segment = magnitude < 256 ? 0 : 31 - Math.clz32(magnitude) - 7;
  const mantissa = (segment === 0 ? magnitude >> 4 : magnitude >> (segment + 3)) & 0x0f;
  return (sign | (segment << 4) | mantissa) ^ 0x55;
}

function decodingTable(toLinear: (code: number) => number): Int16Array {
  return Int16Array.from({ length: 256 }, (_, code) => toLinear(code));
}

const DECODING: Readonly<Record<G711Law, Int16Array>> = {
  PCMU: decodingTable(muLawToLinear),
  PCMA: decodingTable(aLawToLinear),
};

const encodingTables: Partial<Record<G711Law, Uint8Array>> = {};

function encodingTable(law: G711Law): Uint8Array {
  let table = encodingTables[law];
  if (table === undefined) {
    const toCode = law === "PCMU" ? linearToMuLaw : linearToALaw;
    table = new Uint8Array(65_536);
    for (let sample = -32_768; sample < 32_768; sample++) table[sample & 0xffff] = toCode(sample);
    encodingTables[law] = table;
  }
  return table;
}

/** Encodes `count` samples into `target` from `offset` on. */
export function encodeG711(
  law: G711Law,
  samples: Int16Array,
  count: number,
  target: Uint8Array,
  offset: number,
): void {
  const table = encodingTable(law);
  for (let i = 0; i < count; i++) {
    target[offset + i] = table[samples[i] & 0xffff];
  }
}

/** Decodes the codes of `source` from `start` up to `end` into the beginning of `samples`. */
export function decodeG711(
  law: G711Law,
  source: Uint8Array,
  start: number,
  end: number,
  samples: Int16Array,
): void {
  const table = DECODING[law];
  for (let i = start; i < end; i++) samples[i - start] = table[source[i]];
}
