/** name-addr and addr-spec with header parameters: From, To, Contact, Route, Refer-To … (RFC 3261 §20.10, §25.1). */
import type { Parameters } from "./params.js";
import type { Uri } from "./uri.js";

export class NameAddr {
  constructor(
    readonly uri: Uri,
    /** Unquoted and unescaped. */
    readonly displayName?: string,
    readonly parameters: Parameters = new Map(),
  ) {}

  get tag(): string | undefined {
    return this.parameters.get("tag") ?? undefined;
  }

  /** `"Display" <uri>;parameters`, quoted and escaped as needed; always with angle brackets. */
  toString(): string {
    throw new Error("pending");
  }
}

/** Exactly one address. @returns undefined when malformed. */
export function parseNameAddr(_text: string): NameAddr | undefined {
  throw new Error("pending");
}

/** A comma-separated list; `*` gives an empty list (see `isStarContact`). @returns undefined when malformed. */
export function parseNameAddrList(_text: string): NameAddr[] | undefined {
  throw new Error("pending");
}
