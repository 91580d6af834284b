/** What the sound of live calls has counted so far, asked for only when somebody looks. */
import type { MediaStatistics } from "../../../lib/index.js";
import type { Call } from "../call.js";
import { environment } from "../environment.js";

/** The thread answers in a millisecond; one that does not must not keep the list waiting. */
const LONGEST_WAIT_MS = 250;
/** Nobody reads the figures of more calls. */
const MOST_CALLS = 200;

/** By handle; calls without figures are missing. Never rejects. */
export async function liveStatistics(
  calls: readonly Call[],
): Promise<ReadonlyMap<string, MediaStatistics>> {
  const found = new Map<string, MediaStatistics>();
  const asked = calls.slice(0, MOST_CALLS).map(async ({ id, session }) => {
    const statistics = await session.mediaSession?.readStatistics?.();
    if (statistics !== undefined) found.set(id, statistics);
  });
  await new Promise<void>((resolve) => {
    const timer = environment().clock.setTimer(LONGEST_WAIT_MS, resolve);
    void Promise.allSettled(asked).then(() => {
      timer.cancel();
      resolve();
    });
  });
  // What comes later belongs to no answer any more.
  return new Map(found);
}
