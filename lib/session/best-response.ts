/** Which of several failures speaks for the attempt (RFC 3261 §16.7 step 6). */
import type { SipResponse } from "../message/index.js";

/** Responses that tell the caller what to do better next time come first in their class. */
const HELPFUL = new Set([401, 407, 415, 420, 484]);

/** A 6xx, else the lowest class; within it the most helpful, a 487 last; else the first. */
export function bestResponse(responses: readonly SipResponse[]): SipResponse | undefined {
  let best: SipResponse | undefined;
  for (const response of responses) {
    if (best === undefined || rank(response.statusCode) < rank(best.statusCode)) best = response;
  }
  return best;
}

function rank(statusCode: number): number {
  const statusClass = Math.floor(statusCode / 100);
  if (statusClass === 6) return 0;
  const within = HELPFUL.has(statusCode) ? 0 : statusCode === 487 ? 2 : 1;
  return statusClass * 3 + within;
}
