/**
 * Transfer by us, blind or attended: REFER, and the NOTIFYs that tell how the new call goes (RFC 3515, RFC 5589 §6 and §7). A NOTIFY may
 * overtake the 202; a peer that hangs up after its 2xx and without bad news has been transferred.
 */
import { InvalidArgumentError, InvalidStateError, StateMachine } from "../foundation/index.js";
import type { MachineDefinition, SipError, Timer } from "../foundation/index.js";
import { parseNameAddr, parseSipFragment, type SipRequest } from "../message/index.js";
import { parseEvent, parseSubscriptionState } from "../subscription/index.js";
import { causeOfStatus, type Cause } from "./cause.js";
import { sendInDialog } from "./in-dialog-request.js";
import { NO_SESSION, outcomeOfFailure, outcomeOfResponse } from "./outcomes.js";
import { attendedTarget, type NeighbourCall } from "./replacement.js";
import type { SessionCore } from "./session-core.js";
import type { ActionOutcome, HeaderList, ReferOptions } from "./session-types.js";

export type ReferState =
  | "sent"
  | "accepted"
  /** The new call is up; the peer has a moment to end this one itself. */
  | "leaving"
  | "done";
export type ReferInput =
  | "accepted"
  /** 2xx with Refer-Sub: false: there will be no NOTIFY (RFC 4488). */
  | "acceptedFinally"
  | "refused"
  /** A NOTIFY with a provisional status. */
  | "progress"
  | "success"
  | "failure"
  /** The peer sent BYE. */
  | "bye"
  | "timeout"
  /** The peer has had its moment. */
  | "leave"
  /** The session ended otherwise. */
  | "close";
export type ReferAction = "report" | "succeed" | "fail" | "wait" | "hangUp" | "settle";

export const referMachine: MachineDefinition<ReferState, ReferInput, ReferAction> = {
  name: "REFER sent",
  initial: "sent",
  inputs: [
    "accepted",
    "acceptedFinally",
    "refused",
    "progress",
    "success",
    "failure",
    "bye",
    "timeout",
    "leave",
    "close",
  ],
  final: ["done"],
  table: {
    sent: {
      accepted: { next: "accepted", do: [], rfc: "RFC 3515 §2.4.2" },
      acceptedFinally: { next: "leaving", do: ["succeed", "wait"], rfc: "RFC 4488 §4" },
      refused: { next: "done", do: ["settle"], rfc: "RFC 3515 §2.4.2" },
      progress: { next: "sent", do: ["report"], rfc: "RFC 3515 §2.4.4" },
      success: { next: "leaving", do: ["report", "succeed", "wait"], rfc: "RFC 3515 §2.4.5" },
      failure: { next: "done", do: ["report", "fail"], rfc: "RFC 3515 §2.4.5" },
      bye: { next: "done", do: ["settle"], rfc: "RFC 5589 §6" },
      timeout: { next: "done", do: ["fail"], rfc: "contract §4.5" },
      close: { next: "done", do: ["settle"], rfc: "contract §4.3" },
    },
    accepted: {
      progress: { next: "accepted", do: ["report"], rfc: "RFC 3515 §2.4.5" },
      success: { next: "leaving", do: ["report", "succeed", "wait"], rfc: "RFC 3515 §2.4.5" },
      failure: { next: "done", do: ["report", "fail"], rfc: "RFC 3515 §2.4.5" },
      bye: { next: "done", do: ["succeed"], rfc: "RFC 5589 §6" },
      timeout: { next: "done", do: ["fail"], rfc: "contract §4.5" },
      close: { next: "done", do: ["settle"], rfc: "contract §4.3" },
    },
    leaving: {
      progress: { next: "leaving", do: ["report"], rfc: "RFC 3515 §2.4.7" },
      success: { next: "leaving", do: ["report"], rfc: "RFC 3515 §2.4.7" },
      failure: { next: "leaving", do: ["report"], rfc: "RFC 3515 §2.4.7" },
      bye: { next: "done", do: [], rfc: "RFC 5589 §6.1" },
      leave: { next: "done", do: ["hangUp"], rfc: "RFC 5589 §6.1" },
    },
    // Late NOTIFYs are reported and change nothing.
    done: {
      progress: { next: "done", do: ["report"], rfc: "RFC 3515 §2.4.7" },
      success: { next: "done", do: ["report"], rfc: "RFC 3515 §2.4.7" },
      failure: { next: "done", do: ["report"], rfc: "RFC 3515 §2.4.7" },
    },
  },
};

const DEFAULT_TIMEOUT_MS = 60_000;
/** REFERs of one session whose NOTIFYs are told apart. */
const REMEMBERED = 8;

interface News {
  readonly statusCode: number;
  readonly reason: string;
  readonly notify?: SipRequest;
  readonly cause?: Cause;
  readonly outcome?: ActionOutcome;
}

/** The REFERs that a session has sent. */
export class ReferSender {
  readonly #core: SessionCore;
  readonly #sent: SentRefer[] = [];

  constructor(core: SessionCore) {
    this.#core = core;
  }

  /** @throws InvalidArgumentError for a bad target, InvalidStateError before the call is up. */
  refer(options: ReferOptions): Promise<ActionOutcome> {
    const core = this.#core;
    if (core.closed || core.state === "terminating") return Promise.resolve(NO_SESSION);
    if (!core.established || core.dialog === undefined) {
      throw new InvalidStateError("Only a call that is answered can be transferred");
    }
    let target: NeighbourCall | undefined;
    if (options.target !== undefined) {
      if (options.target === core.id) {
        throw new InvalidArgumentError("A call cannot be transferred to itself");
      }
      target = core.services.findCall(options.target);
      if (target === undefined || target.state === "terminating") {
        return Promise.resolve(NO_SESSION);
      }
    }
    const headers = referHeaders(core, options, target);
    return new Promise((resolve, reject) => {
      if (this.#sent.length >= REMEMBERED) this.#sent.shift()?.forget();
      const refer = new SentRefer(core, options, target, resolve, reject);
      this.#sent.push(refer);
      refer.send(headers);
    });
  }

  /** Does a NOTIFY of package `refer` belong to one of our REFERs? */
  expects(notify: SipRequest): boolean {
    return this.#find(notify) !== undefined;
  }

  /** A NOTIFY that is expected; it has been answered. */
  receiveNotify(notify: SipRequest): void {
    this.#find(notify)?.receiveNotify(notify);
  }

  /** The peer has sent BYE. @returns true when that means that it was transferred, as we asked. */
  peerHungUp(): boolean {
    let transferred = false;
    for (const refer of this.#sent) transferred = refer.peerHungUp() || transferred;
    return transferred;
  }

  /** By its id; without one the oldest that is still open (RFC 3515 §2.4.6). */
  #find(notify: SipRequest): SentRefer | undefined {
    const id = parseEvent(notify.headers.get("event"))?.id;
    if (id !== undefined) return this.#sent.find((sent) => sent.hasSequence(id));
    return this.#sent.find((sent) => !sent.done) ?? this.#sent.at(-1);
  }
}

class SentRefer {
  readonly #core: SessionCore;
  readonly #options: ReferOptions;
  /** Attended: the call with the one who gets the new call. */
  readonly #target: NeighbourCall | undefined;
  readonly #resolve: (outcome: ActionOutcome) => void;
  readonly #reject: (error: SipError) => void;
  readonly #machine = new StateMachine<ReferState, ReferInput, ReferAction, News>(
    referMachine,
    (action, news) => this.#perform(action, news),
  );
  /** One per transmission: a retry with credentials has a new number. */
  readonly #sequences = new Set<string>();
  readonly #timer: Timer;
  readonly #stopWatching: () => void;
  #last: News = { statusCode: 0, reason: "" };
  /** The response to the REFER. */
  #accepted: News = { statusCode: 0, reason: "" };

  constructor(
    core: SessionCore,
    options: ReferOptions,
    target: NeighbourCall | undefined,
    resolve: (outcome: ActionOutcome) => void,
    reject: (error: SipError) => void,
  ) {
    this.#core = core;
    this.#options = options;
    this.#target = target;
    target?.beginTransfer();
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = core.after(options.timeoutMs ?? DEFAULT_TIMEOUT_MS, () =>
      this.#machine.input("timeout", { ...this.#last, cause: "timeout" }),
    );
    this.#stopWatching = core.onClose(() => this.forget());
  }

  get done(): boolean {
    return this.#machine.state === "done" || this.#machine.state === "leaving";
  }

  hasSequence(id: string): boolean {
    return this.#sequences.has(id);
  }

  forget(): void {
    this.#machine.input("close", { ...this.#last, outcome: NO_SESSION });
  }

  send(headers: HeaderList): void {
    sendInDialog(
      this.#core,
      { method: "REFER", contact: true, headers },
      {
        onSent: (request) => this.#sequences.add(String(request.cseq.sequence)),
        onFinal: (response) => {
          const { statusCode, reason } = response;
          const outcome = outcomeOfResponse(response);
          const news = { statusCode, reason, outcome };
          if (statusCode >= 300) this.#machine.input("refused", news);
          else if (response.headers.get("refer-sub")?.trim().toLowerCase() === "false") {
            this.#machine.input("acceptedFinally", news);
          } else {
            this.#accepted = { statusCode, reason };
            this.#machine.input("accepted", news);
          }
        },
        onFailure: (error) => {
          if (error.code === "E_ARGUMENT") this.#reject(error);
          const outcome = outcomeOfFailure(error);
          this.#machine.input("refused", { statusCode: 0, reason: error.message, outcome });
        },
      },
    );
  }

  receiveNotify(notify: SipRequest): void {
    const fragment = parseSipFragment(notify.body);
    const { statusCode, reason } = fragment ?? this.#last;
    const state = parseSubscriptionState(notify.headers.get("subscription-state"))?.state;
    const news: News = { statusCode, reason, ...(fragment ? { notify } : {}) };
    if (statusCode >= 300) this.#input("failure", { ...news, cause: causeOfStatus(statusCode) });
    else if (statusCode >= 200) this.#input("success", news);
    // The peer tells no more although the new call is undecided.
    else if (state === "terminated") this.#input("failure", { ...news, cause: "timeout" });
    else this.#input("progress", news);
  }

  peerHungUp(): boolean {
    const wasAccepted = this.#machine.state === "accepted" || this.#machine.state === "leaving";
    // Hung up without a word about the new call: the answer to our REFER is all there is to tell.
    const last = this.#last.statusCode === 0 ? this.#accepted : this.#last;
    this.#input("bye", { ...last, outcome: NO_SESSION });
    return wasAccepted && this.#options.hangup !== false;
  }

  #input(input: ReferInput, news: News): void {
    this.#last = { statusCode: news.statusCode, reason: news.reason };
    this.#machine.input(input, news);
  }

  #perform(action: ReferAction, news: News): void {
    const { statusCode, reason } = news;
    switch (action) {
      case "report":
        if (news.notify === undefined) return;
        this.#core.emit("refer-progress", { message: news.notify, statusCode, reason });
        this.#options.onProgress?.(statusCode, reason, news.notify);
        return;
      case "succeed":
        this.#settle({ ok: true, statusCode, reason, message: news.notify });
        return;
      case "fail": {
        const cause = news.cause ?? "rejected";
        this.#settle({ ok: false, cause, statusCode, reason, message: news.notify });
        return;
      }
      case "wait": {
        const core = this.#core;
        // Many peers hang up when they have been transferred: their BYE and ours need not cross.
        if (this.#options.hangup !== false) {
          core.after(core.services.timers.t1, () => this.#machine.input("leave", news));
        }
        return;
      }
      case "hangUp":
        this.#core.owner.endFor("transferred");
        return;
      case "settle":
        this.#settle(news.outcome ?? NO_SESSION);
    }
  }

  #settle(outcome: ActionOutcome): void {
    this.#timer.cancel();
    this.#stopWatching();
    // Without news of the new call nobody knows whether the target has been called yet: its peer will tell by BYE.
    const result = !outcome.ok ? "failed" : outcome.message === undefined ? "unknown" : "done";
    this.#target?.endTransfer(result, this.#options.hangup !== false);
    this.#resolve(outcome);
  }
}

function referHeaders(
  core: SessionCore,
  options: ReferOptions,
  neighbour: NeighbourCall | undefined,
): HeaderList {
  const { to } = options;
  const address = to === undefined ? undefined : core.services.parseTarget(to, core.account);
  const target = neighbour === undefined ? address : attendedTarget(neighbour, address);
  if (target === undefined) {
    throw new InvalidArgumentError("A transfer needs an address or another call to lead to", {
      rule: "no-target",
    });
  }
  const referrer =
    options.referredBy === undefined
      ? `<${core.snapshot().local.uri}>`
      : parseNameAddr(options.referredBy)?.toString();
  if (referrer === undefined) {
    throw new InvalidArgumentError(`"${String(options.referredBy)}" is no SIP address`);
  }
  return [["Refer-To", target.toString()], ["Referred-By", referrer], ...(options.headers ?? [])];
}
