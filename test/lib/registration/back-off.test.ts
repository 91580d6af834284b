/** When the next REGISTER is due (RFC 5626 §4.5; reliability plan: 80–90 %, back-off with jitter to 300 s). */
import assert from "node:assert/strict";
import { reconnectDelay, refreshDelay, retryDelay } from "../../../lib/registration/index.js";
import { SeededRandom } from "../../support/seeded-random.js";

function range(draw: (random: SeededRandom) => number): [least: number, most: number] {
  const random = new SeededRandom(7);
  const values = Array.from({ length: 2_000 }, () => draw(random));
  return [Math.min(...values), Math.max(...values)];
}

function assertRange(draw: (random: SeededRandom) => number, least: number, most: number): void {
  const [low, high] = range(draw);
  assert.ok(low >= least && high <= most, `${low} … ${high} is not within ${least} … ${most}`);
  assert.ok(high - low > (most - least) * 0.9, `${low} … ${high} hardly uses ${least} … ${most}`);
}

describe("back-off", () => {
  it("refreshes at 80 to 90 % of the time", () => {
    assertRange((random) => refreshDelay(3600, random), 2_880_000, 3_240_000);
    assertRange((random) => refreshDelay(20, random), 16_000, 18_000);
  });

  it("opens a lost connection again soon, but not at once", () => {
    assertRange((random) => reconnectDelay(random), 200, 2_000);
  });

  it("looks every few seconds for a server that is gone since a moment", () => {
    for (const count of [1, 2, 9]) {
      assertRange(
        (random) => retryDelay({ kind: "unreachable", count, sinceFirstMs: 30_000 }, random),
        2_000,
        5_000,
      );
    }
  });

  it("doubles from 30 s to 300 s for a server that stays away or refuses", () => {
    const table: [number, number][] = [
      [1, 30_000],
      [2, 60_000],
      [3, 120_000],
      [4, 240_000],
      [5, 300_000],
      [60, 300_000],
    ];
    for (const [count, upper] of table) {
      for (const kind of ["unreachable", "refused"] as const) {
        assertRange(
          (random) => retryDelay({ kind, count, sinceFirstMs: 90_000 }, random),
          upper / 2,
          upper,
        );
      }
    }
  });

  it("waits long after a wrong password", () => {
    assertRange(
      (random) => retryDelay({ kind: "forbidden", count: 1, sinceFirstMs: 0 }, random),
      150_000,
      300_000,
    );
  });

  it("obeys Retry-After, up to an hour", () => {
    const failure = { kind: "refused", count: 1, sinceFirstMs: 0 } as const;
    assertRange((random) => retryDelay({ ...failure, retryAfter: 40 }, random), 40_000, 42_000);
    assertRange(
      (random) => retryDelay({ ...failure, retryAfter: 10 ** 9 }, random),
      3_600_000,
      3_602_000,
    );
    assertRange((random) => retryDelay({ ...failure, retryAfter: 0 }, random), 15_000, 30_000);
  });
});
