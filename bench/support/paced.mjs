// A program that does something at a steady rate when the bench tells it to, and reports what that cost it.

/** Longer than this and something was sent twice: T1 of RFC 3261, with some room for the clock. */
const SLOW_MS = 450;
const LONGEST_WAIT_MS = 8_000;
const STEP_MS = 2;

/**
 * Obeys `{rate, count}` of the bench: begins `rate` actions a second, `count` in all, and sends {ok, failed, slow,
 * seconds, cpu (µs of this process, user and system)} when the last has ended.
 *
 * @param {(done: (ok: boolean) => void) => (() => void) | void} one - one action
 */
export function obey(one) {
  process.on(
    "message",
    ({ rate, count }) => void run(one, rate, count).then((result) => process.send(result)),
  );
  process.once("disconnect", () => process.exit(0));
  process.once("SIGTERM", () => process.exit(0));
  process.send("ready");
}

function run(one, rate, count) {
  return new Promise((resolve) => {
    const started = performance.now();
    const before = process.cpuUsage();
    let begun = 0;
    const result = { ok: 0, failed: 0, slow: 0 };
    const finish = () => {
      clearInterval(pacer);
      clearTimeout(limit);
      const { user, system } = process.cpuUsage(before);
      resolve({ ...result, seconds: (performance.now() - started) / 1000, cpu: user + system });
    };
    const begin = () => {
      const at = performance.now();
      one((ok) => {
        if (performance.now() - at > SLOW_MS) result.slow += 1;
        if (ok) result.ok += 1;
        else result.failed += 1;
        if (result.ok + result.failed === count) finish();
      });
    };
    const limit = setTimeout(finish, (count / rate) * 1000 + LONGEST_WAIT_MS);
    const pacer = setInterval(() => {
      const due = Math.min(count, Math.ceil(((performance.now() - started) / 1000) * rate));
      for (; begun < due; begun++) begin();
    }, STEP_MS);
  });
}
