/** What the machines of this room need from the transaction layer that runs them: types only. */
import type { Clock, Logger, RandomSource } from "../foundation/index.js";
import type { SipRequest } from "../message/index.js";
import type { Flow, FlowCallback } from "../transport/transport.js";
import type { TransactionTimers } from "./timer-queue.js";

export interface TransactionServices {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly timers: TransactionTimers;
}

/** `TransportLayer.responseFlow` (RFC 3261 §18.2.2). */
export type ResponseFlowFinder = (
  request: SipRequest,
  arrivedOn: Flow,
  callback: FlowCallback,
) => void;

/** The owner of client transactions: takes them out of its map. */
export interface ClientTransactionOwner extends TransactionServices {
  clientTerminated(key: string): void;
}

/** By what the layer finds a server transaction. */
export interface ServerTransactionKeys {
  readonly key: string;
  /** Of a request outside of dialogs: the same for every copy of it (RFC 3261 §8.2.2.2). */
  readonly mergeKey: string | undefined;
}

/** The owner of server transactions. */
export interface ServerTransactionOwner extends TransactionServices {
  readonly random: RandomSource;
  readonly responseFlow: ResponseFlowFinder | undefined;
  /** A final response was sent: the transaction only lingers to absorb repeated requests. */
  serverAnswered(): void;
  /** The user has sent its 2xx once more. */
  answerRepeated(): void;
  /** @param answered - Was `serverAnswered` called for it? */
  serverTerminated(keys: ServerTransactionKeys, answered: boolean): void;
  /** An ACK that reached the INVITE transaction of a 2xx: only peers without the magic cookie do that. */
  dialogAck(ack: SipRequest, flow: Flow): void;
}

/** Calls a transaction user; what it throws is a mistake of ours that must not harm the machine. */
export function callUser(logger: Logger, call: () => void): void {
  try {
    call();
  } catch (error) {
    reportUserError(logger, error);
  }
}

export function reportUserError(logger: Logger, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  logger.error(`Transaction user failed: ${text}`);
}
