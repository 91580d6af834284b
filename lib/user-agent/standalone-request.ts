/** A request of the application outside of any dialog: MESSAGE, OPTIONS, NOTIFY, REFER … (RFC 3261 §8.1.1, RFC 3428). */
import {
  InvalidArgumentError,
  InvalidStateError,
  randomInteger,
  randomToken,
  TransactionTimeoutError,
  TransportError,
  type RandomSource,
  type SipError,
} from "../foundation/index.js";
import {
  createRequest,
  formatTargetDialog,
  NameAddr,
  SipUri,
  type SipRequest,
  type SipResponse,
} from "../message/index.js";
import {
  causeOfStatus,
  checkedRequestMethod,
  NO_REFER_SUBSCRIPTION,
  type ActionOutcome,
  type HeaderList,
  type SessionServices,
} from "../session/index.js";
import type { ManagedAccount } from "./managed-account.js";
import type { OutOfDialogRequestOptions } from "./options.js";

/** Requests that may lead to a dialog name a Contact; a MESSAGE must not (RFC 3428 §4). */
const WITH_CONTACT: ReadonlySet<string> = new Set([
  "OPTIONS",
  "REFER",
  "SUBSCRIBE",
  "NOTIFY",
  "UPDATE",
]);

export interface StandaloneRequestsOptions {
  readonly random: RandomSource;
  readonly services: SessionServices;
  account(id: string): ManagedAccount | undefined;
  onResponse(response: SipResponse, accountId: string | undefined): void;
}

export class StandaloneRequests {
  readonly #options: StandaloneRequestsOptions;
  /** Those without outcome, to be told when the stack stops. */
  readonly #open = new Set<(outcome: ActionOutcome) => void>();

  constructor(options: StandaloneRequestsOptions) {
    this.#options = options;
  }

  /** Rejects with InvalidArgumentError for what cannot be sent; the peer's "no" is a value. */
  async send(options: OutOfDialogRequestOptions): Promise<ActionOutcome> {
    const method = checkedRequestMethod(options.method);
    const account = this.#account(options.account);
    const to = this.#options.services.parseTarget(options.to, account);
    const target = this.#targetDialog(options.targetDialog);
    const headers = [...target, ...(options.headers ?? [])];
    return new Promise((resolve, reject) => {
      const settle = (outcome: ActionOutcome): void => {
        this.#open.delete(settle);
        resolve(outcome);
      };
      this.#open.add(settle);
      this.#options.services.send({
        nextHop: to.uri,
        account,
        inDialog: false,
        build: () => this.#build({ ...options, method, headers }, account, to),
        onResponse: (response) => {
          this.#options.onResponse(response, account?.id);
          if (response.statusCode >= 200) settle(outcomeOfResponse(response));
          else options.onProvisional?.(response);
        },
        onFailure: (error) => {
          const outcome = outcomeOfError(error);
          if (outcome !== undefined) {
            settle(outcome);
          } else {
            this.#open.delete(settle);
            reject(error);
          }
        },
      });
    });
  }

  close(): void {
    for (const settle of [...this.#open]) {
      settle({ ok: false, cause: "shutdown", statusCode: 0 });
    }
  }

  #account(id: string | undefined): ManagedAccount | undefined {
    if (id === undefined) return undefined;
    const account = this.#options.account(id);
    if (account !== undefined) return account;
    throw new InvalidArgumentError("The account of the request does not exist in this SIP stack.", {
      rule: "no-account",
    });
  }

  /** @throws InvalidStateError for a call that is over or has no dialog yet. */
  #targetDialog(handle: string | undefined): HeaderList {
    if (handle === undefined) return [];
    const call = this.#options.services.findCall(handle);
    if (call === undefined || call.state === "terminating") {
      throw new InvalidStateError("The call whose dialog the request shall name is over", {
        rule: "no-session",
      });
    }
    if (call.dialog === undefined) {
      throw new InvalidStateError(
        `The call whose dialog the request shall name is ${call.state}; that is possible once it is established`,
      );
    }
    const { callId, localTag, remoteTag } = call.dialog.id;
    const target = { callId, localTag: remoteTag || "0", remoteTag: localTag };
    return [["Target-Dialog", formatTargetDialog(target)]];
  }

  #build(
    options: OutOfDialogRequestOptions,
    account: ManagedAccount | undefined,
    to: NameAddr,
  ): SipRequest {
    const { random, services } = this.#options;
    const { method, contentType, body, headers = [] } = options;
    const identity = account?.identity ?? services.defaultIdentity;
    const uri = to.uri instanceof SipUri ? to.uri.with({ headers: new Map() }) : to.uri;
    const names = headers.map(([name]) => name.toLowerCase());
    const own = services
      .commonHeaders("request", method)
      .filter(([name]) => !names.includes(name.toLowerCase()));
    // Nobody here follows the NOTIFYs, so none are asked for (RFC 4488 §4).
    const silence = method === "REFER" && !names.includes("refer-sub") ? NO_REFER_SUBSCRIPTION : [];
    return createRequest({
      method,
      uri: uri.toString(),
      from: new NameAddr(
        identity.uri,
        identity.displayName,
        new Map([["tag", randomToken(random, 12)]]),
      ),
      to: new NameAddr(uri, to.displayName),
      callId: randomToken(random, 24),
      sequence: 1 + randomInteger(random, 30_000),
      contact: WITH_CONTACT.has(method) ? services.contactPlaceholder : undefined,
      headers: [...own, ...silence, ...headers],
      contentType,
      body,
    });
  }
}

function outcomeOfResponse(response: SipResponse): ActionOutcome {
  const { statusCode, reason } = response;
  if (statusCode < 300) return { ok: true, statusCode, reason, message: response };
  return {
    ok: false,
    cause: causeOfStatus(statusCode),
    statusCode,
    reason,
    message: response,
    retryAfter: response.seconds("retry-after"),
  };
}

/** @returns undefined when the error is the caller's mistake and not the network's. */
function outcomeOfError(error: SipError): ActionOutcome | undefined {
  const reason = error.message;
  if (error instanceof TransactionTimeoutError) {
    return { ok: false, cause: "timeout", statusCode: 0, reason };
  }
  if (error instanceof TransportError) {
    const cause = error.code === "E_DNS" ? "dns-error" : "transport-error";
    return { ok: false, cause, statusCode: 0, reason };
  }
  return undefined;
}
