/** Subscriptions of peers that the application has taken (RFC 6665 §4.2), by handle, with limits per peer and in all. */
import { randomToken } from "../foundation/index.js";
import { Dialog } from "../dialog/index.js";
import type { ActionOutcome, HeaderList, SessionServices } from "../session/index.js";
import {
  LEAST_EXPIRES_S,
  LONGEST_EXPIRES_S,
  Notifier,
  type LastState,
  type NotifierOptions,
  type NotifyOptions,
  parseEvent,
} from "../subscription/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { StackEvent } from "./events.js";
import type { ManagedAccount } from "./managed-account.js";

/** Seconds that the subscription of a REFER lives unless the peer prolongs it. */
const REFER_EXPIRES_S = 180;
/** Subscriptions at once: in all, and from one address. */
const MOST_SUBSCRIPTIONS = 2_000;
const MOST_PER_PEER = 200;

export interface PeerSubscriptionsOptions {
  readonly services: SessionServices;
  report(event: StackEvent): void;
  /** See `UserAgentOptions`. */
  readonly lastState?: LastState | undefined;
}

/** What an accepted SUBSCRIBE is answered with. */
export interface SubscribeAnswer {
  readonly statusCode: number;
  readonly headers: HeaderList;
  /** Seconds granted; undefined = refused. */
  readonly granted?: number;
}

export class PeerSubscriptions {
  readonly #options: PeerSubscriptionsOptions;
  readonly #notifiers = new Map<string, Notifier>();
  readonly #perPeer = new Map<string, number>();

  constructor(options: PeerSubscriptionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#notifiers.size;
  }

  /**
   * What the stack answers to a SUBSCRIBE that the application wants.
   *
   * @param longest - Seconds that the application grants at most.
   */
  answer({ request, flow }: ServerTransaction, longest = LONGEST_EXPIRES_S): SubscribeAnswer {
    const asked = request.seconds("expires") ?? LONGEST_EXPIRES_S;
    if (asked > 0 && asked < LEAST_EXPIRES_S) {
      return { statusCode: 423, headers: [["Min-Expires", String(LEAST_EXPIRES_S)]] };
    }
    const peer = request.source?.address ?? flow.remoteAddress;
    const isFull =
      this.#notifiers.size >= MOST_SUBSCRIPTIONS || (this.#perPeer.get(peer) ?? 0) >= MOST_PER_PEER;
    if (isFull) return { statusCode: 503, headers: [["Retry-After", "60"]] };
    const granted = Math.min(asked, Math.max(0, Math.floor(longest)));
    return { statusCode: 200, headers: [["Expires", String(granted)]], granted };
  }

  /**
   * Begins the subscription whose 2xx was sent with `transaction.localTag`. @returns its handle; undefined when there is
   * no room for its dialog.
   */
  accepted(
    transaction: ServerTransaction,
    account: ManagedAccount | undefined,
    granted: number,
    longest = LONGEST_EXPIRES_S,
  ): string | undefined {
    const event = parseEvent(transaction.request.headers.get("event"));
    if (event === undefined) return undefined;
    return this.#begin(transaction, account, { event, expires: granted, longest });
  }

  /** Begins the subscription that a REFER implies (RFC 3515 §2.4.4); as `accepted`. */
  referred(
    transaction: ServerTransaction,
    account: ManagedAccount | undefined,
  ): string | undefined {
    return this.#begin(transaction, account, {
      event: { eventPackage: "refer", id: undefined },
      // The peer may name it by the number of its REFER (§2.4.6).
      otherId: String(transaction.request.cseq.sequence),
      expires: REFER_EXPIRES_S,
      longest: LONGEST_EXPIRES_S,
    });
  }

  #begin(
    transaction: ServerTransaction,
    account: ManagedAccount | undefined,
    terms: Pick<NotifierOptions, "event" | "otherId" | "expires" | "longest">,
  ): string | undefined {
    const { services } = this.#options;
    const { request, flow, localTag } = transaction;
    const { eventPackage } = terms.event;
    const dialog = Dialog.fromRequest(request, localTag);
    dialog.confirm();
    const handle = randomToken(services.random, 26);
    const peer = request.source?.address ?? flow.remoteAddress;
    const notifier = new Notifier(services, {
      subscribe: request,
      dialog,
      flow,
      account,
      ...terms,
      lastState: this.#options.lastState,
      onEnd: (end) => {
        this.#notifiers.delete(handle);
        const left = (this.#perPeer.get(peer) ?? 1) - 1;
        if (left > 0) this.#perPeer.set(peer, left);
        else this.#perPeer.delete(peer);
        services.dialogs.remove(dialog);
        dialog.terminate();
        this.#options.report({
          name: "subscription-ended",
          accountId: account?.id,
          message: end.message ?? request,
          statusCode: end.message?.statusCode,
          reason: end.reason,
          cause: end.cause,
          subscription: { handle, eventPackage, direction: "incoming" },
        });
      },
    });
    this.#notifiers.set(handle, notifier);
    this.#perPeer.set(peer, (this.#perPeer.get(peer) ?? 0) + 1);
    if (services.dialogs.add(dialog, notifier)) return handle;
    notifier.close();
    return undefined;
  }

  /** Subscriptions to one package. */
  countOf(eventPackage: string): number {
    let count = 0;
    for (const notifier of this.#notifiers.values()) {
      if (notifier.eventPackage === eventPackage) count++;
    }
    return count;
  }

  get(handle: string): Notifier | undefined {
    return this.#notifiers.get(handle);
  }

  /** @returns undefined when there is none of this handle. */
  notify(handle: string, options: NotifyOptions): Promise<ActionOutcome> | undefined {
    return this.#notifiers.get(handle)?.notify(options);
  }

  /** What somebody else knows of a resource, to those who have not been told the same. */
  tell(eventPackage: string, resource: string, state: NotifyOptions): void {
    for (const notifier of [...this.#notifiers.values()]) {
      if (notifier.eventPackage === eventPackage && notifier.resource === resource) {
        notifier.tell(state);
      }
    }
  }

  /** Tells every subscriber that we go, and when to come again. */
  async endAll(): Promise<void> {
    const state = {
      state: "terminated",
      expires: undefined,
      reason: "probation",
      retryAfter: 30,
    };
    const end = { reason: "shutdown", cause: "shutdown", statusCode: 0 } as const;
    await Promise.all([...this.#notifiers.values()].map((one) => one.terminate(state, end)));
  }

  close(): void {
    for (const notifier of [...this.#notifiers.values()]) notifier.close();
  }
}
