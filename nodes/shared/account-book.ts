/**
 * The accounts of one stack. A deploy closes and remakes every `sip-account` node; an account whose settings are
 * the same afterwards keeps its registration, a changed one is un-registered and registered anew.
 */
import { createHash } from "node:crypto";
import {
  type Account,
  type AccountOptions,
  errorText,
  printable,
  type Logger,
  type RegistrationStatus,
  type StackEvent,
} from "../../lib/index.js";
import type { UserAgentPort } from "./environment.js";
import type { SharedRegistrations } from "./fleet/index.js";

export interface AccountSettings {
  readonly options: AccountOptions;
}

export interface AccountEntry {
  readonly options: AccountOptions;
  readonly fingerprint: string;
  /** A node for it exists. */
  claimed: boolean;
  /** The user agent does not take it: why, in words. */
  problem: string | undefined;
  /** Its settings could not even be read. */
  readonly refused?: true;
  /** From the last stack event, for the words of a failure. */
  lastFailure: StackEvent | undefined;
}

/** Two equal ones = the same settings. A hash, because the password goes into it. */
export function accountFingerprint(options: AccountOptions): string {
  return createHash("sha256").update(JSON.stringify(options)).digest("hex");
}

export class AccountBook {
  readonly #entries = new Map<string, AccountEntry>();
  /** Removals under way, per account; a new registration waits for them. */
  readonly #leaving = new Map<string, Promise<void>>();
  #userAgent: UserAgentPort | undefined;

  constructor(
    private readonly logger: Logger,
    private readonly onStatus: () => void,
    /** Who registers what, among the instances of a group. */
    private readonly shared?: SharedRegistrations,
  ) {}

  entry(id: string): AccountEntry | undefined {
    return this.#entries.get(id);
  }

  entries(): IterableIterator<AccountEntry> {
    return this.#entries.values();
  }

  registration(id: string): RegistrationStatus | undefined {
    return this.#userAgent?.accounts.get(id)?.registration;
  }

  /** Seconds until the account registers anew, while it is registered. */
  refreshIn(id: string): number | undefined {
    return this.#userAgent?.accounts.get(id)?.refreshIn;
  }

  /** A `sip-account` node exists with these settings. */
  claim({ options }: AccountSettings): AccountEntry {
    const fingerprint = accountFingerprint(options);
    const existing = this.#entries.get(options.id);
    if (existing?.fingerprint === fingerprint) {
      existing.claimed = true;
      return existing;
    }
    if (existing !== undefined) void this.#leave(existing);
    const entry: AccountEntry = {
      options,
      fingerprint,
      claimed: true,
      problem: undefined,
      lastFailure: undefined,
    };
    this.#entries.set(options.id, entry);
    this.#enter(entry);
    return entry;
  }

  /** A `sip-account` node exists, but its settings are wrong: who uses it learns why. */
  refuse(id: string, uri: string, problem: string): void {
    const existing = this.#entries.get(id);
    if (existing !== undefined) void this.#leave(existing);
    this.#entries.set(id, {
      options: { id, uri, register: false },
      fingerprint: "",
      claimed: true,
      problem,
      lastFailure: undefined,
      refused: true,
    });
    this.onStatus();
  }

  /** Its node was closed; a deploy may bring it back. */
  release(id: string): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) entry.claimed = false;
  }

  /** Its node was deleted or disabled. Resolves when it is un-registered (bounded). */
  remove(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return Promise.resolve();
    this.#entries.delete(id);
    return this.#leave(entry);
  }

  removeUnclaimed(): void {
    for (const entry of [...this.#entries.values()]) {
      if (!entry.claimed) void this.remove(entry.options.id);
    }
  }

  observe(event: StackEvent): void {
    this.shared?.observe(event);
    const entry = event.accountId === undefined ? undefined : this.#entries.get(event.accountId);
    if (entry === undefined) return;
    if (event.name === "registration-failed") entry.lastFailure = event;
    else if (event.name === "registered") entry.lastFailure = undefined;
  }

  attach(userAgent: UserAgentPort): void {
    this.#userAgent = userAgent;
    for (const entry of this.#entries.values()) this.#enter(entry);
  }

  detach(): void {
    this.#userAgent = undefined;
    this.shared?.shut();
  }

  account(id: string): Account | undefined {
    return this.#userAgent?.accounts.get(id);
  }

  /** Name of the instance that keeps the registration of this account in our place, "" = not known yet. */
  standby(id: string): string | undefined {
    return this.shared?.standby(id);
  }

  #enter(entry: AccountEntry): void {
    if (entry.refused) return;
    const { id } = entry.options;
    const leaving = this.#leaving.get(id);
    if (leaving !== undefined) {
      void leaving.then(() => {
        if (this.#entries.get(id) === entry) this.#enter(entry);
      });
      return;
    }
    const userAgent = this.#userAgent;
    if (userAgent === undefined || userAgent.accounts.has(id)) return;
    try {
      const isShared = this.shared !== undefined && entry.options.register !== false;
      const mayRegister = (): boolean => this.shared?.isOurs(id) !== false;
      userAgent.addAccount(
        isShared ? { ...entry.options, register: false, mayRegister } : entry.options,
      );
      if (isShared) this.shared.enter(id);
      entry.problem = undefined;
    } catch (error) {
      entry.problem = errorText(error);
      this.logger.error(`Account ${printable(entry.options.uri)}: ${entry.problem}`);
    }
    this.onStatus();
  }

  #leave(entry: AccountEntry): Promise<void> {
    const { id } = entry.options;
    const userAgent = this.#userAgent;
    if (userAgent?.accounts.has(id) !== true) return this.shared?.leave(id) ?? Promise.resolve();
    const left = userAgent
      .removeAccount(id)
      .catch((error: unknown) => this.logger.warn(errorText(error)))
      .then(() => {
        this.#leaving.delete(id);
        this.onStatus();
        return this.shared?.leave(id);
      });
    this.#leaving.set(id, left);
    return left;
  }
}
