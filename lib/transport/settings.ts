/** What the transport layer takes from outside, with the defaults of every number. */
import { CryptoRandom, silentLogger, SystemClock } from "../foundation/index.js";
import type { Clock, Logger, RandomSource } from "../foundation/index.js";
import { DEFAULT_LIMITS } from "../message/index.js";
import type { MessageLimits } from "../message/index.js";
import type { MessageObserver } from "./message-trace.js";
import type { TransportOptions } from "./transport.js";

export interface TransportLayerOptions {
  readonly transports: readonly TransportOptions[];
  readonly clock?: Clock | undefined;
  readonly random?: RandomSource | undefined;
  readonly logger?: Logger | undefined;
  readonly limits?: MessageLimits | undefined;
  readonly tuning?: Partial<TransportTuning> | undefined;
  /** Web pages that may connect over WebSocket besides those of the host itself; see `mayConnect`. */
  readonly origins?: readonly string[] | undefined;
  /** Sees every message that is sent or received; see `MessageObserver`. */
  readonly traceMessages?: MessageObserver | undefined;
}

/** Times in milliseconds, sizes in bytes. */
export interface TransportTuning {
  /** A connection without messages for this long is closed, unless somebody retains it. */
  readonly idleTimeoutMs: number;
  /** An accepted connection must bring its first whole message within this time. */
  readonly firstMessageTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** TLS and WebSocket handshakes of accepted connections. */
  readonly handshakeTimeoutMs: number;
  /** How long a closing connection may take to send what is queued. */
  readonly flushTimeoutMs: number;
  /** Longest time between keep-alives on a retained connection; RFC 5626 §4.4.1: 120 s. */
  readonly keepAliveMs: number;
  /** The same for a retained UDP flow that leaves our subnet; RFC 5626 §4.4.2: 29 s. */
  readonly datagramKeepAliveMs: number;
  /** A peer that has answered keep-alives before must answer the next within this time (RFC 5626 §4.4.1). */
  readonly pongTimeoutMs: number;
  /** Accepted connections at once, in all and from one address. */
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** Unsent bytes of one connection above which the peer counts as dead. */
  readonly sendQueueBytes: number;
  /** Remote addresses per UDP socket whose flows are remembered. */
  readonly maxDatagramFlows: number;
}

export const DEFAULT_TUNING: TransportTuning = {
  idleTimeoutMs: 600_000,
  firstMessageTimeoutMs: 30_000,
  connectTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000,
  flushTimeoutMs: 1_000,
  keepAliveMs: 120_000,
  datagramKeepAliveMs: 29_000,
  pongTimeoutMs: 10_000,
  maxConnections: 200,
  maxConnectionsPerAddress: 20,
  sendQueueBytes: 1_048_576,
  maxDatagramFlows: 4_096,
};

/** The same with everything filled in; shared by all files of this room. */
export interface TransportSettings {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly limits: MessageLimits;
  readonly tuning: TransportTuning;
  readonly origins: readonly string[];
  readonly traceMessages: MessageObserver | undefined;
}

export function resolveSettings(
  options: Omit<TransportLayerOptions, "transports">,
): TransportSettings {
  return {
    clock: options.clock ?? new SystemClock(),
    random: options.random ?? new CryptoRandom(),
    logger: options.logger ?? silentLogger,
    limits: options.limits ?? DEFAULT_LIMITS,
    tuning: { ...DEFAULT_TUNING, ...options.tuning },
    origins: options.origins ?? [],
    traceMessages: options.traceMessages,
  };
}
