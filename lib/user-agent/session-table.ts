/** The live sessions by handle, with the limit on their number and the funnel of their events. */
import { ShortLivedMap } from "../foundation/index.js";
import type { CallSession, Session, SessionEvent } from "../session/index.js";
import type { Supplements } from "./supplements.js";

export class SessionTable {
  readonly #sessions = new ShortLivedMap<string, CallSession>();
  readonly #most: number;
  readonly #isHeard: () => boolean;
  readonly #supplements: () => Supplements;
  readonly #report: (session: Session, event: SessionEvent) => void;
  readonly #onEmpty: () => void;
  #placed = 0;

  /**
   * @param most - 0 = unlimited.
   * @param isHeard - does anybody listen? Events cost, so sessions that nobody hears report none.
   * @param onEmpty - the last session has closed.
   */
  constructor(
    most: number,
    isHeard: () => boolean,
    report: (session: Session, event: SessionEvent) => void,
    supplements: () => Supplements,
    onEmpty: () => void,
  ) {
    this.#most = most;
    this.#isHeard = isHeard;
    this.#report = report;
    this.#supplements = supplements;
    this.#onEmpty = onEmpty;
  }

  get all(): ReadonlyMap<string, Session> {
    return this.#sessions;
  }

  /** Sessions since the start. */
  get placed(): number {
    return this.#placed;
  }

  get isFull(): boolean {
    return this.#most > 0 && this.#sessions.size >= this.#most;
  }

  add(session: CallSession): void {
    this.#placed++;
    this.#sessions.set(session.id, session);
    const supplements = this.#supplements();
    if (!supplements.isEmpty) {
      supplements.expectSession(session);
      session.on("event", () => supplements.sessionBegin(session));
    }
    if (this.#isHeard()) session.on("event", (event) => this.#report(session, event));
    if (!supplements.isEmpty) {
      session.on("event", ({ name }) => {
        if (name === "ended" || name === "failed") supplements.sessionEnd(session);
      });
    }
  }

  remove(session: CallSession): void {
    if (this.#sessions.delete(session.id) && this.#sessions.size === 0) this.#onEmpty();
  }

  get(handle: string): CallSession | undefined {
    return this.#sessions.get(handle);
  }

  list(): CallSession[] {
    return [...this.#sessions.values()];
  }
}
