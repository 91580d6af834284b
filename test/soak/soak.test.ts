/**
 * The soak as a test: SOAK_MINUTES (default 0.2) at twelve calls a second. test/run.mjs runs it for ten minutes beside the other
 * suites; the long form is `npm run soak` (run.ts).
 */
import assert from "node:assert/strict";
import { megabytes, slope, soak } from "./soak.js";

const MINUTES = Number(process.env.SOAK_MINUTES ?? 0.2);
const RATE = 12;
const SEED = 20;

describe("calls of every kind, minute after minute", function () {
  // Two rests in which transactions end, calls with a session timer, and a machine that has other things to do.
  this.timeout((MINUTES * 2 + 6) * 60_000);

  it("end as they must and leave nothing behind", async () => {
    const calls = Math.ceil(MINUTES * 60 * RATE);
    const result = await soak({
      calls,
      rate: RATE,
      seed: SEED,
      loud: 0.05,
      warmUp: Math.min(calls, 500),
      report: (line) => console.log(`      ${line}`),
    });
    // Within the first minute transactions only gather.
    const steady = MINUTES < 3 ? "" : ` ${megabytes(slope(result.readings))} MB per 10,000 calls;`;
    console.log(
      `      heap ${megabytes(result.growth)} MB more;${steady} ${(result.cpuSeconds / result.seconds).toFixed(2)} of a core`,
    );
    assert.deepEqual(result.failures, []);
    assert.deepEqual(result.left, []);
    assert.ok(result.growth < 10 * 2 ** 20, `${megabytes(result.growth)} MB of heap more`);
  });
});
