/** Whom flows may want to call: our accounts, and whom we have called and who has called us lately (admin, bounded). */
import { printable, type SessionEvent } from "../../lib/index.js";
import type { Engine } from "./engine.js";

export interface SuggestedTarget {
  readonly uri: string;
  readonly name?: string;
  readonly kind: "account" | "called" | "caller";
}

const MOST = 50;
/** An address that is longer is nobody's. */
const LONGEST_URI = 200;
const LONGEST_NAME = 60;

/** Newest last. */
const recent = new Map<string, SuggestedTarget>();

/** Called for every event of a call. */
export function rememberTarget({ name, snapshot }: SessionEvent): void {
  if (name !== "incoming" && name !== "inviting") return;
  const { uri, displayName } = snapshot.remote;
  if (uri === "" || uri.length > LONGEST_URI || /[\s<>"]|anonymous/i.test(uri)) return;
  recent.delete(uri);
  recent.set(uri, {
    uri: printable(uri, 2 * LONGEST_URI),
    ...(displayName === undefined ? {} : { name: printable(displayName, LONGEST_NAME) }),
    kind: name === "incoming" ? "caller" : "called",
  });
  const [oldest] = recent.keys();
  if (recent.size > MOST && oldest !== undefined) recent.delete(oldest);
}

/** Accounts first, then the newest. At most 50 in all. */
export function suggestedTargets(engines: Iterable<Engine>): SuggestedTarget[] {
  const accounts = [...engines].flatMap(({ accounts: book }) =>
    [...book.entries()].map(({ options }): SuggestedTarget => ({
      uri: printable(options.uri, 2 * LONGEST_URI),
      ...(options.displayName === undefined ? {} : { name: options.displayName }),
      kind: "account",
    })),
  );
  const known = new Set(accounts.map(({ uri }) => uri));
  const others = [...recent.values()].reverse().filter(({ uri }) => !known.has(uri));
  return [...accounts, ...others].slice(0, MOST);
}

/** For tests. */
export function forgetTargets(): void {
  recent.clear();
}
