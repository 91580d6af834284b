/** Event: the package and id of a subscription (RFC 6665 §8.2.1). */
import { parseParameters } from "../message/index.js";

export interface EventHeader {
  /** Lower-case. */
  readonly eventPackage: string;
  readonly id: string | undefined;
}

/** @returns undefined when absent or empty. */
export function parseEvent(value: string | undefined): EventHeader | undefined {
  if (value === undefined) return undefined;
  const semicolon = value.indexOf(";");
  const name = (semicolon < 0 ? value : value.slice(0, semicolon)).trim().toLowerCase();
  if (name === "") return undefined;
  const parameters = semicolon < 0 ? undefined : parseParameters(value.slice(semicolon));
  return { eventPackage: name, id: parameters?.get("id") ?? undefined };
}

export function formatEvent(event: EventHeader): string {
  return event.id === undefined ? event.eventPackage : `${event.eventPackage};id=${event.id}`;
}
