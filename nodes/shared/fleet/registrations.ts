/**
 * Which instance of a group keeps the registration of each account: who has its lease. The others stand by: they call out
 * through the account along the Service-Route that the keeper has learnt. Who takes over tells the registrar to forget the
 * Contact of its predecessor in the same REGISTER that brings its own.
 */
import { type Account, errorText, type Logger, type StackEvent } from "../../../lib/index.js";
import { parseRecord } from "../sip-fields.js";
import type { Group, Lease } from "./group.js";

/** Kind of the records, and topic of the news that one has changed. */
const KIND = "registration";
const MOST_TEXT = 2_000;

/** The part of the stack that keeps its accounts. */
export interface AccountsOfStack {
  account(id: string): Account | undefined;
}

export class SharedRegistrations {
  /** Of the accounts that are to be registered, while the stack can do it. */
  readonly #leases = new Map<string, Lease>();
  readonly #wanted = new Set<string>();
  readonly #unlisten: readonly (() => void)[];
  #isOpen = false;

  constructor(
    private readonly group: Group,
    private readonly stack: AccountsOfStack,
    private readonly logger: Logger,
    private readonly onStatus: () => void,
  ) {
    this.#unlisten = [
      group.subscribe(KIND, (id) => this.#learn(id)),
      group.onConnection((isConnected) => {
        if (isConnected) for (const id of this.#leases.keys()) this.#learn(id);
        this.onStatus();
      }),
    ];
  }

  /** Leases that are ours. */
  get held(): number {
    let held = 0;
    for (const lease of this.#leases.values()) if (lease.isHeld) held++;
    return held;
  }

  /** May this account send a REGISTER now? */
  isOurs(id: string): boolean {
    return this.#leases.get(id)?.isHeld === true;
  }

  /** Who else keeps the registration of this account; "" = not known. Undefined: we do, or nobody may. */
  standby(id: string): string | undefined {
    const lease = this.#leases.get(id);
    return lease === undefined || lease.isHeld ? undefined : (lease.holder ?? "");
  }

  /** This account is to be registered by one of us. */
  enter(id: string): void {
    this.#wanted.add(id);
    if (this.#isOpen) this.#ask(id);
  }

  /** It is gone, and un-registered. */
  async leave(id: string): Promise<void> {
    this.#wanted.delete(id);
    await this.#giveUp(id);
  }

  /** The stack can register. */
  open(): void {
    this.#isOpen = true;
    for (const id of this.#wanted) this.#ask(id);
  }

  /** It cannot any more, or is not to: another one gets each registration as soon as ours is taken back. */
  shut(): void {
    this.#isOpen = false;
    for (const id of this.#leases.keys()) {
      const state = this.stack.account(id)?.registration.state;
      if (state === undefined || state === "unregistered") void this.#giveUp(id);
    }
  }

  observe(event: StackEvent): void {
    const { accountId: id } = event;
    if (id === undefined || !this.#leases.has(id)) return;
    if (event.name === "registered") {
      const facts = this.stack.account(id)?.learnt;
      if (facts === undefined || !this.isOurs(id)) return;
      this.group.put(KIND, id, JSON.stringify(facts), Math.max(60, event.expires ?? 60));
      this.group.publish(KIND, id);
    } else if (event.name === "unregistered") {
      this.group.remove(KIND, id);
      if (!this.#isOpen) void this.#giveUp(id);
    }
  }

  close(): void {
    for (const unlisten of this.#unlisten) unlisten();
    for (const id of this.#leases.keys()) void this.#giveUp(id);
  }

  #ask(id: string): void {
    if (this.#leases.has(id)) return;
    const lease = this.group.lease(`${KIND}:${id}`, {
      onGained: () => void this.#gained(id, lease),
      onLost: () => {
        if (this.#leases.get(id) !== lease) return;
        this.logger.info(`Another instance keeps the registration of ${id} now.`);
        this.stack.account(id)?.standDown();
        this.#learn(id);
        this.onStatus();
      },
    });
    this.#leases.set(id, lease);
    this.#learn(id);
    this.onStatus();
  }

  async #gained(id: string, lease: Lease): Promise<void> {
    await this.#read(id);
    if (!lease.isHeld || this.#leases.get(id) !== lease || !this.#isOpen) return;
    this.onStatus();
    // How that goes is told by events.
    await this.stack.account(id)?.register();
  }

  async #giveUp(id: string): Promise<void> {
    const lease = this.#leases.get(id);
    this.#leases.delete(id);
    await lease?.release();
    this.onStatus();
  }

  #learn(id: string): void {
    if (this.standby(id) !== undefined) void this.#read(id);
  }

  /** Tells the account what another one has learnt. Without an answer it goes on as if there were nothing. */
  async #read(id: string): Promise<void> {
    try {
      const record = await this.group.get(KIND, id);
      const account = this.stack.account(id);
      if (record === undefined || account === undefined) return;
      if (record.holder === this.group.instance) return;
      const facts = parseFacts(record.value);
      if (facts !== undefined) account.learn(facts);
    } catch (error) {
      this.logger.debug(errorText(error));
    }
  }
}

/** Undefined: not what one of us has written. */
function parseFacts(
  text: string,
): { contact: string; serviceRoute: readonly string[] } | undefined {
  const value = parseRecord(text);
  if (value === undefined || !Array.isArray(value["serviceRoute"])) return undefined;
  const isText = (part: unknown): part is string =>
    typeof part === "string" && part.length <= MOST_TEXT && !/[\r\n\0]/.test(part);
  const { contact } = value;
  if (!isText(contact)) return undefined;
  return { contact, serviceRoute: (value["serviceRoute"] as unknown[]).filter(isText) };
}
