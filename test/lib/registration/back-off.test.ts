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
    assertRange((random) => reconnectDelay(0, random), 200, 2_000);
  });

  it("opens connections that never last later and later, up to 300 s", () => {
    const table: [number, number][] = [
      [1, 4_000],
      [2, 8_000],
      [7, 256_000],
      [8, 300_000],
      [1_000, 300_000],
    ];
    for (const [shortLived, upper] of table) {
      assertRange((random) => reconnectDelay(shortLived, random), upper / 2, upper);
    }
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

  it("waits about half as long as a server has been gone, 30 s to 300 s", () => {
    const table: [number, number][] = [
      [60, 30_000],
      [119, 30_000],
      [120, 60_000],
      [240, 120_000],
      [480, 240_000],
      [960, 300_000],
      [1e6, 300_000],
    ];
    for (const [gone, upper] of table) {
      // However often it was tried meanwhile: a refused connection takes no time, a silent server 32 s.
      for (const count of [2, 200]) {
        const failure = { kind: "unreachable", count, sinceFirstMs: gone * 1000 } as const;
        assertRange((random) => retryDelay(failure, random), upper / 2, upper);
      }
    }
  });

  it("looks for a gone server as often as the account asks it while it lives", () => {
    const failure = { kind: "unreachable", count: 9, sinceFirstMs: 1e6 } as const;
    assertRange((random) => retryDelay({ ...failure, watchMs: 5_000 }, random), 4_000, 5_000);
    // Not the other way round: a refusal is no silence.
    assertRange(
      (random) => retryDelay({ ...failure, kind: "refused", watchMs: 5_000 }, random),
      150_000,
      300_000,
    );
  });

  it("doubles from 30 s to 300 s for a server that refuses", () => {
    const table: [number, number][] = [
      [1, 30_000],
      [2, 60_000],
      [3, 120_000],
      [4, 240_000],
      [5, 300_000],
      [60, 300_000],
    ];
    for (const [count, upper] of table) {
      const failure = { kind: "refused", count, sinceFirstMs: 90_000 } as const;
      assertRange((random) => retryDelay(failure, random), upper / 2, upper);
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
