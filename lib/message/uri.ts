/** SIP, SIPS, tel and other URIs (RFC 3261 §19.1, §25.1; RFC 3966). */
import type { Parameters } from "./params.js";

export class SipUri {
  constructor(
    readonly scheme: "sip" | "sips",
    /** As on the wire, escapes kept; undefined when absent. */
    readonly user: string | undefined,
    /** Lower-case; IPv6 in brackets. */
    readonly host: string,
    readonly port?: number,
    readonly parameters: Parameters = new Map(),
    readonly headers: Parameters = new Map(),
    readonly password?: string,
  ) {}

  /** The user part with %-escapes decoded, or "" when absent. */
  get decodedUser(): string {
    throw new Error("pending");
  }

  /** `transport` parameter, lower-case. */
  get transport(): string | undefined {
    throw new Error("pending");
  }

  /** True for a loose router (`lr`). */
  get isLooseRouter(): boolean {
    return this.parameters.has("lr");
  }

  /** A copy with some parts replaced. */
  with(_change: {
    scheme?: "sip" | "sips";
    user?: string | undefined;
    host?: string;
    port?: number | undefined;
    parameters?: Parameters;
    headers?: Parameters;
  }): SipUri {
    throw new Error("pending");
  }

  toString(): string {
    throw new Error("pending");
  }
}

export class TelUri {
  readonly scheme = "tel";
  constructor(
    readonly number: string,
    readonly parameters: Parameters = new Map(),
  ) {}

  toString(): string {
    throw new Error("pending");
  }
}

/** A URI of a scheme that we do not dial, kept as text. */
export class OtherUri {
  constructor(
    readonly scheme: string,
    readonly text: string,
  ) {}

  toString(): string {
    return this.text;
  }
}

export type Uri = SipUri | TelUri | OtherUri;

/** @returns undefined when the text is no URI. Never throws. */
export function parseUri(_text: string): Uri | undefined {
  throw new Error("pending");
}

/** Equivalence of RFC 3261 §19.1.4. */
export function sameUri(_a: Uri, _b: Uri): boolean {
  throw new Error("pending");
}
