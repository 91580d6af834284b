/**
 * Keeps the established calls of a stack in its group, so that others can go on with them: written with each change, in a
 * later turn than the call's own, looked at in turn every few seconds, removed at the end. A call that another instance has
 * taken, because this process was stopped for a while, is forgotten without a word.
 */
import type { Clock, Timer } from "../../../lib/index.js";
import { CallBridge } from "../bridges.js";
import type { Call } from "../call.js";
import { dialogKey, unitOf, writeReference, writeUnit } from "./call-unit.js";
import type { Group } from "./group.js";

export const CALL_KIND = "call";

/** Seconds that a record lives without being written again. */
const LIFE = 600;
/** Milliseconds after which one is written again though nothing has changed. */
const REWRITTEN_MS = 180_000;
/** Every call is looked at once in so many slices; what no event tells are refreshes of the session timer. */
const SLICES = 10;
const SLICE_MS = 1_000;
/** A timer that is so late tells that this process was stopped: the others may have taken its calls. */
const STOPPED_MS = 2_000;

interface Entry {
  readonly key: string;
  text: string;
  writtenAt: number;
}

export class CallKeeper {
  readonly #group: Group;
  readonly #clock: Clock;
  readonly #calls = new Map<Call, Entry | undefined>();
  readonly #byKey = new Map<string, Call>();
  readonly #changed = new Set<Call>();
  readonly #unlisten: () => void;
  #isDue = false;
  #timer: Timer | undefined;
  #dueAt = 0;
  /** What is left of this round. */
  #round: Call[] = [];

  constructor(group: Group, clock: Clock) {
    this.#group = group;
    this.#clock = clock;
    this.#unlisten = group.onRecordLost((kind, key) => {
      if (kind === CALL_KIND) this.#lost(key);
    });
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Something happened in the call. */
  observe(call: Call, event: string): void {
    if (event === "ended" || event === "failed") {
      this.#drop(call);
      return;
    }
    if (call.session.state !== "established") return;
    if (!this.#calls.has(call)) {
      this.#calls.set(call, undefined);
      call.onChanged = () => this.#touch(call);
      if (this.#timer === undefined) this.#nextSlice();
    }
    this.#touch(call);
  }

  /** Nothing is written any more; records stay until their calls have ended or their time is over. */
  stop(): void {
    this.#unlisten();
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const call of this.#calls.keys()) call.onChanged = undefined;
    this.#calls.clear();
    this.#byKey.clear();
    this.#changed.clear();
  }

  #touch(call: Call): void {
    if (!this.#calls.has(call)) return;
    this.#changed.add(call);
    if (this.#isDue) return;
    this.#isDue = true;
    this.#clock.defer(() => {
      this.#isDue = false;
      const changed = [...this.#changed];
      this.#changed.clear();
      for (const one of changed) this.#write(one);
    });
  }

  #write(call: Call): void {
    if (!this.#calls.has(call) || call.over) return;
    const calls = unitOf(call);
    const text = writeUnit(calls);
    const [first] = calls;
    if (text === undefined || first === undefined) return;
    this.#put(first, text);
    const key = this.#calls.get(first)?.key;
    for (const leg of calls.slice(1)) if (key !== undefined) this.#put(leg, writeReference(key));
  }

  #put(call: Call, text: string): void {
    if (!this.#calls.has(call)) return;
    const now = this.#clock.now();
    let entry = this.#calls.get(call);
    if (entry?.text === text && now - entry.writtenAt < REWRITTEN_MS) return;
    if (entry === undefined) {
      const { callId, localTag } = call.session.snapshot();
      entry = { key: dialogKey(callId, localTag), text, writtenAt: now };
      this.#calls.set(call, entry);
      this.#byKey.set(entry.key, call);
    }
    entry.text = text;
    entry.writtenAt = now;
    this.#group.put(CALL_KIND, entry.key, text, LIFE);
  }

  #drop(call: Call): void {
    const entry = this.#calls.get(call);
    this.#calls.delete(call);
    this.#changed.delete(call);
    call.onChanged = undefined;
    if (entry === undefined) return;
    this.#byKey.delete(entry.key);
    this.#group.remove(CALL_KIND, entry.key);
  }

  /** Looks at some of the calls. */
  #slice(): void {
    this.#timer = undefined;
    if (this.#calls.size === 0) return;
    if (this.#clock.now() - this.#dueAt > STOPPED_MS) this.#writeAgain();
    if (this.#round.length === 0) this.#round = [...this.#calls.keys()];
    const count = Math.ceil(this.#calls.size / SLICES);
    for (const call of this.#round.splice(-count)) this.#write(call);
    this.#nextSlice();
  }

  #nextSlice(): void {
    this.#dueAt = this.#clock.now() + SLICE_MS;
    this.#timer = this.#clock.setTimer(SLICE_MS, () => this.#slice());
  }

  /** What others have taken is refused, and so known as lost. */
  #writeAgain(): void {
    for (const entry of this.#calls.values()) {
      if (entry === undefined) continue;
      entry.writtenAt = this.#clock.now();
      this.#group.put(CALL_KIND, entry.key, entry.text, LIFE);
    }
  }

  /** Another instance has it; of a pair it has both. */
  #lost(key: string): void {
    const call = this.#byKey.get(key);
    if (call === undefined) return;
    const legs = unitOf(call);
    if (call.bridge instanceof CallBridge) call.bridge.forget();
    for (const leg of legs) {
      const entry = this.#calls.get(leg);
      this.#calls.delete(leg);
      if (entry !== undefined) this.#byKey.delete(entry.key);
      leg.forget();
    }
  }
}
