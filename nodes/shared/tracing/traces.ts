/**
 * The messages that stacks with `trace` have sent and received, by call, within limits. They belong to the process, so that they
 * outlive a deploy.
 */
import type { TracedMessage } from "../../../lib/index.js";
import { keptMessage, type KeptMessage, type LoggedMessage, MessageLog } from "./message-log.js";
import { LONGEST_VALUE, callIdOf, outlineOf } from "./outline.js";
import { redacted } from "./redaction.js";

export interface TraceLimits {
  /** Messages of one Call-ID: so many of its beginning, and of its end. */
  readonly first: number;
  readonly last: number;
  /** Messages of no call, by stack. */
  readonly others: number;
  /** And so many of them in a second: who floods a stack must not make it read every message twice. */
  readonly othersPerSecond: number;
  readonly liveCalls: number;
  /** Of all stacks. */
  readonly bytes: number;
}

export const TRACE_LIMITS: TraceLimits = {
  first: 100,
  last: 100,
  others: 200,
  othersPerSecond: 500,
  liveCalls: 500,
  bytes: 16 << 20,
};

/** What a session is called by in messages. */
export interface TracedCall {
  readonly stackId: string;
  readonly callIds: readonly string[];
  readonly direction: "incoming" | "outgoing";
}

interface CallLog {
  readonly log: MessageLog;
  /** Sessions with this Call-ID. */
  users: number;
  /** There were two: the stack has called itself. */
  shared: boolean;
}

interface SessionEntry extends TracedCall {
  isLive: boolean;
}

export class Traces {
  /** By stack and Call-ID. */
  readonly #calls = new Map<string, CallLog>();
  /** By stack. */
  readonly #others = new Map<string, MessageLog>();
  /** By handle, oldest first. */
  readonly #sessions = new Map<string, SessionEntry>();
  #live = 0;
  #bytes = 0;
  #second = 0;
  #inSecond = 0;

  /** @param onChange - Called after each message. */
  constructor(
    private readonly onChange: () => void = () => undefined,
    private readonly limits: TraceLimits = TRACE_LIMITS,
  ) {}

  /** Bytes in use, about. */
  get size(): number {
    return this.#bytes;
  }

  add(stackId: string, traced: TracedMessage): void {
    const isKnown = this.#calls.has(key(stackId, callIdOf(traced.data)));
    if (!isKnown && !this.#mayKeepOther(traced.time)) return;
    const shown = redacted(traced.data);
    const message = keptMessage(traced, shown, outlineOf(shown.head));
    const call = this.#calls.get(key(stackId, message.outline.callId));
    this.#put(call?.log ?? this.#othersOf(stackId), message);
    this.onChange();
  }

  /** From now on messages with these Call-IDs are of this session; those that came before are found. */
  open(handle: string, call: TracedCall): void {
    if (this.#sessions.has(handle) || this.#live >= this.limits.liveCalls) return;
    this.#sessions.set(handle, { ...call, isLive: true });
    this.#live++;
    for (const callId of call.callIds) {
      const name = key(call.stackId, callId);
      const known = this.#calls.get(name);
      if (known !== undefined) {
        known.users++;
        known.shared = true;
        continue;
      }
      const log = new MessageLog(this.limits.first, this.limits.last);
      this.#calls.set(name, { log, users: 1, shared: false });
      for (const message of this.#withdraw(call.stackId, callId)) this.#put(log, message);
    }
  }

  /** The session is over; it is kept until `forget`, or until its room is needed. */
  close(handle: string): void {
    const entry = this.#sessions.get(handle);
    if (entry?.isLive !== true) return;
    entry.isLive = false;
    this.#live--;
    // Ended ones go in the order of their end.
    this.#sessions.delete(handle);
    this.#sessions.set(handle, entry);
  }

  forget(handle: string): void {
    const entry = this.#sessions.get(handle);
    if (entry === undefined) return;
    this.close(handle);
    this.#sessions.delete(handle);
    for (const callId of entry.callIds) {
      const name = key(entry.stackId, callId);
      const call = this.#calls.get(name);
      if (call === undefined || --call.users > 0) continue;
      this.#bytes -= call.log.size;
      this.#calls.delete(name);
    }
  }

  /** The stack is gone for good. */
  forgetStack(stackId: string): void {
    this.#bytes -= this.#others.get(stackId)?.size ?? 0;
    this.#others.delete(stackId);
  }

  /** How many messages of a session are kept. */
  count(handle: string): number {
    const entry = this.#sessions.get(handle);
    if (entry === undefined) return 0;
    const logs = this.#logsOf(entry);
    if (logs.some(({ shared }) => shared)) return this.messages(handle).length;
    return logs.reduce((count, { log }) => count + log.length, 0);
  }

  /** The messages of a session in the order of time. */
  messages(handle: string): LoggedMessage[] {
    const entry = this.#sessions.get(handle);
    if (entry === undefined) return [];
    const logs = this.#logsOf(entry).map((call) => ownMessages(call, entry.direction));
    return logs.length === 1 ? (logs[0] ?? []) : inOneOrder(logs);
  }

  /** The last messages of a stack that belong to no call. */
  others(stackId: string): LoggedMessage[] {
    return [...(this.#others.get(stackId) ?? [])];
  }

  /** A second begins with the first message after the last one. */
  #mayKeepOther(time: number): boolean {
    const passed = time - this.#second;
    if (passed >= 1000 || passed < 0) {
      this.#second = time;
      this.#inSecond = 0;
    }
    return ++this.#inSecond <= this.limits.othersPerSecond;
  }

  #othersOf(stackId: string): MessageLog {
    let log = this.#others.get(stackId);
    if (log === undefined) this.#others.set(stackId, (log = new MessageLog(0, this.limits.others)));
    return log;
  }

  #logsOf(entry: SessionEntry): CallLog[] {
    return entry.callIds.flatMap((id) => this.#calls.get(key(entry.stackId, id)) ?? []);
  }

  #withdraw(stackId: string, callId: string): KeptMessage[] {
    const log = this.#others.get(stackId);
    if (log === undefined) return [];
    const before = log.size;
    const taken = log.take(callId);
    this.#bytes += log.size - before;
    return taken;
  }

  #put(log: MessageLog, message: KeptMessage): void {
    const before = log.size;
    log.add(message);
    this.#bytes += log.size - before;
    while (this.#bytes > this.limits.bytes && this.#makeRoom()) {
      // Until there is room.
    }
  }

  /** Ended calls go first, then messages of no call; calls that live give up their middle. */
  #makeRoom(): boolean {
    for (const [handle, { isLive }] of this.#sessions) {
      if (isLive) continue;
      this.forget(handle);
      return true;
    }
    for (const log of this.#others.values()) {
      const before = log.size;
      if (!log.dropOldest()) continue;
      this.#bytes += log.size - before;
      return true;
    }
    for (const { log } of this.#calls.values()) {
      const before = log.size;
      if (!log.thin()) continue;
      this.#bytes += log.size - before;
      return true;
    }
    return false;
  }
}

function key(stackId: string, callId: string): string {
  // As long as outlines have them.
  return `${stackId} ${callId.slice(0, LONGEST_VALUE)}`;
}

/** When a stack calls itself, both sessions have one Call-ID: our tag in a message tells whose it is. */
function ownMessages(
  { log, shared }: CallLog,
  direction: TracedCall["direction"],
): LoggedMessage[] {
  const all = [...log];
  if (!shared) return all;
  const invite = all.find(({ message: { outline } }) => outline.method === "INVITE");
  const caller = invite?.message.outline.fromTag;
  return all.filter(({ message }) => {
    const { kind, fromTag, toTag } = message.outline;
    const isAsking = (message.direction === "sent") === (kind === "request");
    return ((isAsking ? fromTag : toTag) === caller) === (direction === "outgoing");
  });
}

/** Each target of an attempt has counted by itself. */
function inOneOrder(logs: readonly (readonly LoggedMessage[])[]): LoggedMessage[] {
  const numbers = new Map<string, number>();
  return logs
    .flatMap((log, i) => log.map((one) => ({ ...one, i })))
    .sort((a, b) => a.message.time - b.message.time)
    .map(({ message, ladder, i }, index) => {
      const name = `${i} ${ladder.transaction}`;
      const transaction = numbers.get(name) ?? numbers.size + 1;
      numbers.set(name, transaction);
      return { message, ladder: { ...ladder, index, transaction } };
    });
}
