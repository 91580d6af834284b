/**
 * The telephones of the soak: user agents on real loopback sockets, the sessions that they see, and who takes which call.
 * Every wait is bounded, so that a story that hangs fails with what it had seen.
 */
import assert from "node:assert/strict";
import {
  DescriptionMediaHandler,
  EmbeddedMediaHandler,
  UserAgent,
  type ActionOutcome,
  type Clock,
  type InviteOptions,
  type MediaHandler,
  type Session,
} from "../../lib/index.js";
import type { WorkerPool } from "../../lib/media/worker-pool.js";
import { ownNetwork } from "../support/port-range.js";

/** Longer than a transaction over UDP, so that what ends by a time-out is seen as that. */
const LONGEST_WAIT_MS = 80_000;
/** Nobody else's: its ports are free. */
const ADDRESS = `${ownNetwork()}.1`;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** One side of a call, and what was heard of it. */
export class Line {
  readonly seen = new Set<string>();
  /** `ended:local-bye`, `failed:busy` …; empty while it is open. */
  end = "";
  digits = "";
  #check: (() => void) | undefined;

  constructor(readonly session: Session) {
    session.on("event", ({ name, snapshot, digit }) => {
      this.seen.add(name);
      if (digit) this.digits += digit.digit;
      if (name === "ended" || name === "failed") this.end = `${name}:${snapshot.cause}`;
      this.#check?.();
    });
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#check = undefined;
        reject(new Error(`no ${what}, but ${[...this.seen].join(" ")} ${this.end}`));
      }, LONGEST_WAIT_MS);
      this.#check = () => {
        if (!condition()) return;
        this.#check = undefined;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async heard(name: string): Promise<void> {
    await this.until(name, () => this.seen.has(name));
  }

  /** Waits for the end, which must be this one. */
  async over(...expected: string[]): Promise<void> {
    await this.until(`end (${expected.join()})`, () => this.end !== "");
    assert.ok(expected.includes(this.end), `${this.end} instead of ${expected.join()}`);
  }
}

export interface PhoneOptions {
  readonly clock: Clock;
  /** Real sound, in these threads; without them descriptions only. */
  readonly workers?: WorkerPool | undefined;
}

/** A user agent that takes the calls it was told to expect. */
export class Phone {
  readonly userAgent: UserAgent;
  readonly #media: MediaHandler;
  readonly #expected = new Map<string, (line: Line) => void>();
  /** Calls in place of another, by the handle of that one. */
  readonly #replacing = new Map<string, (line: Line) => void>();
  readonly #followed = new Map<string, Promise<ActionOutcome>>();
  /** What the user agent wrote as an error, the first of them. */
  readonly errors: string[] = [];

  constructor(
    readonly name: string,
    { clock, workers }: PhoneOptions,
  ) {
    this.#media = workers
      ? new EmbeddedMediaHandler({
          address: ADDRESS,
          portMin: 14_000,
          portMax: 17_999,
          codecs: ["PCMU", "PCMA"],
          workers,
        })
      : new DescriptionMediaHandler({ address: ADDRESS, port: 9 });
    this.userAgent = new UserAgent({
      transports: [{ protocol: "udp", address: ADDRESS, port: 0 }],
      mediaHandler: this.#media,
      clock,
      maxRequestsPerSecond: 0,
      logger: {
        debug: () => undefined,
        info: () => undefined,
        warn: () => undefined,
        error: (text) => void (this.errors.length < 10 && this.errors.push(text)),
      },
    });
    this.userAgent.requestPolicy = (name) => ({
      listened: true,
      holdMs: name === "refer" ? 500 : 0,
    });
    this.userAgent.on("sessionEvent", (session, { pending }) => {
      if (pending?.method === "REFER")
        this.#followed.set(session.id, pending.accept({ follow: true }));
    });
    this.userAgent.onIncomingCall = (session) => this.#take(session);
  }

  uri(user: string): string {
    return `sip:${user}@${ADDRESS}:${this.userAgent.bound[0]?.port}`;
  }

  /** Media sessions that are open. */
  get mediaCount(): number {
    return this.#media instanceof EmbeddedMediaHandler ? this.#media.sessionCount : 0;
  }

  call(target: string, options: Omit<InviteOptions, "targets"> = {}): Line {
    return new Line(this.userAgent.invite({ targets: [target], ...options }));
  }

  /** The call to this user, when it comes. */
  expect(user: string): Promise<Line> {
    return this.#wait(this.#expected, user);
  }

  /** The call that comes in place of this one. */
  expectReplacing(line: Line): Promise<Line> {
    return this.#wait(this.#replacing, line.session.id);
  }

  /** The answered call that was placed for the REFER in this one. */
  async placed(by: Line): Promise<Line> {
    await by.heard("refer");
    const outcome = await this.#followed.get(by.session.id);
    this.#followed.delete(by.session.id);
    assert.ok(outcome?.ok, `the REFER was followed to ${outcome?.statusCode}`);
    const session = this.userAgent.sessions.get(outcome.newSession?.id ?? "");
    assert.ok(session, "the call placed for a REFER is gone");
    return new Line(session);
  }

  /** The status code that came of the REFER in this call. */
  async refused(by: Line): Promise<number> {
    await by.heard("refer");
    const outcome = await this.#followed.get(by.session.id);
    this.#followed.delete(by.session.id);
    return outcome?.ok === false ? outcome.statusCode : 0;
  }

  #take(session: Session): boolean {
    const { local, replaces } = session.snapshot();
    const waiting = replaces === undefined ? this.#expected : this.#replacing;
    const key = replaces ?? local.user;
    const found = waiting.get(key);
    waiting.delete(key);
    found?.(new Line(session));
    return found !== undefined;
  }

  #wait(map: Map<string, (line: Line) => void>, key: string): Promise<Line> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        map.delete(key);
        reject(new Error(`${this.name}: no call came for ${key}`));
      }, LONGEST_WAIT_MS);
      map.set(key, (line) => {
        clearTimeout(timer);
        resolve(line);
      });
    });
  }

  /** Calls and followed REFERs that nobody has fetched. */
  get waitingCount(): number {
    return this.#expected.size + this.#replacing.size + this.#followed.size;
  }
}
