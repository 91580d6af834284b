/**
 * Calls that the application itself places to its own user agent, as a test: they pass where the gate would refuse this
 * machine (contract §2 `allow`, `deny`) or the limit of requests would. They are known by their Call-ID, which nobody else
 * can know, and by the machine that they come from.
 */
import { InvalidArgumentError } from "../foundation/index.js";
import type { SipRequest } from "../message/index.js";
import { isLoopback } from "../transport/index.js";
import type { Flow } from "../transport/transport.js";

/** Whoever admits must also take back. */
const MOST_CALLS = 64;
/** A Call-ID that could be guessed would open the gate to others on this machine. */
const SHORTEST_CALL_ID = 16;

interface AdmittedCall {
  readonly bytes: Buffer;
  readonly account: string | undefined;
}

export class AdmittedCalls {
  readonly #calls = new Map<string, AdmittedCall>();
  readonly #isOwnAddress: (address: string) => boolean;

  constructor(isOwnAddress: (address: string) => boolean) {
    this.#isOwnAddress = isOwnAddress;
  }

  /**
   * @param account - the account that the call is for, whatever its Request-URI says.
   * @returns takes it back; idempotent. @throws InvalidArgumentError for a short Call-ID, or too many.
   */
  add(callId: string, account?: string): () => void {
    if (callId.length < SHORTEST_CALL_ID || this.#calls.size >= MOST_CALLS) {
      throw new InvalidArgumentError(
        `A Call-ID that is admitted has at least ${SHORTEST_CALL_ID} characters, and at most ${MOST_CALLS} are.`,
      );
    }
    const call: AdmittedCall = { bytes: Buffer.from(callId), account };
    this.#calls.set(callId, call);
    return () => {
      if (this.#calls.get(callId) === call) this.#calls.delete(callId);
    };
  }

  has(request: SipRequest, flow: Flow): boolean {
    return this.#calls.size > 0 && this.#calls.has(request.callId) && this.#isLocal(flow);
  }

  accountOf(request: SipRequest): string | undefined {
    return this.#calls.get(request.callId)?.account;
  }

  /** The same for a message that was not read yet. */
  mayBe(data: Buffer, flow: Flow): boolean {
    if (this.#calls.size === 0 || !this.#isLocal(flow)) return false;
    for (const { bytes } of this.#calls.values()) if (data.includes(bytes)) return true;
    return false;
  }

  #isLocal({ remoteAddress }: Flow): boolean {
    return isLoopback(remoteAddress) || this.#isOwnAddress(remoteAddress);
  }
}
