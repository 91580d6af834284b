/**
 * Supplements: parts of an application that see every message of the stack, may change its headers, and may refuse
 * requests, without owning calls. Types, and the message as a supplement gets it.
 */
import { InvalidArgumentError, printable } from "../foundation/index.js";
import { isReservedHeader, isToken, type SipRequest, type SipResponse } from "../message/index.js";
import type { HeaderList, Session } from "../session/index.js";

/** How a supplement refuses a request. */
export interface SupplementRejection {
  /** 300 … 699. */
  readonly statusCode: number;
  readonly reason?: string | undefined;
  readonly headers?: HeaderList | undefined;
}

/** Lets the request pass, refuses it, or makes it wait (at most 20 s, then it passes). */
export type SupplementVerdict = SupplementRejection | undefined;

/** A request that waits for the application under a handle, as `UserAgent.pendingRequest` finds it. */
export interface SupplementHold {
  /** Undefined when too many wait: the request passes. */
  readonly handle: string | undefined;
  /** What the application answered: `reject`, or `accept` and the end of the time = pass. */
  readonly verdict: Promise<SupplementVerdict>;
}

/** Where a message belongs. */
export interface SupplementContext {
  /** Undefined outside of calls, and for an INVITE that begins an incoming one. */
  readonly session: Session | undefined;
  readonly accountId: string | undefined;
  /** The request that a response answers. */
  readonly request: SipRequest | undefined;
}

/** Of an incoming request. */
export interface IncomingRequestContext extends SupplementContext {
  /** Lets it wait for `sip-accept` or `sip-reject`; to be returned as the hook's verdict. Not for ACK and CANCEL. */
  hold(waitMs: number): SupplementHold;
}

/**
 * Hooks are called in the order in which supplements were added, once per message: repetitions are not shown, and a
 * request that is sent again with credentials is a new one. What a hook throws is logged and changes nothing.
 * Messages that the stack makes and sends without a transaction's user are not shown: 100 Trying, the answers to
 * CANCEL and to malformed requests, the ACK for a response ≥ 300.
 */
export interface Supplement {
  /** Upper case; none = all. A response belongs to the method of its CSeq. */
  readonly methods?: readonly string[] | undefined;
  /** ACK and CANCEL can be watched and changed, but not refused. */
  incomingRequest?(
    message: SupplementMessage<SipRequest>,
    context: IncomingRequestContext,
  ): SupplementVerdict | Promise<SupplementVerdict>;
  /**
   * Once for each outgoing request, before it is sent for the first time, and allowed to take a while: after 2 s the
   * request goes on without it. What it changes stays when the request is sent again with credentials. Not for ACK and
   * CANCEL, which cannot wait.
   */
  prepareRequest?(
    message: SupplementMessage<SipRequest>,
    context: SupplementContext,
  ): Promise<void> | undefined;
  incomingResponse?(message: SupplementMessage<SipResponse>, context: SupplementContext): void;
  outgoingRequest?(message: SupplementMessage<SipRequest>, context: SupplementContext): void;
  outgoingResponse?(message: SupplementMessage<SipResponse>, context: SupplementContext): void;
  /** Before the session's first event. */
  sessionBegin?(session: Session): void;
  /** After its last one; only for sessions whose begin this supplement has seen. */
  sessionEnd?(session: Session): void;
}

/** A message whose headers can be changed, those of the stack excepted (contract §4.2). */
export class SupplementMessage<M extends SipRequest | SipResponse = SipRequest | SipResponse> {
  /** To be read; changes go through the methods. */
  constructor(readonly message: M) {}

  get method(): string {
    const { message } = this;
    return message.kind === "request" ? message.method : message.cseq.method;
  }

  /** First value of a header, in any case. */
  header(name: string): string | undefined {
    return this.message.headers.get(name.toLowerCase());
  }

  /** Replaces every line of the header. @throws InvalidArgumentError `bad-header`. */
  set(name: string, value: string | readonly string[]): void {
    checkName(name);
    this.message.headers.set(name, value);
  }

  /** Adds a line. @throws InvalidArgumentError `bad-header`. */
  add(name: string, value: string): void {
    checkName(name);
    this.message.headers.add(name, value);
  }

  /** Removes every line of the header. @throws InvalidArgumentError `bad-header`. */
  remove(name: string): void {
    checkName(name);
    this.message.headers.delete(name);
  }
}

function checkName(name: string): void {
  if (isToken(name) && !isReservedHeader(name)) return;
  throw new InvalidArgumentError(
    `The header "${printable(name)}" is written by the stack and cannot be set by a supplement.`,
    { rule: "bad-header" },
  );
}
