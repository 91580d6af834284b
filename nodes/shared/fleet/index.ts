/** What the rest of the nodes takes from the fleet: the group of a stack. */
import { type Clock, type Logger } from "../../../lib/index.js";
import type { Group } from "./group.js";
import { readRedisUrl, RedisStore } from "./redis-store.js";
import { SharedGroup } from "./shared-group.js";

export { type Group, type Lease, SharedStateError } from "./group.js";
export { SharedCalls } from "./shared-calls.js";
export { SharedPresence } from "./shared-presence.js";
export { SharedLimits } from "./shared-limits.js";
export { SharedRegistrations } from "./registrations.js";

export interface GroupSettings {
  /** `redis://…`; checked by `checkSharedState`. */
  readonly url: string;
  /** The same at all members. */
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** @throws InvalidArgumentError `bad-stack`. */
export function checkSharedState(url: string): void {
  readRedisUrl(url);
}

/** Joins a group; connects by itself, and again when the connection is lost. @throws InvalidArgumentError `bad-stack`. */
export function openGroup({ url, name, clock, logger }: GroupSettings): Group {
  const place = readRedisUrl(url);
  return new SharedGroup({
    clock,
    logger,
    openStore: (events) => new RedisStore(place, name, events),
  });
}
