/**
 * The CANCEL of an INVITE (RFC 3261 §9.1), which has to reach the callee even if the connection of the INVITE is gone
 * meanwhile: nobody else would stop the ringing.
 */
import type { HeaderList } from "../session/index.js";
import type { ClientTransaction, ClientTransactionUser } from "../transaction/index.js";
import type { Flow, FlowTarget } from "../transport/transport.js";
import type { ClientEnvironment } from "./client-environment.js";

export interface CancelOptions {
  readonly invite: ClientTransaction;
  /** Where the INVITE went. */
  readonly target: FlowTarget;
  readonly headers: HeaderList;
  /** False once the final response has come. */
  isWanted(): boolean;
}

/** Sends it over the connection of the INVITE, and once more over a new one when that is lost. */
export function sendCancel(
  environment: Pick<ClientEnvironment, "connect" | "transactions">,
  options: CancelOptions,
): void {
  const { flow } = options.invite;
  if (flow.reliable && !flow.isOpen) sendAnew(environment, options);
  else sendOver(environment, options, flow, true);
}

function sendOver(
  environment: Pick<ClientEnvironment, "connect" | "transactions">,
  options: CancelOptions,
  flow: Flow,
  mayRepeat: boolean,
): void {
  const user: ClientTransactionUser = {
    onResponse: () => undefined,
    onFailure: () => {
      if (mayRepeat && flow.reliable && !flow.isOpen) sendAnew(environment, options);
    },
  };
  environment.transactions.cancel(options.invite, options.headers, user, flow);
}

function sendAnew(
  environment: Pick<ClientEnvironment, "connect" | "transactions">,
  options: CancelOptions,
): void {
  const { protocol, address, port, serverName, path } = options.target;
  // When there is no way any more, the end of the wait for the final response tells it.
  environment.connect({ protocol, address, port, serverName, path }, (_error, flow) => {
    if (flow !== undefined && options.isWanted()) sendOver(environment, options, flow, false);
  });
}
