/**
 * Requests outside of any dialog, INVITE excepted (contract §4.6 "Pending requests"): reported to the application, held
 * for its answer if it wants, answered by the stack otherwise.
 */
import { InvalidStateError } from "../foundation/index.js";
import { createResponse, type ReferTarget, type SipRequest } from "../message/index.js";
import {
  NO_REFER_SUBSCRIPTION,
  wantsNoNotify,
  type AcceptRequestOptions,
  type ActionOutcome,
  type HeaderList,
  type PendingRequest,
  type RejectOptions,
} from "../session/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { Flow } from "../transport/transport.js";
import { allowWithout, EVENT_PACKAGES, type Capabilities } from "./capabilities.js";
import type { StackEvent, StackEventName } from "./events.js";
import type { LoadReport } from "./load-report.js";
import type { ManagedAccount } from "./managed-account.js";
import type { PeerSubscriptions } from "./peer-subscriptions.js";
import type { PendingRequests } from "./pending-requests.js";
import { referTargetOf, type StandaloneRefers } from "./standalone-refer.js";

interface DefaultAnswer {
  readonly statusCode: number;
  readonly headers?: HeaderList;
}

interface MethodRule {
  readonly eventName: StackEventName;
  /** What nobody answered is answered with. */
  readonly fallback: (listened: boolean, method: string) => DefaultAnswer;
  /** Status of a plain `accept`. */
  readonly accepted: number;
  /** Status of a plain `reject`. */
  readonly rejected: number;
}

const BAD_EVENT: DefaultAnswer = {
  statusCode: 489,
  headers: [["Allow-Events", EVENT_PACKAGES.join(", ")]],
};

/** Everything that has no rule of its own. */
const OTHER: MethodRule = {
  eventName: "request",
  fallback: (_listened, method) => ({ statusCode: 405, headers: allowWithout(method) }),
  accepted: 200,
  rejected: 403,
};

const RULES: ReadonlyMap<string, MethodRule> = new Map<string, MethodRule>([
  [
    "OPTIONS",
    { eventName: "options", fallback: () => ({ statusCode: 200 }), accepted: 200, rejected: 403 },
  ],
  [
    "MESSAGE",
    {
      eventName: "message",
      fallback: (listened, method) =>
        listened ? { statusCode: 200 } : { statusCode: 405, headers: allowWithout(method) },
      accepted: 200,
      rejected: 403,
    },
  ],
  [
    "NOTIFY",
    {
      eventName: "notify",
      fallback: (listened) => ({ statusCode: listened ? 200 : 481 }),
      accepted: 200,
      rejected: 403,
    },
  ],
  [
    "REFER",
    {
      eventName: "refer",
      fallback: () => ({ statusCode: 603 }),
      accepted: 202,
      rejected: 603,
    },
  ],
  [
    "SUBSCRIBE",
    {
      eventName: "subscribe",
      fallback: () => BAD_EVENT,
      accepted: 200,
      rejected: 403,
    },
  ],
]);

/** Answers that begin a dialog, or tell about us, name a Contact. */
const WITH_CONTACT: ReadonlySet<string> = new Set(["OPTIONS", "REFER", "SUBSCRIBE"]);

/** A proxy that asks us tries others meanwhile. */
const FULL: DefaultAnswer = { statusCode: 503, headers: [["Retry-After", "10"]] };

export interface OutOfDialogOptions {
  readonly load: LoadReport;
  readonly capabilities: Capabilities;
  readonly pending: PendingRequests;
  readonly refers: StandaloneRefers;
  readonly subscriptions: PeerSubscriptions;
  account(request: SipRequest): ManagedAccount | undefined;
  contact(flow: Flow, account: ManagedAccount | undefined): string;
  /** True when somebody listens to `request` and `response`. */
  observes(): boolean;
  report(event: StackEvent): void;
}

export class OutOfDialogRequests {
  readonly #options: OutOfDialogOptions;

  constructor(options: OutOfDialogOptions) {
    this.#options = options;
  }

  receive(transaction: ServerTransaction): void {
    const { request } = transaction;
    const rule = RULES.get(request.method) ?? OTHER;
    const account = this.#options.account(request);
    if (rule.eventName !== "request" && this.#options.observes()) {
      this.#options.report({ name: "request", accountId: account?.id, message: request });
    }
    // RFC 3515 §2.4.2: exactly one Refer-To; repeated ones were refused by the parser.
    if (request.method === "REFER" && referTargetOf(request) === undefined) {
      this.#answer(transaction, { statusCode: 400 }, account, "Missing or Malformed Refer-To");
      return;
    }
    // RFC 6665 §4.2.1.1: without a package there is nothing that a flow could take.
    if (request.method === "SUBSCRIBE" && !request.headers.has("event")) {
      this.#answer(transaction, BAD_EVENT, account);
      return;
    }
    this.#hold(transaction, rule, account);
  }

  #hold(
    transaction: ServerTransaction,
    rule: MethodRule,
    account: ManagedAccount | undefined,
  ): void {
    const { request } = transaction;
    // When nobody holds the request, its default answer is due inside `hold`: the event comes first nevertheless.
    let unheld: boolean | undefined;
    let holding = true;
    const fallback = (listened: boolean): void => {
      if (holding) unheld = listened;
      else this.#answer(transaction, this.#fallback(rule, listened, request.method), account);
    };
    const pending: PendingRequest | undefined = this.#options.pending.hold({
      request,
      eventName: rule.eventName,
      session: undefined,
      account,
      fallback,
      accept: (options) => this.#accept(transaction, rule, account, options),
      reject: (options) => this.#reject(transaction, rule, account, options),
    });
    holding = false;
    this.#options.report({
      name: rule.eventName,
      accountId: account?.id,
      message: request,
      pending,
    });
    if (unheld !== undefined) fallback(unheld);
  }

  #fallback(rule: MethodRule, listened: boolean, method: string): DefaultAnswer {
    if (method === "OPTIONS" && this.#options.load.isFull) return FULL;
    return rule.fallback(listened, method);
  }

  #accept(
    transaction: ServerTransaction,
    rule: MethodRule,
    account: ManagedAccount | undefined,
    options: AcceptRequestOptions,
  ): Promise<ActionOutcome> {
    const statusCode = options.statusCode ?? rule.accepted;
    if (statusCode < 200 || statusCode > 299)
      return Promise.reject(badStatus(statusCode, 200, 299));
    if (transaction.request.method === "SUBSCRIBE") {
      return Promise.resolve(this.#acceptSubscribe(transaction, account, options, statusCode));
    }
    const refer = referTargetOf(transaction.request);
    if (transaction.request.method === "REFER" && refer !== undefined) {
      return this.#acceptRefer(transaction, refer, account, { ...options, statusCode });
    }
    return Promise.resolve(
      this.#answer(transaction, { statusCode }, account, options.reason, options),
    );
  }

  #acceptSubscribe(
    transaction: ServerTransaction,
    account: ManagedAccount | undefined,
    options: AcceptRequestOptions,
    statusCode: number,
  ): ActionOutcome {
    const { subscriptions } = this.#options;
    const { expires: longest } = options;
    const answer = subscriptions.answer(transaction, longest);
    if (answer.granted === undefined) {
      const refusal = this.#answer(transaction, answer, account);
      const cause = answer.statusCode === 503 ? "limit" : "rejected";
      return refusal.ok ? { ok: false, cause, statusCode: answer.statusCode } : refusal;
    }
    const answered = this.#answer(transaction, { ...answer, statusCode }, account, options.reason, {
      ...options,
      headers: options.headers?.filter(([name]) => name.toLowerCase() !== "expires"),
    });
    if (!answered.ok) return answered;
    const handle = subscriptions.accepted(transaction, account, answer.granted, longest);
    if (handle === undefined) return { ok: false, cause: "limit", statusCode };
    return { ...answered, subscription: handle };
  }

  #acceptRefer(
    transaction: ServerTransaction,
    target: ReferTarget,
    account: ManagedAccount | undefined,
    options: AcceptRequestOptions & { readonly statusCode: number },
  ): Promise<ActionOutcome> {
    const follow = options.follow === true;
    const refusal = this.#options.refers.refusal(target, follow);
    if (refusal !== undefined) {
      const answer = this.#answer(transaction, { statusCode: refusal }, account);
      const cause = refusal === 403 ? "blocked" : "limit";
      return Promise.resolve(answer.ok ? { ok: false, cause, statusCode: refusal } : answer);
    }
    const isSilent = wantsNoNotify(transaction.request);
    const headers = [...(isSilent ? NO_REFER_SUBSCRIPTION : []), ...(options.headers ?? [])];
    const { statusCode, reason } = options;
    const answer = this.#answer(transaction, { statusCode }, account, reason, {
      ...options,
      headers,
    });
    if (!answer.ok) return Promise.resolve(answer);
    return this.#options.refers.accepted(transaction, target, account, follow, answer);
  }

  #reject(
    transaction: ServerTransaction,
    rule: MethodRule,
    account: ManagedAccount | undefined,
    options: RejectOptions,
  ): Promise<ActionOutcome> {
    const statusCode = options.statusCode ?? rule.rejected;
    if (statusCode < 300 || statusCode > 699)
      return Promise.reject(badStatus(statusCode, 300, 699));
    return Promise.resolve(
      this.#answer(transaction, { statusCode }, account, options.reason, options),
    );
  }

  #answer(
    transaction: ServerTransaction,
    answer: DefaultAnswer,
    account: ManagedAccount | undefined,
    reason?: string,
    fields: AnswerFields = {},
  ): ActionOutcome {
    if (transaction.answered) return { ok: false, cause: "no-request", statusCode: 0 };
    const { request, flow, localTag } = transaction;
    const { statusCode } = answer;
    const address = request.source?.address ?? flow.remoteAddress;
    const load = request.method === "OPTIONS" ? this.#options.load.headersFor(address) : [];
    const extra = [...load, ...(answer.headers ?? []), ...(fields.headers ?? [])];
    const replaced = extra.map(([name]) => name.toLowerCase());
    const own = this.#options.capabilities.headers("response", request.method, statusCode);
    const wantsContact = WITH_CONTACT.has(request.method);
    const response = createResponse(request, {
      statusCode,
      reason,
      toTag: localTag,
      contact: wantsContact && statusCode < 300 ? this.#options.contact(flow, account) : undefined,
      headers: [...own.filter(([name]) => !replaced.includes(name.toLowerCase())), ...extra],
      contentType: fields.contentType,
      body: fields.body,
    });
    transaction.respond(response);
    return { ok: true, statusCode, reason: response.reason, message: response };
  }
}

interface AnswerFields {
  readonly reason?: string | undefined;
  readonly headers?: HeaderList | undefined;
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer | undefined;
}

function badStatus(statusCode: number, lowest: number, highest: number): InvalidStateError {
  return new InvalidStateError(
    `${statusCode} is no status for this answer; choose one from ${lowest} to ${highest}.`,
    { rule: "bad-status" },
  );
}
