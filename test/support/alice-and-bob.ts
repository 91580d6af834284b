/**
 * Two user agents on one network in memory and one clock that stands still until a test advances it. A third party
 * (a registrar, a hostile peer) can be added with `ScriptedPeer`.
 */
import assert from "node:assert/strict";
import type { Logger } from "../../lib/foundation/index.js";
import { DescriptionMediaHandler } from "../../lib/media/description-handler.js";
import type { Session, SessionEvent } from "../../lib/session/index.js";
import type { StackEvent, UserAgentOptions } from "../../lib/user-agent/index.js";
import { UserAgent } from "../../lib/user-agent/index.js";
import type { TransportProtocol } from "../../lib/transport/transport.js";
import { LoopNetwork } from "./loop-network.js";
import type { LoopEndpoint } from "./loop-network.js";
import { ManualClock } from "./manual-clock.js";
import { SeededRandom } from "./seeded-random.js";

export interface PersonOptions extends UserAgentOptions {
  /** Default `["udp", "tcp"]`. */
  readonly protocols?: readonly TransportProtocol[];
  /** False: `media: none`. */
  readonly media?: boolean;
}

/** One user agent with everything that it reported. */
export class Person {
  readonly userAgent: UserAgent;
  readonly endpoint: LoopEndpoint;
  /** `name` of each session event, in order. */
  readonly events: [Session, SessionEvent][] = [];
  readonly stackEvents: StackEvent[] = [];
  /** Sessions of incoming calls, in order. */
  readonly calls: Session[] = [];
  readonly errors: string[] = [];

  constructor(
    readonly name: string,
    readonly address: string,
    readonly network: LoopNetwork,
    clock: ManualClock,
    options: PersonOptions = {},
  ) {
    const { protocols = ["udp", "tcp"], media = true, ...rest } = options;
    this.endpoint = network.endpoint({ name, address, protocols });
    const random = new SeededRandom(hash(name));
    this.userAgent = new UserAgent({
      transports: [{ protocol: "udp", address, port: 5060 }],
      mediaHandler: media
        ? new DescriptionMediaHandler({ address, port: 4000, random })
        : undefined,
      clock,
      random,
      transportLayer: this.endpoint,
      logger: failOnError(this.errors),
      dns: NO_DNS,
      ...rest,
    });
    this.userAgent.on("sessionEvent", (session, event) => this.events.push([session, event]));
    this.userAgent.on("stackEvent", (event) => this.stackEvents.push(event));
  }

  get uri(): string {
    return `sip:${this.name}@${this.address}`;
  }

  /** Takes every call; `answer` decides what happens to it. */
  takeCalls(answer: (session: Session) => void = () => undefined): void {
    this.userAgent.onIncomingCall = (session) => {
      this.calls.push(session);
      answer(session);
      return true;
    };
  }

  /** Names of the events of one session, or of all. `state` events are left out. */
  heard(session?: Session): string[] {
    return this.events
      .filter(
        ([s, event]) => (session === undefined || s === session) && !QUIET.includes(event.name),
      )
      .map(([, event]) => event.name);
  }

  /** Names of stack events, `request` and `response` left out. */
  heardOfStack(): string[] {
    return this.stackEvents.map(({ name }) => name).filter((name) => !QUIET.includes(name));
  }

  last(name: SessionEvent["name"]): SessionEvent {
    const found = this.events.findLast(([, event]) => event.name === name);
    assert.ok(found, `${this.name} heard no ${name}, but ${this.heard().join(", ")}`);
    return found[1];
  }
}

const QUIET: readonly string[] = ["state", "media", "request", "response"];

export interface AliceAndBob {
  readonly clock: ManualClock;
  readonly network: LoopNetwork;
  readonly alice: Person;
  readonly bob: Person;
  /** Lets time pass, promises included. */
  pass(ms: number): Promise<void>;
  /** Stops both and asserts that nothing is left. */
  end(): Promise<void>;
}

export async function aliceAndBob(
  options: { readonly alice?: PersonOptions; readonly bob?: PersonOptions } = {},
): Promise<AliceAndBob> {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const alice = new Person("alice", "10.0.0.1", network, clock, options.alice);
  const bob = new Person("bob", "10.0.0.2", network, clock, options.bob);
  await alice.userAgent.start();
  await bob.userAgent.start();
  return {
    clock,
    network,
    alice,
    bob,
    pass: (ms) => clock.advanceAsync(ms),
    end: () => endAll(clock, [alice, bob]),
  };
}

/** Stops user agents and asserts that they leave no timer, no session and no error behind. */
export async function endAll(clock: ManualClock, people: readonly Person[]): Promise<void> {
  const stops = people.map((person) => person.userAgent.stop());
  await clock.advanceAsync(3_000);
  await Promise.all(stops);
  // Packets that are still on their way through the network.
  await clock.advanceAsync(1_000);
  for (const person of people) {
    assert.deepEqual(person.errors, [], `${person.name} logged errors`);
    assert.equal(person.userAgent.sessions.size, 0, `${person.name} keeps sessions`);
    const { dialogs, pendingRequests, outgoingRequests } = person.userAgent.counters();
    assert.deepEqual(
      { dialogs, pendingRequests, outgoingRequests },
      { dialogs: 0, pendingRequests: 0, outgoingRequests: 0 },
      `${person.name} keeps something`,
    );
  }
  assert.equal(clock.pendingTimers(), 0, `timers are left at ${clock.schedule().join(", ")}`);
}

/** Answers that no name exists; tests that need names bring their own. */
const NO_DNS: NonNullable<UserAgentOptions["dns"]> = {
  resolveNaptr: () => notFound(),
  resolveSrv: () => notFound(),
  resolve4: () => notFound(),
  resolve6: () => notFound(),
};

function notFound<T>(): Promise<T> {
  return Promise.reject(Object.assign(new Error("queryA ENOTFOUND"), { code: "ENOTFOUND" }));
}

function failOnError(errors: string[]): Logger {
  return {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (text) => errors.push(text),
  };
}

function hash(text: string): number {
  let value = 7;
  for (const character of text) value = (value * 31 + character.charCodeAt(0)) >>> 0;
  return value;
}
