/**
 * What the nodes take from outside: the user agent and media they create, and time. Tests put fakes behind it
 * (test/support/fake-user-agent.ts).
 */
import {
  type Clock,
  EmbeddedMediaHandler,
  type Logger,
  type MediaHandler,
  type OpenChannel,
  openUdpChannel,
  type SrtpMode,
  SystemClock,
  UserAgent,
  type UserAgentOptions,
} from "../../lib/index.js";
import type { Group } from "./fleet/group.js";
import { type GroupSettings, openGroup } from "./fleet/open-group.js";

/** The part of the user agent that nodes use. */
export type UserAgentPort = Pick<
  UserAgent,
  | "on"
  | "start"
  | "stop"
  | "drain"
  | "resume"
  | "drainState"
  | "running"
  | "bound"
  | "sessions"
  | "accounts"
  | "addSupplement"
  | "admitCall"
  | "addAccount"
  | "removeAccount"
  | "invite"
  | "request"
  | "subscribe"
  | "notify"
  | "subscriberFacts"
  | "pendingRequest"
  | "counters"
  | "callUsages"
  | "tellSubscribers"
  | "onIncomingCall"
  | "onUnknownDialog"
  | "restore"
  | "handOver"
  | "requestPolicy"
  | "observeMessages"
  | "calledUser"
  | "renewTls"
>;

export interface EmbeddedMediaSettings {
  readonly address: string | undefined;
  readonly advertise: string | undefined;
  readonly portMin: number;
  readonly portMax: number;
  readonly codecs: readonly string[];
  readonly srtp: SrtpMode;
  /** Milliseconds; 0 = never. */
  readonly mediaTimeout: number;
  readonly logger: Logger;
}

export interface Environment {
  readonly clock: Clock;
  /** @throws InvalidArgumentError `bad-stack`. */
  createGroup(settings: GroupSettings): Group;
  createUserAgent(options: UserAgentOptions): UserAgentPort;
  createMediaHandler(settings: EmbeddedMediaSettings): MediaHandler;
  /** To an rtpengine. */
  readonly openChannel: OpenChannel;
}

const real: Environment = {
  clock: new SystemClock(),
  createGroup: openGroup,
  createUserAgent: (options) => new UserAgent(options),
  createMediaHandler: (settings) => new EmbeddedMediaHandler(settings),
  openChannel: openUdpChannel,
};

let current: Environment = real;

export function environment(): Environment {
  return current;
}

/** For tests. @returns puts back what was there before. */
export function replaceEnvironment(change: Partial<Environment>): () => void {
  const before = current;
  current = { ...current, ...change };
  return () => {
    current = before;
  };
}
