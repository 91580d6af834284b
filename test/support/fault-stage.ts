/**
 * Alice, bob and carol with names in DNS, connections or datagrams, and sound in a worker, all on one clock; and the one thing that
 * goes wrong: the n-th connect, question to DNS, timer, packet or worker message.
 */
import assert from "node:assert/strict";
import { TransportError, type Clock, type Timer } from "../../lib/foundation/index.js";
import { EmbeddedMediaHandler } from "../../lib/media/index.js";
import { WorkerPool } from "../../lib/media/worker-pool.js";
import type { DnsClient, FlowCallback, FlowTarget } from "../../lib/transport/transport.js";
import { endAll, Person } from "./alice-and-bob.js";
import { FakeRtpWorker, type MessageFault } from "./fake-rtp-worker.js";
import { LoopNetwork } from "./loop-network.js";
import { ManualClock } from "./manual-clock.js";
import { SeededRandom } from "./seeded-random.js";

export type FaultPoint = "send" | "connect" | "resolve" | "timer" | "toWorker" | "fromWorker";
/** A number is a delay in milliseconds; `silence`: no answer ever comes. */
export type FaultKind = MessageFault | "fail" | "silence";

/** Counts what passes each point, and says which of them goes wrong. */
export class Faults {
  readonly counts: Record<FaultPoint, number> = {
    send: 0,
    connect: 0,
    resolve: 0,
    timer: 0,
    toWorker: 0,
    fromWorker: 0,
  };
  readonly #wanted:
    { readonly point: FaultPoint; readonly n: number; readonly kind: FaultKind } | undefined;
  /** Off while everything starts and stops. */
  armed = false;

  constructor(wanted?: {
    readonly point: FaultPoint;
    readonly n: number;
    readonly kind: FaultKind;
  }) {
    this.#wanted = wanted;
  }

  at(point: FaultPoint): FaultKind | undefined {
    if (!this.armed) return undefined;
    const number = ++this.counts[point];
    return this.#wanted?.point === point && this.#wanted.n === number
      ? this.#wanted.kind
      : undefined;
  }
}

/** A clock one of whose timers fires late, as in a process that was busy. */
class FaultyClock implements Clock {
  readonly #clock: Clock;
  readonly #faults: Faults;

  constructor(clock: Clock, faults: Faults) {
    this.#clock = clock;
    this.#faults = faults;
  }

  now(): number {
    return this.#clock.now();
  }

  wallTime(): number {
    return this.#clock.wallTime();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const fault = this.#faults.at("timer");
    return this.#clock.setTimer(delayMs + (typeof fault === "number" ? fault : 0), callback);
  }

  defer(callback: () => void): void {
    this.#clock.defer(callback);
  }
}

export interface FaultStageOptions {
  readonly protocol: "udp" | "tcp";
  readonly faults: Faults;
}

const NAMES = ["alice", "bob", "carol"] as const;

export class FaultStage {
  readonly clock = new ManualClock();
  readonly network = new LoopNetwork(this.clock);
  readonly alice: Person;
  readonly bob: Person;
  readonly carol: Person;
  readonly #workers: FakeRtpWorker[] = [];
  readonly #media: EmbeddedMediaHandler[] = [];
  readonly #options: FaultStageOptions;

  private constructor(options: FaultStageOptions) {
    this.#options = options;
    const { faults } = options;
    const pool = new WorkerPool({
      clock: this.clock,
      mostWorkers: 1,
      createWorker: () => {
        const worker = FakeRtpWorker.create({
          clock: this.clock,
          fault: (way) => faults.at(way) as MessageFault | undefined,
        });
        this.#workers.push(worker);
        return worker;
      },
    });
    const clock = new FaultyClock(this.clock, faults);
    [this.alice, this.bob, this.carol] = NAMES.map((name, index) => {
      const address = `10.0.0.${index + 1}`;
      const random = new SeededRandom(index + 7);
      const mediaHandler = new EmbeddedMediaHandler({
        address,
        codecs: ["PCMU"],
        random,
        workers: pool,
      });
      this.#media.push(mediaHandler);
      const person = new Person(name, address, this.network, this.clock, {
        protocols: [options.protocol],
        mediaHandler,
        clock,
        dns: this.#dns(),
      });
      this.#breakConnects(person);
      return person;
    }) as [Person, Person, Person];
    this.network.rule(() => {
      const fault = faults.at("send");
      return fault === "die" || fault === "silence" ? "drop" : fault;
    });
  }

  static async open(options: FaultStageOptions): Promise<FaultStage> {
    const stage = new FaultStage(options);
    const starting = stage.people.map(({ userAgent }) => userAgent.start());
    await stage.pass(10);
    await Promise.all(starting);
    options.faults.armed = true;
    return stage;
  }

  get people(): readonly Person[] {
    return [this.alice, this.bob, this.carol];
  }

  /** By name, so that DNS has to be asked. */
  uri({ name }: Person): string {
    return `sip:${name}@${name}.test${this.#options.protocol === "tcp" ? ";transport=tcp" : ""}`;
  }

  pass(ms: number): Promise<void> {
    return this.clock.advanceAsync(ms);
  }

  /** Stops everybody and asserts that nothing is left. @param logged - errors in the log are part of the fault. */
  async end(logged: boolean): Promise<void> {
    this.#options.faults.armed = false;
    if (logged) for (const person of this.people) person.errors.length = 0;
    for (const handler of this.#media)
      assert.equal(handler.sessionCount, 0, "media sessions are left");
    for (const worker of this.#workers) assert.equal(worker.open.size, 0, "the worker keeps ports");
    await endAll(this.clock, this.people);
  }

  #breakConnects(person: Person): void {
    const { endpoint } = person;
    const connect = endpoint.connect.bind(endpoint);
    endpoint.connect = (target: FlowTarget, callback: FlowCallback) => {
      const fault = this.#options.faults.at("connect");
      if (fault === undefined) connect(target, callback);
      else if (typeof fault === "number")
        this.clock.setTimer(fault, () => connect(target, callback));
      else {
        const where = `${target.protocol}:${target.address}:${target.port}`;
        this.clock.defer(() =>
          callback(new TransportError(`Connection refused by ${where}`, where), undefined),
        );
      }
    };
  }

  #dns(): DnsClient {
    const answer = <T>(records: readonly T[]): Promise<T[]> => {
      const fault = this.#options.faults.at("resolve");
      if (fault === "silence") return new Promise(() => undefined);
      if (fault === "fail") return failure("ESERVFAIL");
      if (fault === "drop" || records.length === 0) return failure("ENODATA");
      if (typeof fault !== "number") return Promise.resolve([...records]);
      return new Promise((resolve) => this.clock.setTimer(fault, () => resolve([...records])));
    };
    const service = /^_sip\._(udp|tcp)\.(\w+)\.test$/;
    const host = /^(?:host\.)?(\w+)\.test$/;
    return {
      resolveNaptr: () => answer([]),
      resolveSrv: (name) => {
        const [, protocol, person] = service.exec(name) ?? [];
        const there = protocol === this.#options.protocol;
        const record = { priority: 1, weight: 1, port: 5060, name: `host.${person}.test` };
        return answer(there ? [record] : []);
      },
      resolve4: (name) => {
        const place = NAMES.findIndex((one) => one === host.exec(name)?.[1]);
        return answer(place < 0 ? [] : [`10.0.0.${place + 1}`]);
      },
      resolve6: () => answer([]),
    };
  }
}

function failure<T>(code: string): Promise<T> {
  return Promise.reject(Object.assign(new Error(code), { code }));
}
