/**
 * The messages of one Call-ID, or of no call: the first ones and the last ones, each with what a ladder diagram shows.
 */
import type { TracedMessage } from "../../../lib/index.js";
import { LONGEST_VALUE, type Outline } from "./outline.js";
import type { ShownMessage } from "./redaction.js";

export interface Place {
  readonly address: string;
  readonly port: number;
}

/** One arrow of a ladder, as `GET sip/sessions/:id` gives it. */
export interface LadderMessage {
  /** Counts all messages of the call, those that were left out included. */
  readonly index: number;
  /** ISO 8601 with milliseconds. */
  readonly time: string;
  readonly direction: "sent" | "received";
  readonly protocol: string;
  readonly local: Place;
  readonly remote: Place;
  readonly kind: "request" | "response";
  readonly method: string;
  readonly statusCode?: number;
  readonly reason?: string;
  readonly cseq: string;
  readonly branch?: string;
  /** The same number = one request with its responses, its ACK and its CANCEL. */
  readonly transaction: number;
  readonly retransmission: boolean;
  readonly hasSdp: boolean;
  /** On the wire. */
  readonly bytes: number;
  /** The whole message without secrets. */
  readonly text: string;
  /** So many messages before this one were not kept. */
  readonly skipped?: number;
}

/** A message as it is stored. */
export interface KeptMessage {
  readonly direction: "sent" | "received";
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly protocol: string;
  readonly local: Place;
  readonly remote: Place;
  readonly outline: Outline;
  readonly text: string;
  readonly encoding: "utf8" | "latin1";
  readonly bytes: number;
  /** What it costs to keep, about; bytes. */
  readonly size: number;
}

export interface LoggedMessage {
  readonly message: KeptMessage;
  readonly ladder: LadderMessage;
}

interface Entry {
  readonly index: number;
  readonly message: KeptMessage;
  readonly transaction: number;
  readonly retransmission: boolean;
  /** What others of the same transaction, and what repetitions of it, have as well. */
  readonly transactionKey: string;
  readonly repetitionKey: string | undefined;
}

/** Objects and short strings around a text. */
const OVERHEAD = 700;

export function keptMessage(
  traced: TracedMessage,
  shown: ShownMessage,
  outline: Outline,
): KeptMessage {
  const text = shown.head + shown.body;
  const { direction, time, protocol, data } = traced;
  return {
    direction,
    time,
    protocol,
    local: { address: traced.localAddress, port: traced.localPort },
    remote: { address: traced.remoteAddress, port: traced.remotePort },
    outline,
    text,
    encoding: shown.encoding,
    bytes: typeof data === "string" ? Buffer.byteLength(data) : data.byteLength,
    size: text.length * 2 + OVERHEAD,
  };
}

export class MessageLog {
  readonly #first: Entry[] = [];
  readonly #last: Entry[] = [];
  #count = 0;
  #transactions = 0;
  readonly #hasBeginning: boolean;
  /** Bytes, about. */
  size = 0;

  /**
   * @param keepFirst - So many of the beginning stay.
   * @param keepLast - And so many of the end.
   */
  constructor(
    private keepFirst: number,
    private keepLast: number,
  ) {
    this.#hasBeginning = keepFirst > 0;
  }

  /** Messages that are kept. */
  get length(): number {
    return this.#first.length + this.#last.length;
  }

  add(message: KeptMessage): void {
    const own = transactionKey(message);
    const repetition = repetitionKey(message);
    let transaction: number | undefined;
    let retransmission = false;
    for (const entries of [this.#last, this.#first]) {
      for (const entry of entries) {
        if (entry.transactionKey === own) transaction = entry.transaction;
        if (repetition !== undefined && entry.repetitionKey === repetition) retransmission = true;
      }
    }
    const index = this.#count++;
    transaction ??= ++this.#transactions;
    this.size += message.size;
    const entry: Entry = {
      index,
      message,
      transaction,
      retransmission,
      transactionKey: own,
      repetitionKey: repetition,
    };
    // What was left out before must not be followed by another beginning.
    const isBeginning = this.#last.length === 0 && this.#first.length === index;
    if (isBeginning && this.#first.length < this.keepFirst) this.#first.push(entry);
    else this.#last.push(entry);
    this.#shorten();
  }

  /** Keeps half as much from now on. @returns false when there is nothing left to give. */
  thin(): boolean {
    if (this.keepFirst + this.keepLast <= 2) return false;
    this.keepFirst = Math.max(1, this.keepFirst >> 1);
    this.keepLast = Math.max(1, this.keepLast >> 1);
    this.#shorten();
    return true;
  }

  /** Takes out the messages of a Call-ID, oldest first. */
  take(callId: string): KeptMessage[] {
    const wanted = callId.slice(0, LONGEST_VALUE);
    const taken: KeptMessage[] = [];
    for (const entries of [this.#first, this.#last]) {
      const left = entries.filter(({ message }) => {
        if (message.outline.callId !== wanted) return true;
        taken.push(message);
        this.size -= message.size;
        return false;
      });
      entries.splice(0, entries.length, ...left);
    }
    return taken;
  }

  /** Takes out the oldest message that may go. */
  dropOldest(): boolean {
    const entry = this.#last.shift() ?? this.#first.pop();
    if (entry !== undefined) this.size -= entry.message.size;
    return entry !== undefined;
  }

  *[Symbol.iterator](): Generator<LoggedMessage> {
    let expected = 0;
    for (const entries of [this.#first, this.#last]) {
      for (const entry of entries) {
        // Of a list of the last ones nobody misses what went before.
        const skipped = this.#hasBeginning ? entry.index - expected : 0;
        expected = entry.index + 1;
        yield { message: entry.message, ladder: ladderMessage(entry, skipped) };
      }
    }
  }

  #shorten(): void {
    while (this.#first.length > this.keepFirst) this.size -= this.#first.pop()?.message.size ?? 0;
    while (this.#last.length > this.keepLast) this.size -= this.#last.shift()?.message.size ?? 0;
  }
}

function ladderMessage(entry: Entry, skipped: number): LadderMessage {
  const { message, index, transaction, retransmission } = entry;
  const { outline } = message;
  return {
    index,
    time: new Date(message.time).toISOString(),
    direction: message.direction,
    protocol: message.protocol,
    local: message.local,
    remote: message.remote,
    kind: outline.kind,
    method: outline.method,
    ...(outline.statusCode === undefined ? {} : { statusCode: outline.statusCode }),
    ...(outline.reason === undefined ? {} : { reason: outline.reason }),
    cseq: outline.cseq,
    ...(outline.branch === undefined ? {} : { branch: outline.branch }),
    transaction,
    retransmission,
    hasSdp: outline.hasSdp,
    bytes: message.bytes,
    text: message.text,
    ...(skipped > 0 ? { skipped } : {}),
  };
}

/** Who asked, and the number of the question: ACK and CANCEL have that of their INVITE. */
function transactionKey({ direction, outline }: KeptMessage): string {
  const isOurs = (direction === "sent") === (outline.kind === "request");
  const { method, cseq, callId } = outline;
  const verb = method === "ACK" || method === "CANCEL" ? "INVITE" : method;
  return `${isOurs ? ">" : "<"}${Number.parseInt(cseq, 10)} ${verb} ${callId}`;
}

/** RFC 3261 §17: the same branch, method, status and way. A message that has no branch repeats nothing. */
function repetitionKey({ direction, outline, remote }: KeptMessage): string | undefined {
  const { branch, method, statusCode, toTag } = outline;
  if (branch === undefined) return undefined;
  // Responses of several phones to one request are no repetitions.
  const answer = statusCode === undefined ? "" : `${statusCode} ${toTag}`;
  return `${direction} ${remote.port} ${branch} ${method} ${answer}`;
}
