/** host and hostport (RFC 3261 §25.1), IPv6 references (RFC 5118), ports. */
import { CHARACTER_CLASS, CODE, isOf, parseDecimal, skipClass } from "./grammar.js";

const { HEX_DIGIT, HOST } = CHARACTER_CLASS;
const { OPEN_BRACKET } = CODE;

/**
 * Index behind the host name, IPv4 address or IPv6 reference that starts at `position`, or -1 when there is
 * none. Spaces are not skipped.
 */
export function skipHost(text: string, position: number): number {
  if (text.charCodeAt(position) === OPEN_BRACKET) {
    const close = text.indexOf("]", position);
    if (close < 0 || !isIPv6(text.slice(position + 1, close))) return -1;
    return close + 1;
  }
  const end = skipClass(text, position, HOST);
  return end > position ? end : -1;
}

/**
 * A host out of a text, in lower case; of `[2001:db8:::192.0.2.1]`, which the grammar of RFC 3261 allowed by
 * mistake, the usual form (RFC 5118 §4.10).
 */
export function hostOf(text: string, start: number, end: number): string {
  const host = text.slice(start, end);
  if (text.charCodeAt(start) === OPEN_BRACKET) return host.toLowerCase().replace(":::", "::");
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code >= 65 && code <= 90) return host.toLowerCase();
  }
  return host;
}

/**
 * An IPv6 address without brackets or zone. Accepts three colons in front of an IPv4 part (RFC 5118 §4.10).
 */
export function isIPv6(text: string): boolean {
  if (text.length < 2 || text.length > 46) return false;
  let groups = text.split(":");
  const last = groups.at(-1) as string;
  let wanted = 8;
  if (last.includes(".")) {
    if (!isIPv4(last)) return false;
    groups = groups.slice(0, -1);
    wanted = 6;
    const tail = groups.slice(-2);
    if (groups.length > 2 && tail[0] === "" && tail[1] === "") groups = groups.slice(0, -1);
    if (groups.at(-1) === "") groups.push("");
  }
  return isGroupList(groups, wanted);
}

/** Groups of 1-4 hexadecimal digits with at most one gap (`::`), `wanted` of them in all. */
function isGroupList(groups: readonly string[], wanted: number): boolean {
  let filled = 0;
  let gap = false;
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i];
    if (group.length > 4) return false;
    if (group.length > 0) {
      for (let k = 0; k < group.length; k++)
        if (!isOf(group.charCodeAt(k), HEX_DIGIT)) return false;
      filled++;
      continue;
    }
    const first = i === 0;
    const final = i === groups.length - 1;
    if (first) {
      if (groups[1] !== "") return false;
    } else if (final) {
      if (groups[i - 1] !== "") return false;
    } else if (gap) return false;
    else gap = true;
  }
  return gap ? filled < wanted : filled === wanted;
}

/** Four decimal numbers up to 255. */
export function isIPv4(text: string): boolean {
  const parts = text.split(".");
  return (
    parts.length === 4 &&
    parts.every((part) => part.length <= 3 && parseDecimal(part, 255) !== undefined)
  );
}
