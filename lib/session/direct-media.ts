/**
 * Media that flows directly between the peers of two calls of ours (RFC 3725): the one is asked for its offer by a
 * re-INVITE without SDP, the other gets that offer by re-INVITE, and its answer travels in the ACK to the first. What
 * either changes afterwards is passed on to the other. One change at a time: a second one gets 491 (RFC 3261 §14.2).
 */
import { errorText, InvalidStateError, MediaError } from "../foundation/index.js";
import type { Logger } from "../foundation/index.js";
import type { Negotiation } from "./negotiation.js";
import { NO_SESSION } from "./outcomes.js";
import type { ActionOutcome, ReInviteOptions, SessionState } from "./session-types.js";

/** One of the two calls. */
export interface DirectLeg {
  readonly id: string;
  readonly state: SessionState;
  readonly negotiation: Negotiation;
  readonly reinvite: (options: ReInviteOptions) => Promise<ActionOutcome>;
}

/** How calls whose media flows directly are told apart from others. */
export interface DirectMediaControl {
  /**
   * Resolves when the media flows directly. `{ok: false}`: a peer refused, or a call has ended; the media is where it
   * was, or on its way back there.
   */
  start(): Promise<ActionOutcome>;
  /** The media comes back to us, in calls that are still up. Idempotent; never rejects. */
  stop(): Promise<void>;
}

const REFUSED = 488;
const GLARE = 491;

export class DirectMedia implements DirectMediaControl {
  readonly #legs: readonly [DirectLeg, DirectLeg];
  readonly #logger: Logger;
  /** Our descriptions of before, for calls without media of ours. */
  readonly #before: readonly (string | undefined)[];
  /** A change of one side is on its way to the other. */
  #isBusy = false;
  #phase: "starting" | "direct" | "failed" | "stopped" = "starting";
  #begun: Promise<unknown> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  /** @throws InvalidStateError unless both calls are up. */
  constructor(first: DirectLeg, second: DirectLeg, logger: Logger) {
    this.#legs = [first, second];
    this.#logger = logger;
    for (const { state } of this.#legs) {
      if (state === "established" || isOver(state)) continue;
      throw new InvalidStateError(
        `The call is "${state}": its media can flow directly to another one once both are established`,
        { rule: "bad-state" },
      );
    }
    this.#before = this.#legs.map(({ negotiation }) => negotiation.localSdp);
  }

  start(): Promise<ActionOutcome> {
    const started = this.#start();
    this.#begun = started.catch(() => undefined);
    return started;
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(): Promise<ActionOutcome> {
    const [first, second] = this.#legs;
    if (this.#legs.some(({ state }) => isOver(state))) return NO_SESSION;
    let telling: Promise<ActionOutcome> | undefined;
    for (const { negotiation } of this.#legs) negotiation.keepOrigin();
    first.negotiation.relayTo({
      answer: async (offer) => {
        telling = second.reinvite({ action: "renegotiate", sdp: offer });
        const outcome = await telling;
        return outcome.ok ? outcome.remoteSdp : undefined;
      },
    });
    const outcome = await first.reinvite({ action: "renegotiate", delayedOffer: true });
    first.negotiation.relayTo(undefined);
    // The first may have ended while the second was being asked.
    const told: ActionOutcome | undefined = await telling;
    // Both are brought back by `stop` then.
    if (this.#phase !== "starting") return NO_SESSION;
    if (outcome.ok && told?.ok === true) {
      this.#follow();
      return outcome;
    }
    this.#phase = "failed";
    // The second has agreed to what has come to nothing with the first.
    if (told?.ok === true) await this.#back(1);
    return outcome.ok ? (told ?? NO_SESSION) : outcome;
  }

  /** From now on each side answers what the other one asks for. */
  #follow(): void {
    this.#phase = "direct";
    for (const [place, leg] of this.#legs.entries()) {
      const other = this.#legs[1 - place];
      leg.negotiation.session?.suspend?.(true);
      leg.negotiation.relayTo({ answer: (offer) => this.#pass(other, offer) });
    }
  }

  async #pass(other: DirectLeg, offer: string): Promise<string> {
    if (this.#isBusy) {
      throw new MediaError("The other side is changing the call", { statusHint: GLARE });
    }
    this.#isBusy = true;
    try {
      const outcome = await other.reinvite({ action: "renegotiate", sdp: offer });
      if (outcome.ok && outcome.remoteSdp !== undefined) return outcome.remoteSdp;
      const statusHint = outcome.statusCode >= 400 ? outcome.statusCode : REFUSED;
      throw new MediaError("The other side has refused the change", { statusHint });
    } finally {
      this.#isBusy = false;
    }
  }

  async #stop(): Promise<void> {
    const hasFailed = this.#phase === "failed";
    this.#phase = "stopped";
    await this.#begun;
    if (hasFailed) return;
    for (const { negotiation } of this.#legs) negotiation.relayTo(undefined);
    await Promise.all([this.#back(0), this.#back(1)]);
  }

  /** Our own description again. */
  async #back(place: 0 | 1): Promise<void> {
    const { id, state, negotiation, reinvite } = this.#legs[place];
    if (state !== "established") return;
    const sdp = negotiation.hasHandler ? undefined : this.#before[place];
    let problem: string | undefined;
    try {
      const outcome = await reinvite({ action: "renegotiate", sdp });
      if (!outcome.ok && outcome.cause !== "no-session") {
        problem = `${outcome.statusCode} ${outcome.reason ?? ""}`;
      }
    } catch (error) {
      problem = errorText(error);
    }
    negotiation.session?.suspend?.(false);
    if (problem !== undefined) {
      this.#logger.warn(`session ${id}: the media has not come back: ${problem}`);
    }
  }
}

function isOver(state: SessionState): boolean {
  return state === "terminating" || state === "terminated";
}
