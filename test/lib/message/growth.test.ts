/**
 * Sixteen times the text takes at most 64 times the processor's time, in every parser and for every nasty text: nothing
 * backtracks. Growth in a line gives 16, quadratic growth 256: collections and busy neighbours stay far from both. The
 * best of many runs counts, and only where there is enough to measure.
 */
import assert from "node:assert/strict";
import { NASTY_PIECES, TEXT_PARSERS } from "../../support/nasty-texts.js";

const SIZE = 4_096;
const TIMES = 16;
const MOST_GROWTH = 4 * TIMES;
const MOST_ROUNDS = 50;
/** Milliseconds below which the clock says more than the parser. */
const LEAST = 1;

/** Milliseconds of the processor: those of other programs do not count. */
function timeOf(parse: (text: string) => unknown, text: string): number {
  const from = process.cpuUsage();
  parse(text);
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1000;
}

/** Both sizes in turns, so that both have quiet moments; ends as soon as the best times are near enough. */
function growth(parse: (text: string) => unknown, piece: string): number {
  const text = (size: number) => piece.repeat(Math.ceil(size / piece.length)).slice(0, size);
  const [long, short] = [text(TIMES * SIZE), text(SIZE)];
  let [longTime, shortTime] = [Infinity, Infinity];
  for (let round = 0; round < MOST_ROUNDS; round++) {
    longTime = Math.min(longTime, timeOf(parse, long));
    // As many characters as in the long one, so that both times are told equally well.
    const times = timeOf((each) => {
      for (let time = 0; time < TIMES; time++) parse(each);
    }, short);
    shortTime = Math.min(shortTime, times / TIMES);
    if (longTime < LEAST || longTime <= MOST_GROWTH * shortTime) return 0;
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
