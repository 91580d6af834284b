/**
 * DNS questions with a deadline, asked once for all who ask the same at the same time, and not again for a while
 * when the answer was that there is nothing (RFC 2308).
 */
import type { Clock } from "../foundation/index.js";
import { errorCode } from "./transport-errors.js";
import type { DnsClient, NaptrRecord, SrvRecord } from "./transport.js";

export type DnsKind = "NAPTR" | "SRV" | "A" | "AAAA";

/** Records, perhaps none. `fault` tells why there are none when DNS itself failed: a code, or `timeout`. */
export interface DnsAnswer<R> {
  readonly records: readonly R[];
  readonly fault?: string | undefined;
}

export interface DnsTimes {
  /** Milliseconds after which a question counts as failed. */
  readonly questionMs: number;
  /** How long "there is nothing" is believed. */
  readonly absentMs: number;
  /** How long a failed question is not repeated: short, so that a returning network is noticed. */
  readonly failedAddressMs: number;
  /** The same for NAPTR and SRV that nobody answered. */
  readonly failedServiceMs: number;
}

export const DEFAULT_DNS_TIMES: DnsTimes = {
  questionMs: 4_500,
  absentMs: 30_000,
  failedAddressMs: 2_000,
  failedServiceMs: 30_000,
};

const MOST_REMEMBERED = 512;
const MOST_AT_ONCE = 256;
/** A question that has had no answer for so long is lost; then it may be asked again beside it. */
const LOST_MS = 60_000;
const ABSENT_CODES: ReadonlySet<string> = new Set(["ENOTFOUND", "ENODATA", "EAI_NODATA"]);

interface Remembered {
  readonly until: number;
  readonly answer: DnsAnswer<never>;
}

export class DnsQuestions {
  readonly #client: DnsClient;
  readonly #clock: Clock;
  readonly #times: DnsTimes;
  readonly #remembered = new Map<string, Remembered>();
  readonly #underway = new Map<string, Promise<DnsAnswer<unknown>>>();
  /** Questions beyond their deadline that may still be answered → when they count as lost. */
  readonly #late = new Map<string, number>();

  constructor(client: DnsClient, clock: Clock, times: Partial<DnsTimes> = {}) {
    this.#client = client;
    this.#clock = clock;
    this.#times = { ...DEFAULT_DNS_TIMES, ...times };
  }

  naptr(name: string): Promise<DnsAnswer<NaptrRecord>> {
    return this.#ask("NAPTR", name, (n) => this.#client.resolveNaptr(n));
  }

  srv(name: string): Promise<DnsAnswer<SrvRecord>> {
    return this.#ask("SRV", name, (n) => this.#client.resolveSrv(n));
  }

  addresses(name: string, family: 4 | 6): Promise<DnsAnswer<string>> {
    return family === 4
      ? this.#ask("A", name, (n) => this.#client.resolve4(n))
      : this.#ask("AAAA", name, (n) => this.#client.resolve6(n));
  }

  #ask<R>(
    kind: DnsKind,
    name: string,
    question: (name: string) => Promise<R[]>,
  ): Promise<DnsAnswer<R>> {
    const key = `${kind} ${name.toLowerCase()}`;
    const known = this.#remembered.get(key);
    if (known) {
      if (known.until > this.#clock.now()) return Promise.resolve(known.answer);
      this.#remembered.delete(key);
    }
    // The key names the kind of record, so whoever waits under it gets records of that kind.
    const underway = this.#underway.get(key) as Promise<DnsAnswer<R>> | undefined;
    if (underway) return underway;
    const lostAt = this.#late.get(key);
    if (lostAt !== undefined) {
      if (this.#clock.now() < lostAt) return Promise.resolve({ records: [], fault: "timeout" });
      this.#late.delete(key);
    }
    if (this.#underway.size + this.#late.size >= MOST_AT_ONCE) {
      this.#forgetLost();
      return Promise.resolve({ records: [], fault: "too many questions at once" });
    }
    const asked = this.#askNow(key, kind, name, question).then((answer) => {
      this.#underway.delete(key);
      if (answer.records.length === 0) this.#remember(key, kind, answer.fault);
      return answer;
    });
    this.#underway.set(key, asked);
    return asked;
  }

  #forgetLost(): void {
    const now = this.#clock.now();
    for (const [key, lostAt] of this.#late) if (lostAt <= now) this.#late.delete(key);
  }

  #askNow<R>(
    key: string,
    kind: DnsKind,
    name: string,
    question: (name: string) => Promise<R[]>,
  ): Promise<DnsAnswer<R>> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(this.#times.questionMs, () => {
        this.#late.set(key, this.#clock.now() + LOST_MS);
        resolve({ records: [], fault: "timeout" });
      });
      const ended = (): void => {
        timer.cancel();
        this.#late.delete(key);
      };
      const failed = (error: unknown): void => {
        ended();
        const code = errorCode(error) ?? `${kind} question failed`;
        resolve(ABSENT_CODES.has(code) ? { records: [] } : { records: [], fault: code });
      };
      try {
        question(name).then((records) => {
          ended();
          resolve({ records });
        }, failed);
      } catch (error) {
        failed(error);
      }
    });
  }

  #remember(key: string, kind: DnsKind, fault: string | undefined): void {
    if (this.#remembered.size >= MOST_REMEMBERED) this.#remembered.clear();
    const isAddress = kind === "A" || kind === "AAAA";
    const { absentMs, failedAddressMs, failedServiceMs } = this.#times;
    // A server that drops such questions would hold up every call; one that refuses them answers at once.
    const isSilent = fault === "timeout" || fault === "ETIMEOUT";
    const failedMs = isAddress || !isSilent ? failedAddressMs : failedServiceMs;
    const until = this.#clock.now() + (fault === undefined ? absentMs : failedMs);
    this.#remembered.set(key, { until, answer: { records: [], fault } });
  }
}
