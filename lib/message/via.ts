/** Via (RFC 3261 §20.42, RFC 3581). */
import type { Parameters } from "./params.js";

export class Via {
  constructor(
    /** Upper-case: UDP, TCP, TLS, WS, WSS … */
    readonly protocol: string,
    /** Lower-case; IPv6 in brackets. */
    readonly host: string,
    readonly port: number | undefined,
    readonly parameters: Parameters,
  ) {}

  get branch(): string | undefined {
    return this.parameters.get("branch") ?? undefined;
  }

  /** `host[:port]` as written. */
  get sentBy(): string {
    return this.port === undefined ? this.host : `${this.host}:${this.port}`;
  }

  toString(): string {
    throw new Error("pending");
  }
}

/** One Via value or a comma-separated list. @returns undefined when malformed. */
export function parseVias(_text: string): Via[] | undefined {
  throw new Error("pending");
}
