/**
 * A REFER outside of any call that the application takes (RFC 3515 §2.4): 202, the call to Refer-To if it is to be
 * followed, and the NOTIFYs of the implicit subscription, one at a time, in a dialog of its own.
 */
import {
  errorText,
  randomToken,
  type Clock,
  type Logger,
  type RandomSource,
  type Timer,
} from "../foundation/index.js";
import { Dialog, type DialogStore, type DialogUser } from "../dialog/index.js";
import {
  createResponse,
  formatSipFragment,
  parseReferTarget,
  type ReferTarget,
  type SipRequest,
} from "../message/index.js";
import {
  causeOfStatus,
  dialableTarget,
  toldStatus,
  wantsNoNotify,
  type ActionOutcome,
  type ReferredCall,
} from "../session/index.js";
import { formatEvent, formatSubscriptionState } from "../subscription/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { Flow } from "../transport/transport.js";
import type { DialFilter } from "./dial-filter.js";
import type { ManagedAccount } from "./managed-account.js";
import type { ReferredCallOptions } from "./outgoing-calls.js";
import type { UserAgentClient } from "./user-agent-client.js";

/** Seconds that the subscription of an accepted REFER lives. */
const EXPIRES = 180;
/** Subscriptions at once; a REFER above it is refused. */
const MOST_SUBSCRIPTIONS = 200;
const EVENT = formatEvent({ eventPackage: "refer", id: undefined });

export interface StandaloneRefersOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly dialogs: DialogStore;
  readonly dialFilter: DialFilter;
  client(): UserAgentClient;
  contact(flow: Flow, account: ManagedAccount | undefined): string;
  place(options: ReferredCallOptions): ReferredCall;
}

/** The one Refer-To of a REFER, if it can be dialled at all. */
export function referTargetOf(refer: SipRequest): ReferTarget | undefined {
  const values = refer.headers.getAll("refer-to");
  return values.length === 1 ? parseReferTarget(values[0]) : undefined;
}

export class StandaloneRefers {
  readonly #options: StandaloneRefersOptions;
  readonly #subscriptions = new Map<string, ReferSubscription>();

  constructor(options: StandaloneRefersOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#subscriptions.size;
  }

  /** May this REFER be followed, or taken at all? @returns the status of the refusal. */
  refusal(target: ReferTarget, follow: boolean): 403 | 503 | undefined {
    if (this.#subscriptions.size >= MOST_SUBSCRIPTIONS) return 503;
    const mayCall = target.method === "INVITE" && this.#options.dialFilter.permits(target.uri);
    return follow && !mayCall ? 403 : undefined;
  }

  /**
   * Goes on after the 202 was sent with `transaction.localTag`. With `follow` it resolves when the new call is up or
   * has failed, else at once, with the handle for `notify`.
   */
  accepted(
    transaction: ServerTransaction,
    target: ReferTarget,
    account: ManagedAccount | undefined,
    follow: boolean,
    answer: ActionOutcome & { readonly ok: true },
  ): Promise<ActionOutcome> {
    if (wantsNoNotify(transaction.request)) {
      return follow
        ? this.#follow(transaction, target, account, undefined)
        : Promise.resolve(answer);
    }
    const handle = randomToken(this.#options.random, 26);
    const subscription = new ReferSubscription(this.#options, transaction, account, () =>
      this.#subscriptions.delete(handle),
    );
    this.#subscriptions.set(handle, subscription);
    subscription.notify(100, "Trying");
    if (!follow) return Promise.resolve({ ...answer, subscription: handle });
    return this.#follow(transaction, target, account, subscription);
  }

  has(handle: string): boolean {
    return this.#subscriptions.has(handle);
  }

  /** How the application's own call goes. @returns false when the subscription is over. */
  notify(handle: string, statusCode: number, reason?: string): boolean {
    const subscription = this.#subscriptions.get(handle);
    subscription?.notify(statusCode, reason);
    return subscription !== undefined;
  }

  close(): void {
    for (const subscription of [...this.#subscriptions.values()]) subscription.close();
  }

  #follow(
    { request: refer, flow }: ServerTransaction,
    target: ReferTarget,
    account: ManagedAccount | undefined,
    subscription: ReferSubscription | undefined,
  ): Promise<ActionOutcome> {
    let call: ReferredCall;
    try {
      call = this.#options.place({
        referTo: dialableTarget(target),
        namedBy: flow,
        referredBy: refer.headers.get("referred-by"),
        accountId: account?.id,
      });
    } catch (error) {
      this.#options.logger.info(`A REFER was not followed: ${errorText(error)}`);
      subscription?.notify(503);
      return Promise.resolve({ ok: false, cause: "unavailable", statusCode: 503 });
    }
    return new Promise((resolve) => {
      call.onProgress((statusCode, reason, cause) => {
        const told = toldStatus(statusCode, cause);
        subscription?.notify(told, reason === "" ? undefined : reason);
        if (statusCode >= 200 && statusCode < 300) {
          resolve({ ok: true, statusCode, reason, newSession: call.session });
        } else if (statusCode === 0 || statusCode >= 300) {
          const why = statusCode === 0 ? (cause ?? "timeout") : causeOfStatus(statusCode);
          resolve({ ok: false, cause: why, statusCode, reason });
        }
      });
    });
  }
}

/** The dialog and the queue of NOTIFYs of one accepted REFER. */
class ReferSubscription implements DialogUser {
  readonly #options: StandaloneRefersOptions;
  readonly #dialog: Dialog;
  readonly #flow: Flow;
  readonly #account: ManagedAccount | undefined;
  readonly #onEnd: () => void;
  readonly #expiresAt: number;
  readonly #expiry: Timer;
  readonly #queue: { readonly statusCode: number; readonly reason: string | undefined }[] = [];
  #lastStatus = 0;
  #state: "idle" | "sending" | "ended" = "idle";

  constructor(
    options: StandaloneRefersOptions,
    transaction: ServerTransaction,
    account: ManagedAccount | undefined,
    onEnd: () => void,
  ) {
    this.#options = options;
    this.#account = account;
    this.#onEnd = onEnd;
    this.#flow = transaction.flow;
    this.#dialog = Dialog.fromRequest(transaction.request, transaction.localTag);
    this.#dialog.confirm();
    options.dialogs.add(this.#dialog, this);
    this.#expiresAt = options.clock.now() + EXPIRES * 1000;
    this.#expiry = options.clock.setTimer(EXPIRES * 1000, () => this.close());
  }

  /** A final status ends the subscription once it is told. */
  notify(statusCode: number, reason?: string): void {
    if (this.#state === "ended" || this.#lastStatus >= 200 || statusCode === this.#lastStatus)
      return;
    this.#lastStatus = statusCode;
    this.#queue.push({ statusCode, reason });
    this.#next();
  }

  #next(): void {
    if (this.#state !== "idle") return;
    const notification = this.#queue.shift();
    if (notification === undefined) {
      if (this.#lastStatus >= 200) this.close();
      return;
    }
    this.#state = "sending";
    const { statusCode, reason } = notification;
    const left = Math.max(0, Math.ceil((this.#expiresAt - this.#options.clock.now()) / 1000));
    const state =
      statusCode < 200
        ? { state: "active", expires: left, reason: undefined }
        : { state: "terminated", expires: undefined, reason: "noresource" };
    this.#options.client().start({
      nextHop: this.#dialog.nextHop,
      account: this.#account,
      preferredFlow: this.#flow,
      inDialog: true,
      nextSequence: () => this.#dialog.nextSequence(),
      build: (flow) =>
        this.#dialog.createRequest({
          method: "NOTIFY",
          contact: this.#options.contact(flow, this.#account),
          headers: [
            ["Event", EVENT],
            ["Subscription-State", formatSubscriptionState(state)],
          ],
          contentType: "message/sipfrag;version=2.0",
          body: formatSipFragment(statusCode, reason),
        }),
      onResponse: ({ statusCode: answer }) => {
        if (answer >= 200) this.#sent(answer < 300);
      },
      onFailure: () => this.#sent(false),
    });
  }

  /** The first NOTIFY that the peer refuses is the last. */
  #sent(taken: boolean): void {
    if (this.#state === "ended") return;
    this.#state = "idle";
    if (taken) this.#next();
    else this.close();
  }

  /** A SUBSCRIBE here refreshes or ends what we end by ourselves (RFC 6665 §4.2.1): refused like all else. */
  onDialogRequest(transaction: ServerTransaction): void {
    const toTag = this.#dialog.id.localTag;
    transaction.respond(createResponse(transaction.request, { statusCode: 481, toTag }));
  }

  onDialogAck(): void {
    // There is no INVITE in this dialog.
  }

  close(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#queue.length = 0;
    this.#expiry.cancel();
    this.#options.dialogs.remove(this.#dialog);
    this.#dialog.terminate();
    this.#onEnd();
  }
}
