/**
 * Twice the text takes twice the time, in every parser and for every nasty text: nothing backtracks. Only ratios count,
 * of the best of several runs, and only where there is enough to measure.
 */
import assert from "node:assert/strict";
import { NASTY_PIECES, TEXT_PARSERS } from "../../support/nasty-texts.js";

const SIZE = 32_768;
/** Quadratic growth gives 4. */
const MOST_GROWTH = 2.5;
/** Milliseconds below which the clock says more than the parser. */
const LEAST = 1;

function best(parse: (text: string) => unknown, text: string, runs: number): number {
  let least = Infinity;
  for (let i = 0; i < runs; i++) {
    const from = performance.now();
    parse(text);
    least = Math.min(least, performance.now() - from);
  }
  return least;
}

function growth(parse: (text: string) => unknown, piece: string, runs: number): number {
  const text = (size: number) => piece.repeat(Math.ceil(size / piece.length)).slice(0, size);
  const twice = best(parse, text(2 * SIZE), runs);
  if (twice < LEAST) return 1;
  return twice / best(parse, text(SIZE), runs);
}

describe("the time of a parser", () => {
  for (const [name, parse] of TEXT_PARSERS) {
    it(`grows in a line with the text: ${name}`, () => {
      for (const piece of NASTY_PIECES) {
        // Another process may have been in the way: what is slow must stay slow.
        const runs = [2, 5, 20, 40];
        const seen = runs.some((count) => growth(parse, piece, count) <= MOST_GROWTH);
        assert.ok(seen, `${JSON.stringify(piece)} makes it grow faster`);
      }
    });
  }
});
