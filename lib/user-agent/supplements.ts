/** The supplements of a user agent: calls their hooks in order, and keeps what they hold within limits. */
import { errorText, type Clock, type Logger, type Timer } from "../foundation/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type { Session } from "../session/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { PendingRequests } from "./pending-requests.js";
import {
  SupplementMessage,
  type IncomingRequestContext,
  type Supplement,
  type SupplementContext,
  type SupplementHold,
  type SupplementRejection,
  type SupplementVerdict,
} from "./supplement.js";

/** A hook that never decides must not keep a request for ever; below Timer F (RFC 3261 §17.1.2.2). */
const LONGEST_HOLD_MS = 20_000;
/** A hook that prepares an outgoing request must not keep it longer. */
const LONGEST_PREPARATION_MS = 2_000;
/** Requests that wait for a hook at once; what comes above passes. */
const MOST_HELD = 5_000;
/** ACKs that are remembered to know repetitions. */
const MOST_ACKS = 256;

/** Where messages belong, as the user agent knows it. */
export interface SupplementLookup {
  session(message: SipRequest | SipResponse, outgoing: boolean): Session | undefined;
  accountId(request: SipRequest): string | undefined;
}

export interface SupplementsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pending: PendingRequests;
  readonly lookup: SupplementLookup;
}

interface Registration {
  readonly supplement: Supplement;
  readonly methods: ReadonlySet<string> | undefined;
  /** Sessions whose begin it has seen. */
  readonly begun: WeakSet<Session>;
}

type Hook =
  | "prepareRequest"
  | "incomingRequest"
  | "incomingResponse"
  | "outgoingRequest"
  | "outgoingResponse";

export class Supplements {
  readonly #options: SupplementsOptions;
  #list: readonly Registration[] = [];
  readonly #held = new Set<() => void>();
  readonly #acks = new Set<string>();
  /** Sessions whose begin nobody has heard of yet. */
  readonly #expected = new WeakSet<Session>();

  constructor(options: SupplementsOptions) {
    this.#options = options;
  }

  /** Without any, messages take the way that they take without this class. */
  get isEmpty(): boolean {
    return this.#list.length === 0;
  }

  /** @returns removes it; idempotent. */
  add(supplement: Supplement): () => void {
    const methods = supplement.methods?.map((method) => method.toUpperCase()) ?? [];
    const registration: Registration = {
      supplement,
      methods: methods.length === 0 ? undefined : new Set(methods),
      begun: new WeakSet(),
    };
    this.#list = [...this.#list, registration];
    return () => {
      this.#list = this.#list.filter((each) => each !== registration);
    };
  }

  /**
   * Shows a new request; then exactly one of the callbacks is called, at once or when the hooks that wait have
   * decided, unless the peer cancels it before.
   */
  incomingRequest(
    transaction: ServerTransaction,
    proceed: () => void,
    refuse: (rejection: SupplementRejection) => void,
  ): void {
    const { request } = transaction;
    const interested = this.#interested("incomingRequest", request.method);
    const message = new SupplementMessage(request);
    let waited = false;
    const next = (index: number): void => {
      for (let at = index; at < interested.length; at++) {
        const holds: (() => void)[] = [];
        const context = this.#incomingContext(request, holds);
        const verdict = this.#try(() =>
          interested[at]?.supplement.incomingRequest?.(message, context),
        );
        if (verdict instanceof Promise) {
          if (this.#held.size >= MOST_HELD) {
            for (const release of holds) release();
            continue;
          }
          waited = true;
          this.#await(transaction, verdict, holds, (decided) => {
            if (decided === undefined) next(at + 1);
            else refuse(decided);
          });
          return;
        }
        if (verdict !== undefined) {
          refuse(verdict);
          return;
        }
      }
      if (!waited || !transaction.answered) proceed();
    };
    next(0);
  }

  /** An ACK or CANCEL: shown, not refused. A repeated ACK is not shown. */
  watchRequest(request: SipRequest): void {
    const interested = this.#interested("incomingRequest", request.method);
    if (interested.length === 0 || (request.method === "ACK" && this.#isRepeated(request))) return;
    const message = new SupplementMessage(request);
    const context = this.#incomingContext(request, undefined);
    for (const { supplement } of interested) {
      const verdict = this.#try(() => supplement.incomingRequest?.(message, context));
      // Nobody waits for it; its failure is still told.
      if (verdict instanceof Promise) verdict.catch((error: unknown) => this.#report(error));
    }
  }

  /** @returns undefined when nothing has to be waited for; the promise never rejects. */
  prepareRequest(
    request: SipRequest,
    accountId: string | undefined,
    session: Session | undefined,
  ): Promise<void> | undefined {
    const waiting: Promise<unknown>[] = [];
    for (const { supplement } of this.#interested("prepareRequest", request.method)) {
      const message = new SupplementMessage(request);
      const context = this.#context(request, true, undefined, accountId, session);
      const done = this.#try(() => supplement.prepareRequest?.(message, context));
      if (done !== undefined) waiting.push(done.catch((error: unknown) => this.#report(error)));
    }
    if (waiting.length === 0) return undefined;
    return new Promise((resolve) => {
      const timer = this.#options.clock.setTimer(LONGEST_PREPARATION_MS, resolve);
      void Promise.all(waiting).then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /** @param session - whom it belongs to where the sender knows. */
  outgoingRequest(
    request: SipRequest,
    accountId: string | undefined,
    session: Session | undefined,
  ): void {
    const interested = this.#interested("outgoingRequest", request.method);
    if (interested.length === 0) return;
    const context = this.#context(request, true, undefined, accountId, session);
    const message = new SupplementMessage(request);
    for (const { supplement } of interested) {
      this.#try(() => supplement.outgoingRequest?.(message, context));
    }
  }

  incomingResponse(
    response: SipResponse,
    request: SipRequest,
    accountId: string | undefined,
    session: Session | undefined,
  ): void {
    const interested = this.#interested("incomingResponse", request.method);
    if (interested.length === 0) return;
    const context = this.#context(response, false, request, accountId, session);
    const message = new SupplementMessage(response);
    for (const { supplement } of interested) {
      this.#try(() => supplement.incomingResponse?.(message, context));
    }
  }

  outgoingResponse(response: SipResponse, request: SipRequest): void {
    const interested = this.#interested("outgoingResponse", request.method);
    if (interested.length === 0) return;
    const context = this.#context(response, true, request, undefined, undefined);
    const message = new SupplementMessage(response);
    for (const { supplement } of interested) {
      this.#try(() => supplement.outgoingResponse?.(message, context));
    }
  }

  /** A session was made; its begin is told with its first message or event. */
  expectSession(session: Session): void {
    this.#expected.add(session);
  }

  sessionBegin(session: Session): void {
    if (!this.#expected.delete(session)) return;
    for (const { supplement, begun } of this.#list) {
      begun.add(session);
      this.#try(() => supplement.sessionBegin?.(session));
    }
  }

  sessionEnd(session: Session): void {
    for (const { supplement, begun } of this.#list) {
      if (begun.delete(session)) this.#try(() => supplement.sessionEnd?.(session));
    }
  }

  /** Lets everything pass that waits. */
  close(): void {
    for (const release of [...this.#held]) release();
  }

  #interested(hook: Hook, method: string): readonly Registration[] {
    return this.#list.filter(
      ({ supplement, methods }) => supplement[hook] !== undefined && methods?.has(method) !== false,
    );
  }

  #context(
    message: SipRequest | SipResponse,
    outgoing: boolean,
    request: SipRequest | undefined,
    accountId: string | undefined,
    session: Session | undefined,
  ): SupplementContext {
    const { lookup } = this.#options;
    const found = session ?? lookup.session(message, outgoing);
    if (found !== undefined) this.sessionBegin(found);
    const arrived = message.kind === "request" && !outgoing ? message : request;
    const isOurs =
      accountId !== undefined || found?.accountId !== undefined || arrived === undefined;
    return {
      session: found,
      accountId: isOurs ? (accountId ?? found?.accountId) : lookup.accountId(arrived),
      request,
    };
  }

  /** @param holds - collects what lets go of each hold; undefined = holding is not possible. */
  #incomingContext(request: SipRequest, holds: (() => void)[] | undefined): IncomingRequestContext {
    const context = this.#context(request, false, undefined, undefined, undefined);
    return { ...context, hold: (waitMs) => this.#hold(request, context, waitMs, holds) };
  }

  #hold(
    request: SipRequest,
    { session }: SupplementContext,
    waitMs: number,
    holds: (() => void)[] | undefined,
  ): SupplementHold {
    if (holds === undefined) return { handle: undefined, verdict: Promise.resolve(undefined) };
    let decide: (verdict: SupplementVerdict) => void = () => undefined;
    const verdict = new Promise<SupplementVerdict>((resolve) => (decide = resolve));
    const pending = this.#options.pending.hold({
      request,
      eventName: "supplement",
      session,
      account: undefined,
      always: true,
      atLeastMs: waitMs,
      accept: () => {
        decide(undefined);
        return Promise.resolve({ ok: true, statusCode: 0 });
      },
      reject: (options) => {
        const statusCode = options.statusCode ?? defaultRejection(request);
        decide({ statusCode, reason: options.reason, headers: options.headers });
        return Promise.resolve({ ok: true, statusCode, reason: options.reason });
      },
      fallback: () => decide(undefined),
    });
    if (pending !== undefined) holds.push(() => void pending.accept());
    return { handle: pending?.handle, verdict };
  }

  /** Waits for a verdict; time, the peer's CANCEL and the end of the stack end the wait. */
  #await(
    transaction: ServerTransaction,
    verdict: Promise<SupplementVerdict>,
    holds: readonly (() => void)[],
    decided: (verdict: SupplementVerdict) => void,
  ): void {
    let timer: Timer | undefined = undefined;
    let isOver = false;
    const end = (work: () => void): void => {
      if (isOver) return;
      isOver = true;
      timer?.cancel();
      this.#held.delete(pass);
      transaction.user = undefined;
      for (const release of holds) release();
      this.#try(work);
    };
    const pass = (): void => end(() => decided(undefined));
    this.#held.add(pass);
    timer = this.#options.clock.setTimer(LONGEST_HOLD_MS, pass);
    transaction.user = {
      onCancel: () => end(() => decided({ statusCode: 487 })),
      onFailure: () => end(() => undefined),
    };
    verdict.then(
      (result) => end(() => decided(result)),
      (error: unknown) => {
        this.#report(error);
        pass();
      },
    );
  }

  #isRepeated(ack: SipRequest): boolean {
    const key = `${ack.callId} ${ack.cseq.sequence} ${ack.from.tag ?? ""} ${ack.to.tag ?? ""}`;
    if (this.#acks.has(key)) return true;
    this.#acks.add(key);
    if (this.#acks.size > MOST_ACKS) {
      for (const oldest of this.#acks) {
        this.#acks.delete(oldest);
        break;
      }
    }
    return false;
  }

  #try<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#report(error);
      return undefined;
    }
  }

  #report(error: unknown): void {
    this.#options.logger.error(`A supplement failed: ${errorText(error)}`);
  }
}

/** Contract §4.4: what a rejection without status code means. */
function defaultRejection(request: SipRequest): number {
  if (request.method === "INVITE") return request.to.tag === undefined ? 486 : 488;
  return request.method === "REFER" ? 603 : 403;
}
