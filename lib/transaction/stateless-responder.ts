/**
 * Responses without a transaction (RFC 3261 §8.2.7): for requests that are not worth any state, such as a CANCEL
 * that matches nothing or what comes when the stack is full.
 */
import { randomToken, type RandomSource } from "../foundation/index.js";
import {
  createResponse,
  type ResponseFields,
  serializeMessage,
  type SipRequest,
} from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import { ResponsePath, type ResponsePathOwner } from "./response-path.js";
import { serverKey } from "./transaction-keys.js";
import type { ResponseFlowFinder } from "./transaction-services.js";

/** Nobody waits for what a stateless response becomes. */
const NOBODY: ResponsePathOwner = { onSendError: () => undefined };

export class StatelessResponder {
  readonly #find: ResponseFlowFinder | undefined;
  readonly #secret: string;

  constructor(random: RandomSource, find: ResponseFlowFinder | undefined) {
    this.#find = find;
    this.#secret = randomToken(random, 16);
  }

  /** Sends a response; a failure has no one to hear of it. ACK is never answered. */
  respond(request: SipRequest, arrivedOn: Flow, fields: ResponseFields): void {
    if (request.method === "ACK") return;
    const tagged = { ...fields, toTag: fields.toTag ?? this.#tagOf(request) };
    const bytes = serializeMessage(createResponse(request, tagged));
    // The client repeats the request when this response is lost (§8.2.7), so a failure needs no action.
    new ResponsePath(arrivedOn, this.#find, NOBODY).send(bytes, request);
  }

  /** The same tag for every repetition of a request, as §8.2.7 asks of a stateless server (FNV-1a). */
  #tagOf(request: SipRequest): string {
    const text = this.#secret + serverKey(request);
    let hash = 0x811c9dc5;
    for (let i = 0; i < text.length; i++) {
      hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    }
    return `s${(hash >>> 0).toString(36)}`;
  }
}
