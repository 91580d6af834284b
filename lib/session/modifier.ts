/**
 * The changes of an established call that we ask for, one after the other, and never while an exchange of the peer is
 * open (RFC 3261 §14.1, RFC 3311 §5.1).
 */
import { InvalidArgumentError, InvalidStateError, errorText } from "../foundation/index.js";
import { checkedModifiers } from "./description-modifier.js";
import { Modification, type ModificationPlan } from "./modification.js";
import { NO_SESSION, noSdpError } from "./outcomes.js";
import type { SessionCore } from "./session-core.js";
import type { ActionOutcome, ReInviteAction, ReInviteOptions } from "./session-types.js";

/** Changes that wait for their turn. */
const LONGEST_QUEUE = 16;
const ACTIONS: ReadonlySet<string> = new Set<ReInviteAction>([
  "hold",
  "resume",
  "renegotiate",
  "refresh",
]);
const QUEUE_FULL: ActionOutcome = { ok: false, cause: "limit", statusCode: 0 };

export class Modifier {
  readonly #core: SessionCore;
  readonly #isBusy: () => boolean;
  /** The first is the one that is under way, or next. */
  readonly #queue: Modification[] = [];
  #updateRefused = false;

  /** @param isBusy - Is an INVITE or UPDATE of the peer open? `proceed` tells when that is over. */
  constructor(core: SessionCore, isBusy: () => boolean) {
    this.#core = core;
    this.#isBusy = isBusy;
  }

  /** Is an INVITE of ours open (RFC 3261 §14.2)? */
  get hasOpenInvite(): boolean {
    return this.#queue[0]?.hasOpenInvite === true;
  }

  /** Would a bare refresh travel as UPDATE? */
  get mayUpdate(): boolean {
    return !this.#updateRefused && this.#core.peerAllows("UPDATE");
  }

  /**
   * Resolves with the peer's answer, or `no-session` when the call ends before.
   *
   * @throws InvalidArgumentError for an unknown action and rule `no-sdp`; InvalidStateError before the call is up.
   */
  reinvite(options: ReInviteOptions): Promise<ActionOutcome> {
    const core = this.#core;
    const { action, sdp, delayedOffer = false, headers = [] } = options;
    const modifiers = checkedModifiers(options.descriptionModifiers);
    if (!ACTIONS.has(action)) {
      throw new InvalidArgumentError(
        `"${String(action)}" is no way to change a call: use hold, resume, renegotiate or refresh`,
        { rule: "bad-action" },
      );
    }
    if (core.closed || core.state === "terminating") return Promise.resolve(NO_SESSION);
    if (!core.established || core.dialog === undefined) {
      throw new InvalidStateError(
        `The call is "${core.state}": only an established call can be changed by re-INVITE. ` +
          `Until it is answered it can be ${core.direction === "incoming" ? "answered, rejected" : "waited for"} or ended`,
        { rule: "bad-state" },
      );
    }
    const isRepeat = action === "refresh" && !delayedOffer;
    const hasSdp = sdp !== undefined || core.negotiation.hasHandler;
    const repeats = isRepeat && core.negotiation.localSdp !== undefined;
    // The offer of the peer comes to the application, which answers it then.
    if (!hasSdp && !delayedOffer && !repeats) throw noSdpError();
    return this.#enqueue({ action, sdp, delayedOffer, headers, modifiers });
  }

  /** re-INVITE with the description that is in force, for the session timer, which hears how it goes (RFC 4028 §7.4). */
  refreshByInvite(): void {
    const plan: ModificationPlan = {
      action: "refresh",
      sdp: undefined,
      delayedOffer: false,
      headers: [],
      byInvite: true,
    };
    const core = this.#core;
    const failed = (error?: unknown): void =>
      core.enter(() => {
        if (error !== undefined)
          core.logger.warn(`session ${core.id}: refresh: ${errorText(error)}`);
        // Known already, unless it came to no request at all.
        core.sessionTimer.failed();
      });
    this.#enqueue(plan).then((outcome) => outcome.ok || failed(), failed);
  }

  /** An exchange has ended: the next one may begin. */
  proceed(): void {
    const next = this.#queue[0];
    if (next?.state !== "waiting" || !this.#core.established || this.#isBusy()) return;
    if (this.#core.negotiation.state === "stable") next.start();
  }

  /** The call ends by us: an offer of the peer that waits for our answer gets a refusing one. */
  declineOffer(): void {
    this.#queue[0]?.declineOffer();
  }

  /** No callback may come any more. */
  abandon(): void {
    for (const modification of this.#queue.splice(0)) modification.abandon();
  }

  #enqueue(plan: ModificationPlan): Promise<ActionOutcome> {
    if (this.#queue.length >= LONGEST_QUEUE) return Promise.resolve(QUEUE_FULL);
    const modification: Modification = new Modification(this.#core, plan, {
      mayUpdate: () => this.mayUpdate,
      updateRefused: () => (this.#updateRefused = true),
      onWaiting: () => this.#later(),
      onDone: () => {
        const index = this.#queue.indexOf(modification);
        if (index >= 0) this.#queue.splice(index, 1);
        this.#later();
      },
    });
    this.#queue.push(modification);
    this.proceed();
    return modification.outcome;
  }

  /** In a turn of its own: whoever is done is still in the middle of it. */
  #later(): void {
    if (this.#queue.length === 0 || this.#core.closed) return;
    this.#core.clock.defer(() => this.#core.enter(() => this.proceed()));
  }
}
