/** The 48-bit number of a packet: its sequence number and how often that has wrapped (RFC 3711 §3.3.1). */

const CYCLE = 0x1_0000;
const HALF = CYCLE / 2;

/**
 * The number that is nearest to the highest one so far.
 *
 * @returns a negative number for a packet from before the beginning.
 */
export function packetIndex(highest: number, sequenceNumber: number): number {
  const cycle = highest - (highest % CYCLE);
  const distance = sequenceNumber - (highest - cycle);
  if (distance > HALF) return cycle - CYCLE + sequenceNumber;
  return (distance < -HALF ? cycle + CYCLE : cycle) + sequenceNumber;
}

/** How often the sequence number had wrapped. */
export function rolloverCounter(index: number): number {
  return Math.floor(index / CYCLE);
}
