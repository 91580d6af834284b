/**
 * Media that flows directly between the peers of two calls of ours (RFC 3725): the one is asked for its offer by a
 * re-INVITE without SDP, the other gets that offer by re-INVITE, and its answer travels in the ACK to the first. What
 * either changes afterwards is passed on to the other. One change at a time: a second one gets 491 (RFC 3261 §14.2).
 * With a path every description passes through it, and the media through the relay that it speaks for.
 */
import { errorText, InvalidStateError, MediaError, StateMachine } from "../foundation/index.js";
import type { Logger } from "../foundation/index.js";
import { directMediaMachine, type DirectMediaAction } from "./direct-media-state.js";
import type { MediaStatistics } from "./media-handler.js";
import type { Negotiation } from "./negotiation.js";
import { NO_SESSION } from "./outcomes.js";
import type { ActionOutcome, ReInviteOptions, SessionState } from "./session-types.js";

/** One of the two calls. */
export interface DirectLeg {
  readonly id: string;
  readonly state: SessionState;
  readonly negotiation: Negotiation;
  readonly reinvite: (options: ReInviteOptions) => Promise<ActionOutcome>;
  /** Resolves when that time is over; never when the call ends before. */
  readonly wait: (ms: number) => Promise<void>;
}

/** The first call or the second. */
export type Place = 0 | 1;

/** What descriptions pass through on their way from one peer to the other: a relay of media. */
export interface DescriptionPath {
  /** What `from` offers → what the other one is to be offered. Rejects with MediaError; nothing has changed then. */
  offer(from: Place, sdp: string): Promise<string>;
  /** What `from` answers → what the one who offered gets. Rejects with MediaError. */
  answer(from: Place, sdp: string): Promise<string>;
  /** The last offer was refused by who should answer it: what held before holds. */
  refused(): void;
  /** No media goes there any more. Idempotent. */
  end(): void;
  /** What was counted at that place so far. Never rejects; undefined = nobody knows. */
  statistics(place: Place): Promise<MediaStatistics | undefined>;
}

/** Two calls whose media flows directly, or is going to. */
export interface DirectMediaControl {
  /**
   * Resolves when the media flows directly. `{ok: false}`: a peer refused, a call has ended, or it was stopped; the
   * media is where it was.
   */
  start(): Promise<ActionOutcome>;
  /** In place of `start`, for calls whose media flows directly already: they were taken over from another process. */
  resume(): void;
  /** Both have agreed, and it has not come back. */
  readonly isDirect: boolean;
  /**
   * The relay of the path is lost: both are asked again, by a path that finds another one. Resolves as `start`; the media
   * is with us when that fails. Nothing happens unless the media flows there.
   */
  again(): Promise<ActionOutcome>;
  /** The media comes back to us, in calls that are still up. Idempotent; never rejects. */
  stop(): Promise<void>;
}

const TOO_LATE: ActionOutcome = {
  ok: false,
  cause: "timeout",
  statusCode: 0,
  reason: "no answer in time",
};

/** What the two said. */
interface Asked {
  readonly first: ActionOutcome;
  readonly second: ActionOutcome | undefined;
  /** The first has got the answer of the second, not ours. */
  readonly isPassed: boolean;
}

/** For a refusal without a status of its own. */
const REFUSED = 488;
const GLARE = 491;
/** A change that the relay cannot take now; the call goes on as it is. */
const NO_RELAY = 500;
/** A peer waits 32 s for the ACK with its answer; one that is asked by re-INVITE answers by itself, or is gone. */
const LONGEST_ANSWER_MS = 10_000;

export class DirectMedia implements DirectMediaControl {
  readonly #legs: readonly [DirectLeg, DirectLeg];
  readonly #logger: Logger;
  readonly #path: DescriptionPath | undefined;
  /** Why the path did not take the first description. */
  #problem: ActionOutcome | undefined;
  readonly #machine = new StateMachine(directMediaMachine, (action) => this.#perform(action));
  /** Our descriptions of before, for calls without media of ours. */
  readonly #before: readonly (string | undefined)[];
  /** A change of one side is on its way to the other. */
  #isBusy = false;
  #asked: Promise<unknown> = Promise.resolve();
  #back: Promise<unknown> = Promise.resolve();

  /** @throws InvalidStateError unless both calls are up. */
  constructor(first: DirectLeg, second: DirectLeg, logger: Logger, path?: DescriptionPath) {
    this.#legs = [first, second];
    this.#logger = logger;
    this.#path = path;
    for (const { state } of this.#legs) {
      if (state === "established" || isOver(state)) continue;
      throw new InvalidStateError(
        `The call is "${state}": its media can flow directly to another one once both are established`,
        { rule: "bad-state" },
      );
    }
    this.#before = this.#legs.map(({ negotiation }) => negotiation.localSdp);
  }

  async start(): Promise<ActionOutcome> {
    this.#count();
    return this.#round();
  }

  #count(): void {
    const path = this.#path;
    if (path === undefined) return;
    for (const place of [0, 1] as const) {
      this.#legs[place].negotiation.countWith(() => path.statistics(place));
    }
  }

  async again(): Promise<ActionOutcome> {
    return this.#machine.input("lost", undefined) ? this.#round() : NO_SESSION;
  }

  get isDirect(): boolean {
    return this.#machine.state === "direct";
  }

  resume(): void {
    this.#count();
    for (const { negotiation } of this.#legs) negotiation.keepOrigin();
    this.#machine.input("agreed", undefined);
  }

  async stop(): Promise<void> {
    this.#machine.input("stop", undefined);
    await this.#asked;
    await this.#back;
  }

  async #round(): Promise<ActionOutcome> {
    const asked = this.#ask();
    this.#asked = asked.catch(() => undefined);
    const { first, second, isPassed } = await asked;
    if (!second?.ok) this.#machine.input("refused", undefined);
    else this.#machine.input(first.ok && isPassed ? "agreed" : "halfAgreed", undefined);
    await this.#back;
    if (this.#machine.state === "direct") return first;
    this.#path?.end();
    if (!first.ok) return first;
    if (second?.ok === false) return second;
    return this.#problem ?? (isPassed ? NO_SESSION : TOO_LATE);
  }

  /** The first for its offer, the second for the answer to it. */
  async #ask(): Promise<Asked> {
    const [first, second] = this.#legs;
    let isPassed = false;
    if (this.#legs.some(({ state }) => isOver(state))) {
      return { first: NO_SESSION, second: undefined, isPassed };
    }
    let asking: Promise<ActionOutcome> | undefined;
    for (const { negotiation } of this.#legs) negotiation.keepOrigin();
    first.negotiation.relayTo({
      always: true,
      answer: async (offer) => {
        const passed = await this.#attempt((path) => path.offer(0, offer), offer);
        if (passed === undefined || isOver(second.state)) return undefined;
        asking = second.reinvite({ action: "renegotiate", sdp: passed });
        const outcome = await Promise.race([asking, first.wait(LONGEST_ANSWER_MS)]);
        const remoteSdp = outcome?.ok === true ? outcome.remoteSdp : undefined;
        if (remoteSdp === undefined) return undefined;
        const answer = await this.#attempt((path) => path.answer(1, remoteSdp), remoteSdp);
        isPassed = answer !== undefined;
        return answer;
      },
    });
    const outcome = await first.reinvite({ action: "renegotiate", delayedOffer: true });
    first.negotiation.relayTo(undefined);
    // The first may have ended while the second was being asked.
    return { first: outcome, second: await asking, isPassed };
  }

  /** Through the path where there is one; undefined = it does not take it, and the first keeps our own media. */
  async #attempt(
    work: (path: DescriptionPath) => Promise<string>,
    otherwise: string,
  ): Promise<string | undefined> {
    if (this.#path === undefined) return otherwise;
    try {
      return await work(this.#path);
    } catch (error) {
      const reason = errorText(error);
      this.#problem = { ok: false, cause: "incompatible-media", statusCode: 0, reason };
      return undefined;
    }
  }

  #perform(action: DirectMediaAction): void {
    switch (action) {
      case "follow":
        this.#follow();
        return;
      case "askAgain":
        // Whoever changes something now comes too early.
        for (const { negotiation } of this.#legs) negotiation.relayTo({ answer: glare });
        return;
      case "bringBack":
        for (const { negotiation } of this.#legs) negotiation.relayTo(undefined);
        this.#back = Promise.all([this.#bringBack(0), this.#bringBack(1)]).then(() =>
          this.#path?.end(),
        );
        return;
      case "bringSecondBack":
        this.#back = this.#bringBack(1);
    }
  }

  /** From now on each side answers what the other one asks for. */
  #follow(): void {
    for (const place of [0, 1] as const) {
      const { negotiation } = this.#legs[place];
      negotiation.session?.suspend?.(true);
      negotiation.relayTo({ answer: (offer) => this.#pass(place, offer) });
    }
  }

  async #pass(from: Place, offer: string): Promise<string> {
    if (this.#isBusy) return glare();
    this.#isBusy = true;
    try {
      const path = this.#path;
      const to = from === 0 ? 1 : 0;
      const passed = path === undefined ? offer : await relayed(path.offer(from, offer));
      const outcome = await this.#legs[to].reinvite({ action: "renegotiate", sdp: passed });
      const remoteSdp = outcome.ok ? outcome.remoteSdp : undefined;
      if (remoteSdp !== undefined) {
        return path === undefined ? remoteSdp : await relayed(path.answer(to, remoteSdp));
      }
      path?.refused();
      const statusHint = outcome.statusCode >= 400 ? outcome.statusCode : REFUSED;
      throw new MediaError("The other side has refused the change", { statusHint });
    } finally {
      this.#isBusy = false;
    }
  }

  /** Our own description again. */
  async #bringBack(place: 0 | 1): Promise<void> {
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

function glare(): Promise<never> {
  const text = "The other side is changing the call";
  return Promise.reject(new MediaError(text, { statusHint: GLARE }));
}

async function relayed(work: Promise<string>): Promise<string> {
  try {
    return await work;
  } catch (error) {
    throw new MediaError(errorText(error), { statusHint: NO_RELAY, cause: error });
  }
}

function isOver(state: SessionState): boolean {
  return state === "terminating" || state === "terminated";
}
