/**
 * Requests in dialogs that this user agent does not know, but another one of its group may (RFC 3261 §12.2.2 would answer
 * 481): somebody is asked, so often per source and so many at once, and what another one has is handed over to that one.
 */
import { errorText, type Clock, type Logger } from "../foundation/index.js";
import { parseMessage, serializeMessage, type SipRequest } from "../message/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import { responseAddress } from "../transport/index.js";
import type { Flow, TransportLayer } from "../transport/transport.js";
import type { UnknownDialogHandler } from "./events.js";
import { RateLimit } from "./rate-limit.js";

/** Questions per second and source. A proxy in front of us is one source. */
const ASKED_PER_SECOND = 100;
const ASKED_BURST = 400;
const MOST_AT_ONCE = 500;
/** Milliseconds that a question may take: an instance may have to be known as dead. */
const LONGEST_QUESTION = 8_000;
/** Characters in base64 of a request that is handed over. */
const LONGEST_REQUEST = 131_072;

export interface ForeignDialogsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  transport(): TransportLayer;
  handler(): UnknownDialogHandler | undefined;
}

export class ForeignDialogs {
  readonly #options: ForeignDialogsOptions;
  readonly #limit: RateLimit;
  /** What another one has handed over to us is not asked about again. */
  readonly #handed = new WeakSet<SipRequest>();
  #open = 0;

  constructor(options: ForeignDialogsOptions) {
    this.#options = options;
    this.#limit = new RateLimit(options.clock, ASKED_PER_SECOND, ASKED_BURST);
  }

  /**
   * Asks whose dialog it is. @param known - we have it now. @param unknown - nobody has it.
   *
   * @returns false when nobody can be asked.
   */
  ask(transaction: ServerTransaction, known: () => void, unknown: () => void): boolean {
    const { clock, logger } = this.#options;
    const { request, flow } = transaction;
    const handler = this.#options.handler();
    if (handler === undefined || this.#handed.has(request) || this.#open >= MOST_AT_ONCE) {
      return false;
    }
    if (!this.#limit.take(request.source?.address ?? flow.remoteAddress)) return false;
    this.#open++;
    let isOpen = true;
    const settle = (next: () => void): void => {
      if (!isOpen) return;
      isOpen = false;
      this.#open--;
      timer.cancel();
      // It was cancelled meanwhile, or the stack has stopped.
      if (!transaction.answered) next();
    };
    const timer = clock.setTimer(LONGEST_QUESTION, () => settle(unknown));
    handler(request, () => serializeMessage(request).toString("base64")).then(
      (whose) => {
        if (whose === "ours") settle(known);
        else if (whose === "others") settle(() => transaction.close());
        else settle(unknown);
      },
      (error: unknown) => {
        logger.warn(`Whose dialog a ${request.method} is in is not known: ${errorText(error)}`);
        settle(unknown);
      },
    );
    return true;
  }

  /**
   * A request that came to another one. @param text - what the handler was given for it. @param take - gets it with the way on which the response leaves.
   */
  receive(text: string, take: (request: SipRequest, flow: Flow) => void): void {
    const { logger } = this.#options;
    const isShort = text.length <= LONGEST_REQUEST;
    const parsed = isShort ? parseMessage(Buffer.from(text, "base64")) : undefined;
    if (parsed?.ok !== true || parsed.message.kind !== "request") {
      logger.warn("What was handed over is no request");
      return;
    }
    const request = parsed.message;
    const protocol = protocolOf(request);
    // What begins something has passed the gate of nobody: that is never handed over.
    if (protocol === undefined || request.to.tag === undefined) return;
    const { address, port } = responseAddress(request.topVia, protocol);
    this.#options.transport().connect({ protocol, address, port }, (error, flow) => {
      if (flow === undefined) {
        logger.warn(
          `A ${request.method} that was handed over cannot be answered: ${error?.message}`,
        );
        return;
      }
      request.source = { protocol, address, port };
      this.#handed.add(request);
      take(request, flow);
    });
  }
}

/** Of the hop before us; a browser's connection cannot be opened from here. */
function protocolOf(request: SipRequest): "udp" | "tcp" | "tls" | undefined {
  const protocol = request.topVia.protocol.toLowerCase();
  return protocol === "udp" || protocol === "tcp" || protocol === "tls" ? protocol : undefined;
}
