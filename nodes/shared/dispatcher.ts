/**
 * Brings outputs to their nodes in the order of contract §4.1 (d): events in their order; for one event the
 * waiting nodes (longest wait first), then the owner, then the watching nodes; each in its own turn of the event
 * loop and never inside an input handler or a listener of the stack.
 *
 * An event opens a slot. The slot is worked off one turn later, when all promises that the event settled have
 * run: what they produced was put in front of the slot's own deliveries.
 */
import { errorText } from "../../lib/index.js";
import { deploys } from "./deploys.js";
import { type LiveNode, liveNode } from "./live-nodes.js";

/** One message for one node; `run` gets the instance that is alive then. */
export interface Delivery {
  readonly nodeId: string;
  run(live: LiveNode): void;
}

interface Slot {
  readonly sessionId: string | undefined;
  readonly eventName: string;
  /** Outputs of waiting nodes with the moment their wait began. */
  readonly waiting: { readonly since: number; readonly delivery: Delivery }[];
  readonly others: () => readonly Delivery[];
  /** Set when the slot's turn has come. */
  open: Delivery[] | undefined;
  /** How many results that belong to it are still being made; its turn waits for them. */
  held: number;
}

/**
 * Under a flood more arrives in one turn of the event loop than one delivery: above this many waiting events
 * several leave per turn, so that the queue cannot grow for ever.
 */
const CALM = 64;

class Dispatcher {
  readonly #slots: Slot[] = [];
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
    this.#slots.push({ sessionId, eventName, waiting: [], others, open: undefined, held: 0 });
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
    if (slot !== undefined) slot.waiting.push({ since, delivery });
    else
      this.#slots.push({
        sessionId,
        eventName: "",
        waiting: [{ since, delivery }],
        others: () => [],
        open: undefined,
        held: 0,
      });
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
    if (this.#scheduled || deploys.phase === "changing" || this.#next() === undefined) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const deliveries = 1 + Math.floor(this.#slots.length / CALM);
      for (let i = 0; i < deliveries; i++) this.#turn();
      this.#schedule();
    });
  }

  /** Works off one delivery; slots that have none cost no turn. */
  #turn(): void {
    if (deploys.phase === "changing") return;
    let slot: Slot | undefined;
    while ((slot = this.#next()) !== undefined) {
      slot.open ??= open(slot);
      const delivery = slot.open.shift();
      if (slot.open.length === 0) this.#slots.splice(this.#slots.indexOf(slot), 1);
      if (delivery === undefined) continue;
      const live = liveNode(delivery.nodeId);
      if (live === undefined) continue;
      try {
        delivery.run(live);
      } catch (error) {
        live.node.error(errorText(error));
      }
      return;
    }
  }

  /** The first slot that nothing holds back, neither itself nor an earlier one of its session. */
  #next(): Slot | undefined {
    const first = this.#slots.at(0);
    if (first === undefined || first.held === 0) return first;
    const heldSessions = new Set<string | undefined>();
    return this.#slots.find((slot) => {
      if (slot.held > 0) heldSessions.add(slot.sessionId);
      return !heldSessions.has(slot.sessionId);
    });
  }
}

function open(slot: Slot): Delivery[] {
  slot.waiting.sort((a, b) => a.since - b.since);
  const deliveries = slot.waiting.map((entry) => entry.delivery);
  try {
    deliveries.push(...slot.others());
  } catch (error) {
    // Thrown out of here it would end the process.
    deploys.report(error);
  }
  return deliveries;
}

export const dispatcher = new Dispatcher();
