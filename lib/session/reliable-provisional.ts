/**
 * The reliable provisional responses that we send to one INVITE: one at a time, repeated with doubling intervals until
 * their PRACK comes, given up after 64·T1 (RFC 3262 §3). What PRACK carries is for `PrackReceiver`.
 */
import {
  StateMachine,
  randomInteger,
  type MachineDefinition,
  type Timer,
} from "../foundation/index.js";
import type { SipResponse } from "../message/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import { NO_REQUEST, NO_SESSION } from "./outcomes.js";
import { parseRAck } from "./rel100.js";
import type { SessionCore } from "./session-core.js";
import type { ActionOutcome, HeaderList } from "./session-types.js";
import { NO_TIMER } from "./timer-group.js";

export type ReliableState =
  /** Nothing waits for a PRACK. */
  | "idle"
  | "unacknowledged"
  /** The final response is out; the PRACK of the last one may still come. */
  | "answered"
  | "over";
export type ReliableInput = "send" | "prack" | "repeat" | "expire" | "final" | "close";
export type ReliableAction =
  "transmit" | "queue" | "resend" | "acknowledge" | "giveUp" | "stop" | "dropQueue" | "release";

export const reliableMachine: MachineDefinition<ReliableState, ReliableInput, ReliableAction> = {
  name: "reliable provisional responses sent",
  initial: "idle",
  inputs: ["send", "prack", "repeat", "expire", "final", "close"],
  final: ["over"],
  table: {
    idle: {
      send: { next: "unacknowledged", do: ["transmit"], rfc: "RFC 3262 §3" },
      final: { next: "over", do: ["stop", "dropQueue"], rfc: "RFC 3262 §3" },
      close: { next: "over", do: ["stop", "release"], rfc: "RFC 3262 §3" },
    },
    unacknowledged: {
      send: { next: "unacknowledged", do: ["queue"], rfc: "RFC 3262 §3" },
      prack: { next: "idle", do: ["stop", "acknowledge"], rfc: "RFC 3262 §3" },
      repeat: { next: "unacknowledged", do: ["resend"], rfc: "RFC 3262 §3" },
      expire: { next: "over", do: ["stop", "giveUp", "release"], rfc: "RFC 3262 §3" },
      final: { next: "answered", do: ["stop", "dropQueue"], rfc: "RFC 3262 §3" },
      close: { next: "over", do: ["stop", "release"], rfc: "RFC 3262 §3" },
    },
    answered: {
      prack: { next: "over", do: ["acknowledge"], rfc: "RFC 3262 §3" },
      close: { next: "over", do: ["release"], rfc: "RFC 3262 §3" },
    },
    over: {},
  },
};

/** RSeq begins below 2^31 and so cannot reach its end (§3). */
const RSEQ_BOUND = 0x7fff_ffff;
/** A call rings on: what was acknowledged is told anew for the proxies on the way (§3, RFC 3261 §13.3.1.1). */
const REFRESH_MS = 150_000;
/** Responses that wait for their turn; a flow that sends more is told so. */
const MOST_QUEUED = 32;

export interface ReliableResponse {
  /** The response with these headers besides its own, a later `repeated` one without description. @throws when it cannot be sent. */
  build(headers: HeaderList, repeated: boolean): SipResponse;
  readonly hasSdp: boolean;
  /** It is on its way for the first time. */
  onSent?(response: SipResponse): void;
}

interface Entry {
  readonly number: number;
  readonly response: SipResponse;
  readonly source: ReliableResponse;
  settle(outcome: ActionOutcome): void;
}

export class ReliableProvisional {
  readonly #core: SessionCore;
  readonly #transaction: ServerTransaction;
  readonly #onNoPrack: () => void;
  readonly #machine: StateMachine<ReliableState, ReliableInput, ReliableAction, Entry | undefined>;
  readonly #queue: Entry[] = [];
  #current: Entry | undefined;
  #number: number;
  #interval = 0;
  #left = 0;
  #timer: Timer = NO_TIMER;
  #refresh: Timer = NO_TIMER;
  #whenClear: (() => void) | undefined;

  /** @param onNoPrack - 64·T1 are over: the INVITE is to be refused with a 5xx (§3). */
  constructor(core: SessionCore, transaction: ServerTransaction, onNoPrack: () => void) {
    this.#core = core;
    this.#transaction = transaction;
    this.#onNoPrack = onNoPrack;
    this.#number = 1 + randomInteger(core.services.random, RSEQ_BOUND - 1);
    this.#machine = new StateMachine(reliableMachine, (action, entry) =>
      this.#perform(action, entry),
    );
    core.onClose(() => this.#machine.input("close", undefined));
  }

  get state(): ReliableState {
    return this.#machine.state;
  }

  /** Sends it now or in its turn. Resolves when its PRACK came, or with `no-session`; rejects with what `build` throws. */
  send(source: ReliableResponse): Promise<ActionOutcome> {
    if (this.#queue.length >= MOST_QUEUED) {
      return Promise.resolve({ ok: false, cause: "limit", statusCode: 0 });
    }
    const number = this.#number;
    const headers: HeaderList = [
      ["Require", "100rel"],
      ["RSeq", String(number)],
    ];
    const response = source.build(headers, false);
    this.#number++;
    return new Promise((resolve) => {
      const entry = { number, response, source, settle: resolve };
      if (!this.#machine.input("send", entry)) resolve(NO_REQUEST);
    });
  }

  /** Is this the PRACK of the response that waits for it? */
  expects(prack: ServerTransaction): boolean {
    const rack = parseRAck(prack.request.headers.get("rack"));
    const current = this.#current;
    if (rack === undefined || current === undefined) return false;
    const { cseq } = this.#transaction.request;
    return (
      rack.responseNumber === current.number &&
      rack.sequence === cseq.sequence &&
      rack.method === cseq.method
    );
  }

  /** The PRACK that `expects` knows. */
  acknowledge(): void {
    this.#machine.input("prack", undefined);
  }

  /** Runs it once no description waits for its PRACK: only then a 2xx may go out (§3). The latest caller counts. */
  whenClear(callback: () => void): void {
    if (this.#current?.source.hasSdp === true) this.#whenClear = callback;
    else callback();
  }

  /** A 2xx goes out: nothing is repeated any more, and what has not been sent is not sent (§3). */
  final(): void {
    this.#machine.input("final", undefined);
  }

  #perform(action: ReliableAction, entry: Entry | undefined): void {
    switch (action) {
      case "transmit":
        if (entry !== undefined) this.#transmit(entry);
        return;
      case "queue":
        if (entry !== undefined) this.#queue.push(entry);
        return;
      case "resend":
        this.#resend();
        return;
      case "acknowledge":
        this.#acknowledged();
        return;
      case "giveUp":
        this.#onNoPrack();
        return;
      case "stop":
        this.#timer.cancel();
        this.#refresh.cancel();
        return;
      case "dropQueue":
        for (const queued of this.#queue.splice(0)) queued.settle(NO_REQUEST);
        return;
      case "release":
        this.#whenClear = undefined;
        this.#current?.settle(NO_SESSION);
        this.#current = undefined;
        for (const queued of this.#queue.splice(0)) queued.settle(NO_SESSION);
    }
  }

  #transmit(entry: Entry): void {
    const { t1 } = this.#core.services.timers;
    this.#refresh.cancel();
    this.#current = entry;
    this.#transaction.respond(entry.response);
    this.#interval = t1;
    this.#left = 63 * t1;
    this.#timer = this.#core.after(t1, () => this.#expired());
    entry.source.onSent?.(entry.response);
  }

  /** Doubles without the bound of T2 (§3). */
  #expired(): void {
    this.#machine.input(this.#left > 0 ? "repeat" : "expire", undefined);
  }

  #resend(): void {
    const entry = this.#current;
    if (entry === undefined || this.#transaction.answered) return;
    this.#interval = Math.min(2 * this.#interval, this.#left);
    this.#left -= this.#interval;
    this.#timer = this.#core.after(this.#interval, () => this.#expired());
    this.#transaction.respond(entry.response);
  }

  #acknowledged(): void {
    const entry = this.#current;
    this.#current = undefined;
    if (entry === undefined) return;
    const { response } = entry;
    const { statusCode, reason } = response;
    entry.settle({ ok: true, statusCode, reason, message: response });
    const proceed = this.#whenClear;
    this.#whenClear = undefined;
    if (proceed !== undefined) {
      proceed();
      return;
    }
    const next = this.#queue.shift();
    if (next !== undefined) this.#machine.input("send", next);
    else if (!this.#transaction.answered) this.#scheduleRefresh(entry.source);
  }

  /** The same again with the next number, without description and without a word to the application. */
  #scheduleRefresh(source: ReliableResponse): void {
    this.#refresh = this.#core.after(REFRESH_MS, () => {
      void this.send({ build: (headers) => source.build(headers, true), hasSdp: false });
    });
  }
}
