/**
 * A REFER outside of any call that the application takes (RFC 3515 §2.4): 202, the call to Refer-To if it is to be
 * followed, and the NOTIFYs of the implicit subscription, which is one like all others of peers.
 */
import { errorText, type Logger } from "../foundation/index.js";
import {
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
import type { NotifyOptions } from "../subscription/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { DialFilter } from "./dial-filter.js";
import type { ManagedAccount } from "./managed-account.js";
import type { ReferredCallOptions } from "./outgoing-calls.js";
import type { PeerSubscriptions } from "./peer-subscriptions.js";

/** Subscriptions of REFERs at once; a REFER above it is refused. */
const MOST_SUBSCRIPTIONS = 200;

export interface StandaloneRefersOptions {
  readonly logger: Logger;
  readonly dialFilter: DialFilter;
  readonly subscriptions: PeerSubscriptions;
  place(options: ReferredCallOptions): ReferredCall;
}

/** What the subscriber of a REFER is told; a final status is the last word. */
export function referNotify(statusCode: number, reason?: string): NotifyOptions {
  return {
    state:
      statusCode < 200
        ? undefined
        : { state: "terminated", expires: undefined, reason: "noresource" },
    contentType: "message/sipfrag;version=2.0",
    body: formatSipFragment(statusCode, reason),
  };
}

/** The one Refer-To of a REFER, if it can be dialled at all. */
export function referTargetOf(refer: SipRequest): ReferTarget | undefined {
  const values = refer.headers.getAll("refer-to");
  return values.length === 1 ? parseReferTarget(values[0]) : undefined;
}

export class StandaloneRefers {
  readonly #options: StandaloneRefersOptions;

  constructor(options: StandaloneRefersOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#options.subscriptions.countOf("refer");
  }

  /** May this REFER be followed, or taken at all? @returns the status of the refusal. */
  refusal(target: ReferTarget, follow: boolean): 403 | 503 | undefined {
    if (this.size >= MOST_SUBSCRIPTIONS) return 503;
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
    const { subscriptions } = this.#options;
    const handle = wantsNoNotify(transaction.request)
      ? undefined
      : subscriptions.referred(transaction, account);
    const tell = (statusCode: number, reason?: string): void => {
      if (handle !== undefined) void subscriptions.notify(handle, referNotify(statusCode, reason));
    };
    tell(100, "Trying");
    if (follow) return this.#follow(transaction, target, account, tell);
    return Promise.resolve(handle === undefined ? answer : { ...answer, subscription: handle });
  }

  #follow(
    { request: refer, flow }: ServerTransaction,
    target: ReferTarget,
    account: ManagedAccount | undefined,
    tell: (statusCode: number, reason?: string) => void,
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
      tell(503);
      return Promise.resolve({ ok: false, cause: "unavailable", statusCode: 503 });
    }
    let last = 100;
    return new Promise((resolve) => {
      call.onProgress((statusCode, reason, cause) => {
        const told = toldStatus(statusCode, cause);
        if (told !== last) tell(told, reason === "" ? undefined : reason);
        last = told;
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
