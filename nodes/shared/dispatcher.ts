/**
 * Brings outputs to their nodes in the order of contract §4.1 (d): events in their order; for one event the
 * waiting nodes (longest wait first), then the owner, then the watching nodes; those of a session each in its own turn
 * of the event loop and never inside an input handler or a listener of the stack.
 *
 * An event opens a slot. The slot is worked off one turn later, when all promises that the event settled have
 * run: what they produced was put in front of the slot's own deliveries. One turn serves as many sessions as wait, so
 * that calls do not queue for each other, but none of them twice.
 */
import { errorText } from "../../lib/index.js";
import { deploys } from "./deploys.js";
import { type LiveNode, liveNode } from "./live-nodes.js";

/** One message for one node; `run` gets the instance that is alive then. */
export interface Delivery {
  readonly nodeId: string;
  run(live: LiveNode): void;
}

/** The result of a waiting node with the moment its wait began. */
class Waited {
  constructor(
    readonly since: number,
    readonly delivery: Delivery,
  ) {}
}

/** An event with its deliveries; a class because of what it holds (docs/decisions/0017). */
class Slot {
  /** Outputs of waiting nodes. */
  waiting: Waited[] | undefined;
  /** Set when the slot's turn has come. */
  open: Delivery[] | undefined;
  /** How many results that belong to it are still being made; its turn waits for them. */
  held = 0;
  /** Everything in it has left. */
  isDone = false;

  constructor(
    readonly sessionId: string | undefined,
    readonly eventName: string,
    readonly others: (() => readonly Delivery[]) | undefined,
  ) {}

  add(since: number, delivery: Delivery): this {
    const waited = new Waited(since, delivery);
    if (this.waiting === undefined) this.waiting = Array.of(waited);
    else this.waiting.push(waited);
    return this;
  }
}

/**
 * Under a flood more without a session arrives in one turn of the event loop than one delivery: above this many waiting
 * events several leave per turn, so that the queue cannot grow for ever.
 */
const CALM = 64;
/** Of all sessions together; more than one turn can bring in. */
const MOST_DELIVERIES_PER_TURN = 256;

class Dispatcher {
  #slots: Slot[] = [];
  #scheduled = false;
  #sequence = 0;

  constructor() {
    deploys.listen({ started: () => this.#schedule(), stopped: () => this.#schedule() });
  }

  /** A number that grows: the age of a wait. */
  nextSequence(): number {
    return ++this.#sequence;
  }

  /** An event happened; `others` says later who (besides the waiting nodes) gets a message. */
  event(sessionId: string | undefined, eventName: string, others: () => readonly Delivery[]): void {
    this.#slots.push(new Slot(sessionId, eventName, others));
    this.#schedule();
  }

  /**
   * A waiting node has its result. It leaves with the event that caused it (one of `causes`) if that has not
   * been delivered yet, else after everything that is queued.
   */
  output(
    sessionId: string | undefined,
    causes: readonly string[],
    since: number,
    delivery: Delivery,
  ): void {
    const slot =
      causes.length === 0
        ? undefined
        : this.#slots.find(
            (candidate) =>
              candidate.open === undefined &&
              candidate.sessionId === sessionId &&
              causes.includes(candidate.eventName),
          );
    if (slot !== undefined) slot.add(since, delivery);
    else this.#slots.push(new Slot(sessionId, "", undefined).add(since, delivery));
    this.#schedule();
  }

  /**
   * A result that belongs to this event needs a moment more, such as a file that is being closed: the event and what
   * follows it in that session wait, other sessions do not.
   *
   * @returns to be called when the result has left, or never will. Idempotent.
   */
  hold(sessionId: string, causes: readonly string[]): () => void {
    const slot = this.#slots.find(
      (candidate) =>
        candidate.open === undefined &&
        candidate.sessionId === sessionId &&
        causes.includes(candidate.eventName),
    );
    if (slot === undefined) return () => undefined;
    slot.held += 1;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      slot.held -= 1;
      this.#schedule();
    };
  }

  #schedule(): void {
    if (this.#scheduled || deploys.phase === "changing" || !this.#isReady()) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#turn();
      this.#schedule();
    });
  }

  /** One delivery of each slot, until a session comes again; slots that have none cost no turn. */
  #turn(): void {
    const count = this.#slots.length;
    let loose = 1 + Math.floor(count / CALM);
    let left = MOST_DELIVERIES_PER_TURN;
    const served = new Set<string>();
    const held = new Set<string>();
    for (let i = 0; i < count && left > 0; i++) {
      const slot = this.#slots[i];
      if (slot === undefined || deploys.phase === "changing") break;
      const { sessionId } = slot;
      if (sessionId === undefined) {
        // It may be about any session: it overtakes nothing but what is held, and nothing overtakes it.
        if (served.size > 0 || loose === 0) break;
      } else {
        if (slot.held > 0) held.add(sessionId);
        if (held.has(sessionId)) continue;
        // The next of a session waits a turn, and who came after it does not overtake it: two calls may be joined.
        if (served.has(sessionId)) break;
      }
      if (!this.#deliver(slot)) continue;
      left -= 1;
      if (sessionId === undefined) loose -= 1;
      else served.add(sessionId);
    }
    this.#slots = this.#slots.filter((slot) => !slot.isDone);
  }

  /** The next delivery of a slot. @returns false when it had none that a node is there for. */
  #deliver(slot: Slot): boolean {
    const deliveries = (slot.open ??= open(slot));
    let live: LiveNode | undefined;
    let delivery: Delivery | undefined;
    do {
      delivery = deliveries.shift();
      if (delivery !== undefined) live = liveNode(delivery.nodeId);
    } while (delivery !== undefined && live === undefined);
    slot.isDone = deliveries.length === 0;
    if (delivery === undefined || live === undefined) return false;
    try {
      delivery.run(live);
    } catch (error) {
      live.node.error(errorText(error));
    }
    return true;
  }

  /** Is there a slot that nothing holds back, neither itself nor an earlier one? */
  #isReady(): boolean {
    const held = new Set<string>();
    for (const { sessionId, held: count } of this.#slots) {
      if (sessionId === undefined || (count === 0 && !held.has(sessionId))) return true;
      held.add(sessionId);
    }
    return false;
  }
}

function open(slot: Slot): Delivery[] {
  const waiting = slot.waiting?.sort((a, b) => a.since - b.since) ?? [];
  const deliveries = waiting.map((entry) => entry.delivery);
  try {
    deliveries.push(...(slot.others?.() ?? []));
  } catch (error) {
    // Thrown out of here it would end the process.
    deploys.report(error);
  }
  return deliveries;
}

export const dispatcher = new Dispatcher();
