/**
 * Questions to one rtpengine by its ng protocol over UDP: a cookie joins question and answer, and what gets no answer is
 * repeated. rtpengine answers a repeated cookie with what it answered before, so nothing is done twice.
 */
import { errorText, MediaError } from "../../foundation/index.js";
import type { Clock, RandomSource, Timer } from "../../foundation/index.js";
import {
  type BencodeDictionary,
  type BencodeInput,
  type BencodeValue,
  decodeBencode,
  encodeBencode,
} from "./bencode.js";

/** A way for datagrams to one address. */
export interface DatagramChannel {
  send(datagram: Buffer): void;
  close(): void;
}

export interface ChannelListener {
  onDatagram(datagram: Buffer): void;
  /** Nobody is there, or the name is unknown; the channel can be used on. */
  onError(error: Error): void;
}

export type OpenChannel = (
  host: string,
  port: number,
  listener: ChannelListener,
) => DatagramChannel;

export interface NgClientOptions {
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly open: OpenChannel;
}

/** Milliseconds after the first sending. After the last of them nothing is waited for any more. */
export const REPEATS_MS = [500, 1_500, 3_500] as const;
/** Of questions without an answer. */
const MOST_OPEN = 2_000;
/** Of a datagram over IPv4. */
const LONGEST_QUESTION = 65_000;

interface Question {
  readonly datagram: Buffer;
  readonly command: string;
  readonly resolve: (answer: BencodeDictionary) => void;
  readonly reject: (error: MediaError) => void;
  repeats: number;
  timer: Timer;
}

export class NgClient {
  readonly #options: NgClientOptions;
  readonly #questions = new Map<string, Question>();
  readonly #prefix: string;
  #count = 0;
  #channel: DatagramChannel | undefined;
  #isClosed = false;

  constructor(options: NgClientOptions) {
    this.#options = options;
    this.#prefix = Buffer.from(options.random.bytes(6)).toString("hex");
  }

  /**
   * Resolves with the answer of a command that was carried out. Rejects with MediaError, rule `no-engine` (no answer in 3.5
   * s, or nobody there), `engine-refused` (its reason is in the text), `bad-answer`.
   */
  ask(
    command: string,
    fields: Readonly<Record<string, BencodeInput | undefined>> = {},
  ): Promise<BencodeDictionary> {
    return new Promise((resolve, reject) => {
      const cookie = `${this.#prefix}${(++this.#count).toString(36)}`;
      const body = encodeBencode({ command, ...fields });
      if (this.#isClosed) throw noEngine("it is no longer used");
      if (this.#questions.size >= MOST_OPEN) throw noEngine("too many questions wait");
      if (body.length > LONGEST_QUESTION) {
        throw new MediaError(`too much for rtpengine in one "${command}"`, { rule: "too-long" });
      }
      const datagram = Buffer.concat([Buffer.from(`${cookie} `), body]);
      const timer = this.#options.clock.setTimer(REPEATS_MS[0], () => this.#late(cookie));
      this.#questions.set(cookie, { datagram, command, resolve, reject, repeats: 0, timer });
      this.#send(datagram);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#channel?.close();
    this.#channel = undefined;
    this.#failAll("it is no longer used");
  }

  #send(datagram: Buffer): void {
    const { host, port, open } = this.#options;
    this.#channel ??= open(host, port, {
      onDatagram: (answer) => this.#receive(answer),
      onError: (error) => this.#failAll(errorText(error)),
    });
    this.#channel.send(datagram);
  }

  #late(cookie: string): void {
    const question = this.#questions.get(cookie);
    if (question === undefined) return;
    const next = ++question.repeats;
    if (next >= REPEATS_MS.length) {
      this.#questions.delete(cookie);
      question.reject(noEngine("no answer"));
      return;
    }
    const wait = REPEATS_MS[next] - REPEATS_MS[next - 1];
    question.timer = this.#options.clock.setTimer(wait, () => this.#late(cookie));
    this.#send(question.datagram);
  }

  #receive(datagram: Buffer): void {
    const space = datagram.indexOf(0x20);
    if (space < 1 || space > 64) return;
    const cookie = datagram.toString("latin1", 0, space);
    // A repetition, or nothing that was asked for.
    const question = this.#questions.get(cookie);
    if (question === undefined) return;
    this.#questions.delete(cookie);
    question.timer.cancel();
    try {
      question.resolve(answerOf(question.command, decodeBencode(datagram.subarray(space + 1))));
    } catch (error) {
      question.reject(error instanceof MediaError ? error : new MediaError(errorText(error)));
    }
  }

  #failAll(why: string): void {
    const waiting = [...this.#questions.values()];
    this.#questions.clear();
    for (const { timer, reject } of waiting) {
      timer.cancel();
      reject(noEngine(why));
    }
  }
}

function noEngine(why: string): MediaError {
  return new MediaError(`rtpengine does not answer: ${why}`, {
    rule: "no-engine",
    statusHint: 503,
  });
}

/** @throws MediaError */
function answerOf(command: string, value: BencodeValue): BencodeDictionary {
  if (typeof value === "object" && "get" in value) {
    const result = value.get("result");
    if (result === "ok" || result === "pong") return value;
    const said = value.get("error-reason");
    const reason = typeof said === "string" ? said.slice(0, 200) : "no reason given";
    throw new MediaError(`rtpengine refuses "${command}": ${reason}`, { rule: "engine-refused" });
  }
  throw new MediaError("rtpengine sent what is no answer", { rule: "bad-answer" });
}

/** Is this the way of an engine that is not there, and not what it says? */
export function isNoEngine(error: unknown): boolean {
  return error instanceof MediaError && (error.rule === "no-engine" || error.rule === "bad-answer");
}
