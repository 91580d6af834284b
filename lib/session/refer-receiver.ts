/**
 * A peer asks us to call somebody else: REFER in the session (RFC 3515 §2.4). Declined unless the application takes
 * it, by following it (we place the call and report) or by calling itself.
 */
import { errorText } from "../foundation/index.js";
import {
  NameAddr,
  SipUri,
  TelUri,
  parseReferTarget,
  parseUri,
  type ReferTarget,
} from "../message/index.js";
import { parseEvent } from "../subscription/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import { causeOfStatus, toldStatus } from "./cause.js";
import { answerHeld, holdRequest } from "./held-request.js";
import { NO_REQUEST } from "./outcomes.js";
import { ReferNotifier } from "./refer-notifier.js";
import { NO_REFER_SUBSCRIPTION, dialableTarget, wantsNoNotify } from "./replacement.js";
import { leadsTo } from "./redirect.js";
import { SessionCore } from "./session-core.js";
import type { ReferredCall } from "./session-services.js";
import type { AcceptRequestOptions, ActionOutcome, RejectOptions } from "./session-types.js";

/** Calls that one session may make us place at the same time, and in all. */
const MOST_FOLLOWED = 4;
const MOST_EVER_FOLLOWED = 20;
/** Subscriptions of one session that the application reports for. */
const MOST_SUBSCRIPTIONS = 8;

export class ReferReceiver {
  readonly #core: SessionCore;
  /** Those that the application reports for, by handle. */
  readonly #subscriptions = new Map<string, ReferNotifier>();
  /** Those of followed calls too; both kinds are limited. */
  readonly #live = new Set<ReferNotifier>();
  #received = 0;
  /** Followed calls that are neither up nor lost yet. */
  #followed = 0;
  #everFollowed = 0;

  constructor(core: SessionCore) {
    this.#core = core;
  }

  receive(transaction: ServerTransaction): void {
    const core = this.#core;
    const values = transaction.request.headers.getAll("refer-to");
    const target = values.length === 1 ? parseReferTarget(values[0]) : undefined;
    if (target === undefined) {
      core.reply(transaction, 400, { reason: "Missing or Malformed Refer-To" });
      return;
    }
    if (!(target.uri instanceof SipUri || target.uri instanceof TelUri)) {
      core.reply(transaction, 603);
      return;
    }
    this.#received++;
    const isFirst = this.#received === 1;
    holdRequest(core, {
      transaction,
      eventName: "refer",
      fields: { referTo: target.uri.toString() },
      accept: (options) => this.#accept(transaction, target, isFirst, options),
      reject: (options) => Promise.resolve(this.#reject(transaction, options)),
      fallback: () => void core.reply(transaction, 603),
    });
  }

  has(subscription: string): boolean {
    return this.#subscriptions.has(subscription);
  }

  /** Seconds that are left of it. */
  expiresOf(subscription: string): number | undefined {
    return this.#subscriptions.get(subscription)?.expires;
  }

  /**
   * The application reports how its call goes. Resolves with the peer's answer to the NOTIFY; `no-request` when the
   * subscription is over.
   */
  notify(subscription: string, statusCode: number, reason?: string): Promise<ActionOutcome> {
    const notifier = this.#subscriptions.get(subscription);
    return notifier?.tell(statusCode, reason) ?? Promise.resolve(NO_REQUEST);
  }

  /** A SUBSCRIBE in the call's dialog. @returns false when it is about none of these. */
  receiveSubscribe(transaction: ServerTransaction): boolean {
    const event = parseEvent(transaction.request.headers.get("event"));
    if (event === undefined) return false;
    for (const notifier of this.#live) {
      if (!notifier.matches(event)) continue;
      notifier.receiveSubscribe(transaction);
      return true;
    }
    return false;
  }

  #reject(transaction: ServerTransaction, options: RejectOptions): ActionOutcome {
    return answerHeld(this.#core, transaction, options.statusCode ?? 603, options);
  }

  #accept(
    transaction: ServerTransaction,
    target: ReferTarget,
    isFirst: boolean,
    options: AcceptRequestOptions,
  ): Promise<ActionOutcome> {
    const core = this.#core;
    if (
      options.follow === true &&
      !(target.method === "INVITE" && core.services.mayDial(target.uri))
    ) {
      const refusal = answerHeld(core, transaction, 403, {});
      if (!refusal.ok) return Promise.resolve(refusal);
      return Promise.resolve({ ...refusal, ok: false, cause: "blocked" });
    }
    if (options.follow === true && leadsBack(core, target)) {
      const refusal = answerHeld(core, transaction, 482, {});
      return Promise.resolve(refusal.ok ? { ...refusal, ok: false, cause: "blocked" } : refusal);
    }
    const isOverLimit = this.#followed >= MOST_FOLLOWED || this.#everFollowed >= MOST_EVER_FOLLOWED;
    if (options.follow === true && isOverLimit) {
      const refusal = answerHeld(core, transaction, 503, { headers: [["Retry-After", "10"]] });
      return Promise.resolve(refusal.ok ? { ...refusal, ok: false, cause: "limit" } : refusal);
    }
    const isSilent = wantsNoNotify(transaction.request);
    const outcome = answerHeld(core, transaction, options.statusCode ?? 202, {
      ...options,
      headers: [...(isSilent ? NO_REFER_SUBSCRIPTION : []), ...(options.headers ?? [])],
      contact: true,
    });
    if (!outcome.ok) return Promise.resolve(outcome);
    if (isSilent) {
      return options.follow === true
        ? this.#follow(transaction, target, undefined, outcome)
        : Promise.resolve(outcome);
    }
    const subscription = SessionCore.newHandle(core.services);
    const { sequence } = transaction.request.cseq;
    const notifier = new ReferNotifier(core, sequence, isFirst, () => {
      this.#subscriptions.delete(subscription);
      this.#live.delete(notifier);
    });
    this.#live.add(notifier);
    notifier.begin();
    if (options.follow === true) return this.#follow(transaction, target, notifier, outcome);
    const [oldest] = this.#subscriptions.keys();
    if (this.#subscriptions.size >= MOST_SUBSCRIPTIONS && oldest !== undefined) {
      this.#subscriptions.get(oldest)?.finish(503);
    }
    this.#subscriptions.set(subscription, notifier);
    return Promise.resolve({ ...outcome, subscription });
  }

  /** Places the call; resolves with what was answered when it is up, or with why it failed. */
  #follow(
    transaction: ServerTransaction,
    target: ReferTarget,
    notifier: ReferNotifier | undefined,
    answered: ActionOutcome & { readonly ok: true },
  ): Promise<ActionOutcome> {
    const core = this.#core;
    let call: ReferredCall;
    try {
      call = core.services.placeReferredCall({
        referTo: dialableTarget(target),
        referredBy: transaction.request.headers.get("referred-by"),
        namedBy: transaction.flow,
        account: core.account,
        referrer: core.owner,
      });
    } catch (error) {
      core.logger.info(`session ${core.id}: REFER not followed: ${errorText(error)}`);
      notifier?.finish(503);
      return Promise.resolve({ ok: false, cause: "unavailable", statusCode: 503 });
    }
    this.#followed++;
    this.#everFollowed++;
    return new Promise((resolve) => {
      call.onProgress((statusCode, reason, cause) =>
        core.enter(() => {
          if (statusCode >= 100 && statusCode < 200) {
            notifier?.progress(statusCode, reason);
            return;
          }
          this.#followed--;
          if (statusCode >= 200 && statusCode < 300) {
            notifier?.finish(statusCode, reason);
            resolve({ ...answered, newSession: call.session });
          } else {
            const told = toldStatus(statusCode, cause);
            notifier?.finish(told, statusCode === 0 ? undefined : reason);
            const why = statusCode === 0 ? (cause ?? "timeout") : causeOfStatus(statusCode);
            resolve({ ok: false, cause: why, statusCode, reason });
          }
        }),
      );
    });
  }
}

/**
 * Would the new call ring the very flow that is asked to place it? Then everybody would be transferred for ever. With
 * Replaces it takes the place of a call that is up, which ends.
 */
function leadsBack(
  { direction, services, flow, account, local }: SessionCore,
  target: ReferTarget,
): boolean {
  const { uri, replaces } = target;
  if (direction === "outgoing" || replaces !== undefined || !(uri instanceof SipUri)) return false;
  const called = local instanceof NameAddr ? local.uri : parseUri(local.uri);
  if (!(called instanceof SipUri) || uri.decodedUser !== called.decodedUser) return false;
  const isSameAddress = uri.host === called.host && uri.port === called.port;
  return isSameAddress || (flow !== undefined && leadsTo(uri, services.contact(flow, account)));
}
