/**
 * The timers of the four machines as a function of T1, T2 and T4: RFC 3261 §17.1.1.2, §17.1.2.2, §17.2.1,
 * §17.2.2 and table 4 of its appendix A, with L and M of RFC 6026 §8. All values are milliseconds.
 */
import type { TimerOptions } from "./transaction-user.js";

/**
 * By letter as in the RFCs. `trying` is the moment at which a request other than INVITE gets a 100 (RFC 4320
 * §4.1), `expiry` the one after which its answer would come too late (RFC 4320 §4.2).
 */
export type TimerName =
  "A" | "B" | "D" | "E" | "F" | "G" | "H" | "I" | "J" | "K" | "L" | "M" | "trying" | "expiry";

/** The timers whose interval grows from one expiry to the next. */
export type RetransmissionTimer = "A" | "E" | "G";
export type FixedTimer = Exclude<TimerName, RetransmissionTimer>;

/** Shortest stay in completed of an INVITE client transaction over UDP (RFC 3261 §17.1.1.2, Timer D). */
const SHORTEST_TIMER_D = 32_000;

/**
 * The interval before the next expiry of a retransmission timer.
 *
 * @param name - A doubles without bound, E and G up to T2.
 * @param expiries - How often it has expired before, 0 for the first interval.
 */
export function retransmissionInterval(
  name: RetransmissionTimer,
  expiries: number,
  options: TimerOptions,
): number {
  const doubled = options.t1 * 2 ** expiries;
  return name === "A" ? doubled : Math.min(doubled, options.t2);
}

/**
 * The length of a timer that does not grow; 0 = the wait is skipped, because a reliable transport neither loses
 * the last message nor repeats the request. J is short there instead: requests may still be repeated by those before
 * the last hop, and a MESSAGE that comes again must not be taken for another one.
 */
export function timerLength(name: FixedTimer, options: TimerOptions, reliable: boolean): number {
  const lifetime = 64 * options.t1;
  switch (name) {
    case "B":
    case "F":
    case "H":
    case "L":
    case "M":
    case "expiry":
      return lifetime;
    case "D":
      return reliable ? 0 : Math.max(SHORTEST_TIMER_D, lifetime);
    case "I":
    case "K":
      return reliable ? 0 : options.t4;
    case "J":
      // RFC 3261 says 0 for reliable transports, yet a stateless proxy passes on what it got by UDP (§16.11).
      return reliable ? options.t4 : lifetime;
    case "trying":
      return tryingDelay(options);
  }
}

/** Time until the client's Timer E has been set to T2 for the first time (RFC 4320 §4.1). */
function tryingDelay(options: TimerOptions): number {
  let sum = 0;
  for (let expiries = 0; ; expiries++) {
    const interval = retransmissionInterval("E", expiries, options);
    if (interval >= options.t2) return sum;
    sum += interval;
  }
}
