/** The order in which SRV and NAPTR records are tried (RFC 2782, RFC 3403 §4.1). Pure, with injected randomness. */
import { randomInteger } from "../foundation/index.js";
import type { RandomSource } from "../foundation/index.js";
import type { NaptrRecord, SrvRecord } from "./transport.js";

/**
 * By priority, lowest first; within one priority drawn by weight, so that over many calls each server gets its
 * share and every server is in the list for failover.
 */
export function orderSrv(records: readonly SrvRecord[], random: RandomSource): SrvRecord[] {
  const priorities = [...new Set(records.map((r) => r.priority))].sort((a, b) => a - b);
  return priorities.flatMap((priority) =>
    drawByWeight(
      records.filter((r) => r.priority === priority),
      random,
    ),
  );
}

/** RFC 2782 "Usage rules": weight 0 goes first in the list, so that it is drawn rarely but not never. */
function drawByWeight(records: readonly SrvRecord[], random: RandomSource): SrvRecord[] {
  const left = [...records].sort((a, b) => Number(a.weight > 0) - Number(b.weight > 0));
  const ordered: SrvRecord[] = [];
  while (left.length > 1) {
    const total = left.reduce((sum, r) => sum + r.weight, 0);
    const drawn = randomInteger(random, total + 1);
    let running = 0;
    const at = left.findIndex((r) => (running += r.weight) >= drawn);
    ordered.push(...left.splice(at, 1));
  }
  return [...ordered, ...left];
}

/** By order, then preference; lowest first. */
export function orderNaptr<R extends NaptrRecord>(records: readonly R[]): R[] {
  return [...records].sort((a, b) => a.order - b.order || a.preference - b.preference);
}
