/** Header lines of our messages: the stack's own and the application's, which win. */
import type { HeaderList } from "./session-types.js";

/** `base` without the headers that `extra` brings, then `extra`. */
export function mergeHeaders(base: HeaderList, extra: HeaderList | undefined): HeaderList {
  if (extra === undefined || extra.length === 0) return base;
  const replaced = new Set(extra.map(([name]) => name.toLowerCase()));
  return [...base.filter(([name]) => !replaced.has(name.toLowerCase())), ...extra];
}
