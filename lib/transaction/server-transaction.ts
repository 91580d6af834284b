/**
 * The server transaction as its user holds it. It alone keeps the request: when the user has let go of it, only the
 * machine with the bytes of the last response lingers in the layer.
 */
import type { SipRequest, SipResponse } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import type { InviteServerTransaction } from "./invite-server.js";
import type { NonInviteServerTransaction } from "./non-invite-server.js";
import type {
  ServerTransaction,
  ServerTransactionUser,
  TransactionLayerUser,
} from "./transaction-user.js";

export class ServerTransactionHandle implements ServerTransaction {
  readonly #machine: InviteServerTransaction | NonInviteServerTransaction;

  readonly #layerUser: TransactionLayerUser | undefined;
  /** The response that was sent last; the same object again is a repetition. */
  #sent: SipResponse | undefined;

  /** @param layerUser - sees each response before it is sent. */
  constructor(
    machine: InviteServerTransaction | NonInviteServerTransaction,
    readonly request: SipRequest,
    readonly flow: Flow,
    layerUser?: TransactionLayerUser,
  ) {
    this.#machine = machine;
    this.#layerUser = layerUser;
  }

  get state(): string {
    return this.#machine.state;
  }

  get answered(): boolean {
    return this.#machine.answered;
  }

  get localTag(): string {
    return this.request.to.tag ?? this.#machine.localTag;
  }

  get user(): ServerTransactionUser | undefined {
    return this.#machine.user;
  }

  set user(user: ServerTransactionUser | undefined) {
    this.#machine.user = user;
  }

  respond(response: SipResponse): void {
    if (response !== this.#sent) {
      this.#sent = response;
      this.#layerUser?.beforeResponse?.(response, this.request);
    }
    this.#machine.respond(response, this.request);
  }

  close(): void {
    this.#machine.close();
  }
}
