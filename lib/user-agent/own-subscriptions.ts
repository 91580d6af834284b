/** The subscriptions of ours (RFC 6665 §4.1) by handle, and the NOTIFYs that begin their dialogs. */
import { InvalidArgumentError, printable } from "../foundation/index.js";
import { isToken, type SipRequest } from "../message/index.js";
import type { SessionServices } from "../session/index.js";
import { parseEvent, Subscription } from "../subscription/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { StackEvent } from "./events.js";
import type { ManagedAccount } from "./managed-account.js";
import type { SubscribeOptions } from "./options.js";

/** Subscriptions at once. */
const MOST_SUBSCRIPTIONS = 2_000;

export interface OwnSubscriptionsOptions {
  readonly services: SessionServices;
  account(id: string): ManagedAccount | undefined;
  report(event: StackEvent): void;
}

export class OwnSubscriptions {
  readonly #options: OwnSubscriptionsOptions;
  readonly #subscriptions = new Map<string, Subscription>();

  constructor(options: OwnSubscriptionsOptions) {
    this.#options = options;
  }

  get all(): ReadonlyMap<string, Subscription> {
    return this.#subscriptions;
  }

  /** @throws InvalidArgumentError for what cannot be sent. The first SUBSCRIBE goes out in a later turn. */
  subscribe(options: SubscribeOptions): Subscription {
    const { services } = this.#options;
    const account = this.#account(options.account);
    const { expires, headers } = options;
    if (expires !== undefined && !(Number.isFinite(expires) && expires >= 0)) {
      throw new InvalidArgumentError("expires must be a number of seconds from 0 on.", {
        rule: "bad-option",
      });
    }
    if (this.#subscriptions.size >= MOST_SUBSCRIPTIONS) {
      throw new InvalidArgumentError(
        `There are ${MOST_SUBSCRIPTIONS} subscriptions already; end one first.`,
        { rule: "limit" },
      );
    }
    const subscription = new Subscription(
      services,
      {
        target: services.parseTarget(options.to, account),
        account,
        eventPackage: checkedEvent(options.eventPackage),
        accept: options.accept,
        expires: expires === undefined ? undefined : Math.min(Math.ceil(expires), 0xffff_ffff),
        headers,
        resubscribe: options.resubscribe,
      },
      () => this.#subscriptions.delete(subscription.id),
    );
    this.#subscriptions.set(subscription.id, subscription);
    subscription.on("ended", (end) =>
      this.#options.report({
        name: "subscription-ended",
        accountId: account?.id,
        message: end.message,
        statusCode: end.statusCode,
        reason: end.reason,
        cause: end.cause,
        retryAfter: end.retryAfter,
        subscription: {
          handle: subscription.id,
          eventPackage: subscription.eventPackage,
          direction: "outgoing",
        },
      }),
    );
    services.clock.defer(() => subscription.begin());
    return subscription;
  }

  /** Does a request that is in no dialog belong to one of ours? */
  expects(request: SipRequest): boolean {
    return this.#find(request) !== undefined;
  }

  /** @returns false when it does not. */
  receive(transaction: ServerTransaction): boolean {
    const subscription = this.#find(transaction.request);
    subscription?.receiveFirst(transaction);
    return subscription !== undefined;
  }

  /** Tells every notifier; resolves when all are over. */
  async endAll(): Promise<void> {
    await Promise.all([...this.#subscriptions.values()].map((one) => one.unsubscribe()));
  }

  close(): void {
    for (const subscription of [...this.#subscriptions.values()]) subscription.close();
  }

  #find(request: SipRequest): Subscription | undefined {
    if (request.method !== "NOTIFY") return undefined;
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.expects(request)) return subscription;
    }
    return undefined;
  }

  #account(id: string | undefined): ManagedAccount | undefined {
    if (id === undefined) return undefined;
    const account = this.#options.account(id);
    if (account !== undefined) return account;
    throw new InvalidArgumentError(
      "The account of the subscription does not exist in this SIP stack.",
      { rule: "no-account" },
    );
  }
}

/** A package name with parameters, as it goes into the Event header. */
function checkedEvent(text: string): string {
  const event = /[\r\n\0]/.test(text) ? undefined : parseEvent(text);
  if (event !== undefined && isToken(event.eventPackage)) return text;
  throw new InvalidArgumentError(
    `"${printable(text)}" is no event package; write for example presence, dialog or message-summary.`,
    { rule: "bad-option" },
  );
}
