/**
 * The reliable provisional responses to a re-INVITE of ours: each is acknowledged by a PRACK, and one of them may complete
 * the exchange of descriptions before the 2xx does (RFC 3262 §4, §5, RFC 6141 §3.3).
 */
import { errorText } from "../foundation/index.js";
import type { SipResponse } from "../message/index.js";
import { sdpOf, type BodyFields } from "./body.js";
import { refusingBody } from "./flow-answer.js";
import { isPromise, mapMaybe } from "./maybe-promise.js";
import type { MaybePromise, MediaDirection } from "./media-handler.js";
import { PrackSender } from "./prack-sender.js";
import { reliableNumber, type Rel100 } from "./rel100.js";
import type { SessionCore } from "./session-core.js";

/** Both descriptions of a complete exchange. */
export interface Exchange {
  readonly remoteSdp: string;
  readonly localSdp: string | undefined;
}

export interface ProgressOptions {
  /** Our offer in the re-INVITE; undefined when the peer has to make one. */
  readonly offer: string | undefined;
  /** The application's answer to an offer of the peer. */
  readonly sdp: string | undefined;
  /** What we want with an offer of the peer. */
  readonly direction: MediaDirection | undefined;
}

/** What a re-INVITE says about them: nothing is gained by insisting on them in a call that is up. */
export function rel100OfReInvite(rel100: Rel100): Rel100 {
  return rel100 === "none" ? "none" : "supported";
}

export class ReInviteProgress {
  readonly #core: SessionCore;
  readonly #options: ProgressOptions;
  readonly #pracks: PrackSender | undefined;
  #answer: string | undefined;
  #exchange: MaybePromise<Exchange | undefined> | undefined;

  constructor(core: SessionCore, options: ProgressOptions) {
    this.#core = core;
    this.#options = options;
    const { dialog, services } = core;
    if (dialog !== undefined && services.rel100 !== "none") this.#pracks = new PrackSender(dialog);
  }

  /** The peer's answer to our offer; the 2xx need not repeat it. It counts when the 2xx comes. */
  get answer(): string | undefined {
    return this.#answer;
  }

  /**
   * The exchange that an offer of the peer has begun and our PRACK completed, `undefined` inside when it came to
   * nothing; the 2xx then holds no offer. Undefined itself when there was no such offer.
   */
  get exchange(): MaybePromise<Exchange | undefined> | undefined {
    return this.#exchange;
  }

  /** A provisional response; repeated ones, and those after a gap, are dropped. */
  receive(response: SipResponse): void {
    const number = reliableNumber(response);
    if (number === undefined || this.#pracks?.take(number) !== true) return;
    const sdp = sdpOf(response);
    const isFirst = this.#answer === undefined && this.#exchange === undefined;
    if (sdp === undefined || !isFirst) {
      this.#acknowledge(response);
    } else if (this.#options.offer !== undefined) {
      this.#answer = sdp;
      this.#acknowledge(response);
    } else {
      this.#exchange = this.#takeOffer(response, sdp);
    }
  }

  #takeOffer(response: SipResponse, offer: string): MaybePromise<Exchange | undefined> {
    const { negotiation, logger, id, flow } = this.#core;
    const { sdp, direction } = this.#options;
    const complete = (answer: string): Exchange | undefined => {
      // The re-INVITE was refused, or the call is over.
      if (negotiation.state !== "have-remote-offer") return undefined;
      this.#acknowledge(response, { contentType: "application/sdp", body: answer });
      negotiation.answered();
      return { remoteSdp: offer, localSdp: answer };
    };
    const refuse = (error: unknown): undefined => {
      logger.info(`session ${id}: offer in a response to re-INVITE: ${errorText(error)}`);
      negotiation.rollback();
      this.#acknowledge(response, refusingBody(offer, flow?.localAddress ?? ""));
      return undefined;
    };
    try {
      const made = mapMaybe(negotiation.answer(offer, sdp, direction), complete);
      return isPromise(made) ? made.catch(refuse) : made;
    } catch (error) {
      return refuse(error);
    }
  }

  #acknowledge(response: SipResponse, body?: BodyFields): void {
    const core = this.#core;
    const { flow, account } = core;
    // After the end of the call there is no dialog for it.
    if (flow === undefined || core.closed) return;
    this.#pracks?.acknowledge(core, response, { flow, account }, body);
  }
}
