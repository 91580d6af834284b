/**
 * UDP ports for tests that need to know exactly which are free: a block of 100 below the ephemeral ports that
 * depends on the process, so that two test runs on one machine do not meet.
 */
const FIRST = 21_000;
const BLOCK = 100;
const BLOCKS = 110;

/** @param offset - 0 to 99, even for an even port. */
export function ownPort(offset: number): number {
  return FIRST + (process.pid % BLOCKS) * BLOCK + offset;
}

/** The first three bytes of a loopback network that no other test run on this machine uses, for example `127.142.7`. */
export function ownNetwork(): string {
  return `127.${100 + (process.pid % 100)}.${Math.floor(process.pid / 100) % 250}`;
}
