/**
 * The client transaction as its user holds it. It alone keeps the request once the final response has come: what
 * lingers in the layer is the machine with, for INVITE, the bytes of the ACK.
 */
import type { SipRequest } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import type { InviteClientTransaction } from "./invite-client.js";
import type { NonInviteClientTransaction } from "./non-invite-client.js";
import type { ClientTransaction, ClientTransactionUser } from "./transaction-user.js";

export class ClientTransactionHandle implements ClientTransaction {
  readonly #machine: InviteClientTransaction | NonInviteClientTransaction;

  constructor(
    machine: InviteClientTransaction | NonInviteClientTransaction,
    readonly request: SipRequest,
    readonly flow: Flow,
  ) {
    this.#machine = machine;
  }

  get state(): string {
    return this.#machine.state;
  }

  replaceUser(user: ClientTransactionUser): void {
    this.#machine.replaceUser(user);
  }

  close(): void {
    this.#machine.close();
  }
}
