/** The security agreement of one outgoing request (RFC 3329): asked for by a 494, repeated in what is sent from then on. */
import { challengesOf } from "../auth/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type { HeaderList } from "../session/index.js";
import type { FlowTarget } from "../transport/transport.js";
import { agreeOnSecurity, type SecurityAgreements } from "./security-agreement.js";

export class ExchangeAgreement {
  readonly #known: SecurityAgreements;
  #headers: HeaderList | undefined;
  #agreedBy: SipResponse | undefined;

  constructor(known: SecurityAgreements) {
    this.#known = known;
  }

  /** Puts the headers of the agreement into a request. @param isOwnServer - of ours: an earlier agreement holds. */
  apply(request: SipRequest, target: FlowTarget, isOwnServer: boolean): void {
    const agreement = this.#headers ?? (isOwnServer ? this.#known.of(target) : undefined);
    if (agreement === undefined) return;
    // Of an agreement that the server has replaced.
    request.headers.delete("security-client");
    request.headers.delete("security-verify");
    for (const [name, value] of agreement) {
      // Require may name other extensions already.
      if (!request.headers.getAll(name).includes(value)) request.headers.add(name, value);
    }
  }

  /** A 494 came. @returns true when the request can go again at once, as no password is asked for. */
  agree(response: SipResponse, target: FlowTarget, isOwnServer: boolean): boolean {
    // A server that is not content with what it asked for is not asked again.
    if (this.#headers !== undefined) return false;
    const headers = agreeOnSecurity(response, target.protocol);
    if (isOwnServer) this.#known.remember(target, headers);
    if (headers === undefined) return false;
    this.#headers = headers;
    this.#agreedBy = response;
    return challengesOf(response).length === 0;
  }

  /** Is this a 494 that was understood, with a challenge of its own? */
  isAgreed(response: SipResponse): boolean {
    return this.#agreedBy === response;
  }
}
