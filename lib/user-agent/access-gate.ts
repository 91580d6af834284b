/**
 * Who may send us requests, and whose identity headers count (contract §2 "Whom we trust, what we dial"):
 * one gate for all methods, by source address.
 */
import type { Clock } from "../foundation/index.js";
import { AddressList, LOCAL_NETWORKS } from "./address-list.js";
import { RateLimit } from "./rate-limit.js";

/** Refusals that one source is told per second; more are silence. */
const REFUSALS_PER_SECOND = 2;
const REFUSAL_BURST = 10;
/** Refusals to all sources together: forged addresses must not make us one who floods others. */
const ALL_REFUSALS_PER_SECOND = 100;
const ALL_REFUSALS_BURST = 200;
const ALL = "*";

export type GateVerdict = "pass" | "refuse" | "ignore";

export interface AccessGateOptions {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly trusted: readonly string[];
  readonly clock: Clock;
  /** Is this the address of a registrar or proxy of one of our accounts? */
  isOwnServer(address: string): boolean;
}

export class AccessGate {
  readonly #allow: AddressList;
  readonly #deny: AddressList;
  readonly #trusted: AddressList;
  readonly #isOwnServer: (address: string) => boolean;
  readonly #refusals: RateLimit;
  readonly #allRefusals: RateLimit;

  /** @throws InvalidArgumentError for an entry that is no network. */
  constructor(options: AccessGateOptions) {
    this.#allow = new AddressList(options.allow);
    this.#deny = new AddressList(options.deny);
    this.#trusted = new AddressList(options.trusted);
    this.#isOwnServer = (address) => options.isOwnServer(address);
    const { clock } = options;
    this.#refusals = new RateLimit(clock, REFUSALS_PER_SECOND, REFUSAL_BURST);
    this.#allRefusals = new RateLimit(clock, ALL_REFUSALS_PER_SECOND, ALL_REFUSALS_BURST);
  }

  /** `deny` wins over `allow`; an empty `allow` means local networks and the accounts' own servers. */
  isAllowed(address: string): boolean {
    if (!this.#deny.isEmpty && this.#deny.includes(address)) return false;
    if (!this.#allow.isEmpty) return this.#allow.includes(address);
    return LOCAL_NETWORKS.includes(address) || this.#isOwnServer(address);
  }

  /** As `isAllowed`, with the verdict whether a refused source still gets its 403. */
  check(address: string): GateVerdict {
    if (this.isAllowed(address)) return "pass";
    return this.#refusals.take(address) && this.#allRefusals.take(ALL) ? "refuse" : "ignore";
  }

  /** Milliseconds for which a source that was told often enough hears nothing, 0 = it is told again. */
  silenceOf(address: string): number {
    return this.#refusals.waitOf(address);
  }

  /** May this source assert an identity (RFC 3325 trust domain)? */
  isTrusted(address: string): boolean {
    return this.#trusted.isEmpty ? this.#isOwnServer(address) : this.#trusted.includes(address);
  }
}
