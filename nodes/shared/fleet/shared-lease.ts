/**
 * One lease as this member sees it. Who is sure to hold it acts; who was held up (stopped, swapped out) for so long that the
 * others may have taken it for dead does not act again before the store has said whose it is. Without a connection what is
 * held stays held: then nobody else can take it either, unless the cut is only ours.
 */
import type { Lease, LeaseListener } from "./group.js";
import type { LeaseWish } from "./shared-store.js";

export interface LeaseKeeper {
  instance(): string;
  /** This process runs, and has run all the time. */
  isAwake(): boolean;
  isMember(instance: string): boolean;
  release(lease: SharedLease): Promise<void>;
}

export class SharedLease implements Lease {
  #state: "wanted" | "held" | "unsure" | "over" = "wanted";
  #holder: string | undefined;

  constructor(
    readonly name: string,
    private readonly keeper: LeaseKeeper,
    private readonly listener: LeaseListener,
  ) {}

  get isHeld(): boolean {
    return this.#state === "held" && this.keeper.isAwake();
  }

  get holder(): string | undefined {
    return this.#holder;
  }

  /** @param maySettle - false: we have just come (back) and wait for others that may come, too. */
  wish(maySettle: boolean): LeaseWish {
    if (this.#state === "held" || this.#state === "unsure") return "keep";
    if (!maySettle) return "look";
    const holder = this.#holder;
    return holder !== undefined && !this.keeper.isMember(holder) ? "inherit" : "take";
  }

  /** What the store has said. */
  observe(holder: string | undefined): void {
    if (this.#state === "over") return;
    this.#holder = holder;
    const isOurs = holder === this.keeper.instance();
    const before = this.#state;
    this.#state = isOurs ? "held" : "wanted";
    if (isOurs && before !== "held") this.listener.onGained();
    if (!isOurs && before === "held") this.listener.onLost();
  }

  /** This process was held up. */
  doubt(): void {
    if (this.#state !== "held") return;
    this.#state = "unsure";
    this.listener.onLost();
  }

  async release(): Promise<void> {
    const before = this.#state;
    this.#state = "over";
    if (before === "held") this.listener.onLost();
    if (before !== "over") await this.keeper.release(this);
  }
}
