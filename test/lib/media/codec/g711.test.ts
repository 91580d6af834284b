import assert from "node:assert/strict";
import { decodeG711, encodeG711, SILENCE_CODE } from "../../../../lib/media/codec/g711.js";
import type { G711Law } from "../../../../lib/media/codec/g711.js";

function encode(law: G711Law, sample: number): number {
  const target = new Uint8Array(1);
  encodeG711(law, Int16Array.of(sample), 1, target, 0);
  return target[0];
}

function decode(law: G711Law, code: number): number {
  const samples = new Int16Array(1);
  decodeG711(law, Uint8Array.of(code), 0, 1, samples);
  return samples[0];
}

describe("G.711", () => {
  // Values of the tables 1a to 2b of ITU-T G.711, in 16-bit scale.
  const DECODED: [G711Law, number, number][] = [
    ["PCMU", 0xff, 0],
    ["PCMU", 0x7f, 0],
    ["PCMU", 0x80, 32_124],
    ["PCMU", 0x00, -32_124],
    ["PCMU", 0xfe, 8],
    ["PCMU", 0xf0, 120],
    ["PCMU", 0xef, 132],
    ["PCMA", 0xd5, 8],
    ["PCMA", 0x55, -8],
    ["PCMA", 0xaa, 32_256],
    ["PCMA", 0x2a, -32_256],
    ["PCMA", 0xd4, 24],
    ["PCMA", 0xc5, 264],
  ];
  for (const [law, code, sample] of DECODED) {
    it(`decodes ${law} 0x${code.toString(16)} to ${sample}`, () => {
      assert.equal(decode(law, code), sample);
    });
  }

  for (const law of ["PCMU", "PCMA"] as const) {
    it(`encodes what it decoded to the same code (${law})`, () => {
      for (let code = 0; code < 256; code++) {
        // µ-law has two zeros; the negative one is not made.
        const expected = law === "PCMU" && code === 0x7f ? 0xff : code;
        assert.equal(encode(law, decode(law, code)), expected);
      }
    });

    it(`stays within the step of the law for every sample, and keeps order (${law})`, () => {
      let before = -40_000;
      for (let sample = -32_768; sample <= 32_767; sample++) {
        const value = decode(law, encode(law, sample));
        assert.ok(value >= before, `order at ${sample}`);
        before = value;
        const step = Math.max(16, Math.abs(sample) / 16);
        const clipped = Math.max(-32_256, Math.min(32_256, sample));
        assert.ok(Math.abs(value - clipped) <= step, `${sample} became ${value}`);
      }
    });

    it(`encodes silence as expected on the line (${law})`, () => {
      assert.equal(encode(law, 0), SILENCE_CODE[law]);
    });
  }
});
