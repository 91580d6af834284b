/**
 * 2xx responses that come when their call is over (RFC 3261 §13.2.2.4, RFC 6026 §7.2): one that is repeated gets its ACK again, one
 * of another fork ACK and BYE. It knows nothing of the session, so that 64·T1 of waiting for them cost little memory.
 */
import type { SipRequest, SipResponse } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import type { SentAck } from "./ack.js";
import { Fork } from "./fork.js";
import type { AccountHandle, LateResponseUser, SessionServices } from "./session-services.js";

/** For a re-INVITE that is acknowledged: only the ACK may be asked for again. */
export class RepeatedAck implements LateResponseUser {
  readonly #ack: SentAck;

  constructor(ack: SentAck) {
    this.#ack = ack;
  }

  onResponse({ statusCode }: SipResponse): void {
    if (statusCode >= 200 && statusCode < 300) this.#ack.resend();
  }
}

export class LateAnswers implements LateResponseUser {
  readonly #services: SessionServices;
  readonly #invite: SipRequest;
  readonly #account: AccountHandle | undefined;
  readonly #forks: Map<string, Fork>;
  readonly #most: number;

  /**
   * @param forks - What is known by its To tag; belongs to this object from now on.
   * @param most - Further ones are refused each time that they come.
   */
  constructor(
    services: SessionServices,
    invite: SipRequest,
    account: AccountHandle | undefined,
    forks: Map<string, Fork>,
    most: number,
  ) {
    this.#services = services;
    this.#invite = invite;
    this.#account = account;
    this.#forks = forks;
    this.#most = most;
  }

  onResponse(response: SipResponse, flow: Flow): void {
    if (response.statusCode < 200 || response.statusCode >= 300) return;
    const tag = response.to.tag ?? "";
    let fork = this.#forks.get(tag);
    if (fork === undefined) {
      fork = new Fork(this.#services, this.#invite, response);
      if (this.#forks.size < this.#most) this.#forks.set(tag, fork);
    }
    fork.refuse(response, flow, this.#account);
  }
}
