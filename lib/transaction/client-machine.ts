/**
 * What the two client transactions share: the actions of their tables, the timers and the way to the user
 * (RFC 3261 §17.1). The tables stand in invite-client.ts and non-invite-client.ts.
 */
import {
  errorText,
  type MachineDefinition,
  type SipError,
  StateMachine,
  TransactionTimeoutError,
  TransportError,
} from "../foundation/index.js";
import {
  createNon2xxAck,
  serializeMessage,
  SipResponse,
  type SipRequest,
} from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import type { TimerEntry, TimerOwner } from "./timer-queue.js";
import type { FixedTimer, RetransmissionTimer, TimerName } from "./timers.js";
import { callUser, type ClientTransactionOwner } from "./transaction-services.js";
import type { ClientTransactionUser } from "./transaction-user.js";

export type ClientAction =
  | "sendRequest"
  | "startTimerA"
  | "startTimerB"
  | "startTimerD"
  | "startTimerE"
  | "startTimerEAtT2"
  | "startTimerF"
  | "startTimerK"
  | "startTimerM"
  | "stopTimers"
  | "sendAck"
  | "resendAck"
  | "passResponse"
  | "reportTimeout"
  | "reportTransportError"
  | "logTransportError"
  | "finish";

export type ClientContext = SipResponse | SipError | undefined;

/** The part of a client transaction that lingers in the layer's map; it drops the request once answered. */
export abstract class ClientMachine<
  State extends string,
  Input extends string,
  Action extends ClientAction,
> implements TimerOwner {
  readonly #machine: StateMachine<State, Input, Action, ClientContext>;
  readonly #owner: ClientTransactionOwner;
  readonly #key: string;
  readonly #flow: Flow;
  /** Undefined = terminated or closed: nothing happens any more. */
  #user: ClientTransactionUser | undefined;
  /** Until the final response: an ACK is made from it. */
  #request: SipRequest | undefined;
  /** The request, after a final response ≥ 300 to INVITE the ACK. */
  #bytes: Uint8Array | undefined;
  /** Expiries of A or E so far. */
  #expiries = 0;
  #resendTimer: TimerEntry | undefined;
  /** B or F, after the final response D, K or M. */
  #endTimer: TimerEntry | undefined;
  #unwatchFlow: (() => void) | undefined;

  /** @throws InvalidArgumentError when the request cannot be written. */
  constructor(
    definition: MachineDefinition<State, Input, Action>,
    owner: ClientTransactionOwner,
    key: string,
    request: SipRequest,
    flow: Flow,
    user: ClientTransactionUser,
  ) {
    this.#machine = new StateMachine(definition, (action, context) =>
      this.#perform(action, context),
    );
    this.#owner = owner;
    this.#key = key;
    this.#flow = flow;
    this.#user = user;
    this.#request = request;
    this.#bytes = serializeMessage(request);
  }

  get state(): string {
    return this.#user === undefined ? "terminated" : this.#machine.state;
  }

  abstract receive(response: SipResponse): void;

  /** Sends the request for the first time. */
  start(): void {
    this.#machine.input("send" as Input, undefined);
    if (!this.#flow.reliable) return;
    this.#unwatchFlow = this.#flow.onClosed((reason) => {
      this.#unwatchFlow = undefined;
      this.input("flowClosed" as Input, this.#connectionLost(reason));
    });
  }

  onTimer(name: TimerName): void {
    if (name === "A" || name === "E") this.#expiries++;
    // Only timers that the table itself started can expire, so the input is one of the table's.
    this.input(`timer${name}` as Input, undefined);
  }

  replaceUser(user: ClientTransactionUser): void {
    if (this.#user !== undefined) this.#user = user;
  }

  /** Silences the transaction: no timers, no callbacks, out of the map. */
  close(): void {
    if (this.#user === undefined) return;
    this.#user = undefined;
    this.#release();
    this.#owner.clientTerminated(this.#key);
  }

  protected input(input: Input, context: ClientContext): void {
    if (this.#user !== undefined) this.#machine.input(input, context);
  }

  #perform(action: Action, context: ClientContext): void {
    // The user may have closed the transaction in an earlier action of the same row.
    if (this.#user === undefined) return;
    const named: ClientAction = action;
    switch (named) {
      case "sendRequest":
      case "resendAck":
        return this.#send();
      case "startTimerA":
        return this.#startResending("A");
      case "startTimerE":
        return this.#startResending("E");
      case "startTimerEAtT2":
        return this.#startResending("E", true);
      case "startTimerB":
        return this.#startEnd("B");
      case "startTimerF":
        return this.#startEnd("F");
      case "startTimerD":
        return this.#startEnd("D");
      case "startTimerK":
        return this.#startEnd("K");
      case "startTimerM":
        return this.#startEnd("M");
      case "stopTimers":
        return this.#stopTimers();
      case "sendAck":
        return this.#sendAck(context);
      case "passResponse":
        return this.#passResponse(context);
      case "reportTimeout":
        return this.#report(new TransactionTimeoutError("No response came in time"));
      case "reportTransportError":
        return this.#report(context);
      case "logTransportError":
        return this.#owner.logger.debug(`ACK was not sent: ${errorText(context)}`);
      case "finish":
        return this.#finish();
    }
  }

  #send(): void {
    if (this.#bytes === undefined) return;
    this.#flow.send(this.#bytes, this.#onSendError);
  }

  /** In a turn of its own, so that the user never hears of a failure inside the call that sends. */
  readonly #onSendError = (error: TransportError): void => {
    this.#owner.clock.defer(() => this.input("transportError" as Input, error));
  };

  #startResending(name: RetransmissionTimer, longest = false): void {
    if (this.#flow.reliable) return;
    const timers = this.#owner.timers;
    this.#resendTimer?.cancel();
    this.#resendTimer = longest
      ? timers.startLongestE(this)
      : timers.startRetransmission(name, this, this.#expiries);
  }

  #startEnd(name: FixedTimer): void {
    this.#endTimer = this.#owner.timers.start(name, this, this.#flow.reliable);
    if (this.#endTimer === undefined) this.onTimer(name);
  }

  #stopTimers(): void {
    this.#resendTimer?.cancel();
    this.#endTimer?.cancel();
    this.#resendTimer = this.#endTimer = undefined;
    this.#unwatchFlow?.();
    this.#unwatchFlow = undefined;
  }

  #sendAck(context: ClientContext): void {
    if (this.#request === undefined || !(context instanceof SipResponse)) return;
    this.#bytes = serializeMessage(createNon2xxAck(this.#request, context));
    this.#send();
  }

  #passResponse(context: ClientContext): void {
    const user = this.#user;
    if (user === undefined || !(context instanceof SipResponse)) return;
    if (context.statusCode >= 200 && this.#request !== undefined) {
      // From here on only an ACK is ever sent again.
      if (context.statusCode < 300 || this.#request.method !== "INVITE") this.#bytes = undefined;
      this.#request = undefined;
    }
    callUser(this.#owner.logger, () => user.onResponse(context));
  }

  #report(context: ClientContext): void {
    const user = this.#user;
    if (user === undefined || context === undefined || context instanceof SipResponse) return;
    callUser(this.#owner.logger, () => user.onFailure(context));
  }

  #finish(): void {
    const user = this.#user;
    this.close();
    if (user?.onTerminated) callUser(this.#owner.logger, () => user.onTerminated?.());
  }

  #release(): void {
    this.#stopTimers();
    this.#request = undefined;
    this.#bytes = undefined;
  }

  #connectionLost(reason: string): TransportError {
    const { protocol, remoteAddress, remotePort } = this.#flow;
    return new TransportError(
      `${reason.slice(0, 1).toUpperCase()}${reason.slice(1)} (no response had come)`,
      `${protocol}:${remoteAddress}:${remotePort}`,
    );
  }
}
