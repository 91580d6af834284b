/**
 * Twice the text takes at most 2.5 times the time, in every parser and for every nasty text: nothing backtracks. Measured
 * over two doublings, where quadratic growth gives 16 instead of 4. Only ratios of the best of many runs count, and only
 * where there is enough to measure.
 */
import assert from "node:assert/strict";
import { NASTY_PIECES, TEXT_PARSERS } from "../../support/nasty-texts.js";

const SIZE = 16_384;
const MOST_GROWTH = 2.5 ** 2;
const MOST_ROUNDS = 100;
/** Milliseconds below which the clock says more than the parser. */
const LEAST = 1;

function timeOf(parse: (text: string) => unknown, text: string): number {
  const from = performance.now();
  parse(text);
  return performance.now() - from;
}

/** Both sizes in turns, so that both have quiet moments; ends as soon as the best times are near enough. */
function growth(parse: (text: string) => unknown, piece: string): number {
  const text = (size: number) => piece.repeat(Math.ceil(size / piece.length)).slice(0, size);
  const [long, short] = [text(4 * SIZE), text(SIZE)];
  let [longTime, shortTime] = [Infinity, Infinity];
  for (let round = 0; round < MOST_ROUNDS; round++) {
    longTime = Math.min(longTime, timeOf(parse, long));
    shortTime = Math.min(shortTime, timeOf(parse, short));
    if (longTime < LEAST || (round > 0 && longTime <= MOST_GROWTH * shortTime)) return 0;
  }
  return longTime / shortTime;
}

describe("the time of a parser", () => {
  for (const [name, parse] of TEXT_PARSERS) {
    it(`grows in a line with the text: ${name}`, () => {
      for (const piece of NASTY_PIECES) {
        const factor = growth(parse, piece);
        assert.ok(factor <= MOST_GROWTH, `${JSON.stringify(piece)}: ${factor.toFixed(1)} times`);
      }
    });
  }
});
