/** Joins the group of a stack in Redis. */
import type { Clock, Logger } from "../../../lib/index.js";
import type { Group } from "./group.js";
import { readRedisUrl, RedisStore } from "./redis-store.js";
import { SharedGroup } from "./shared-group.js";

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
