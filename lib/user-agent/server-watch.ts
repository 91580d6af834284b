/**
 * Asks an account's registrar by OPTIONS whether it still answers over the flow of the registration (RFC 5626 §3.5
 * in the form that every server knows): over UDP nothing else tells that it is gone before the next refresh.
 */
import {
  randomFraction,
  randomToken,
  type Clock,
  type RandomSource,
  type Timer,
} from "../foundation/index.js";
import { createRequest, NameAddr, SipUri } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import type { ExchangeOptions } from "./client-exchange.js";

/** Datagrams sent meanwhile: four. */
const ANSWER_WITHIN_MS = 5_000;

export interface ServerWatchOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** From and To. */
  readonly identity: NameAddr;
  /** Request-URI. */
  readonly registrar: string;
  headers(): readonly (readonly [string, string])[];
  send(options: ExchangeOptions): { abandon(): void };
  /** Nobody answers over this flow. */
  onSilent(flow: Flow): void;
}

export class ServerWatch {
  readonly #options: ServerWatchOptions;
  readonly #callId: string;
  readonly #fromTag: string;
  #sequence = 0;
  #timer: Timer | undefined;
  #question: { abandon(): void } | undefined;

  constructor(options: ServerWatchOptions) {
    this.#options = options;
    this.#callId = randomToken(options.random, 24);
    this.#fromTag = randomToken(options.random, 10);
  }

  /** Watches this flow from now on, each time after 80 to 100 % of the interval. */
  watch(flow: Flow, intervalMs: number): void {
    this.stop();
    const { clock, random } = this.#options;
    this.#timer = clock.setTimer(intervalMs * (0.8 + 0.2 * randomFraction(random)), () =>
      this.#ask(flow, intervalMs),
    );
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#question?.abandon();
    this.#question = undefined;
  }

  #ask(flow: Flow, intervalMs: number): void {
    const silent = (): void => {
      this.stop();
      flow.unanswered?.(ANSWER_WITHIN_MS);
      this.#options.onSilent(flow);
    };
    this.#timer = this.#options.clock.setTimer(ANSWER_WITHIN_MS, silent);
    this.#question = this.#options.send({
      nextHop: hopOf(flow),
      preferredFlow: flow,
      account: undefined,
      // To this very server: no Service-Route, no other server, no credentials.
      inDialog: true,
      build: () => this.#build(),
      // Whatever it says, it lives.
      onResponse: () => this.watch(flow, intervalMs),
      onFailure: silent,
    });
  }

  #build() {
    const { identity, registrar } = this.#options;
    return createRequest({
      method: "OPTIONS",
      uri: registrar,
      from: new NameAddr(identity.uri, identity.displayName, new Map([["tag", this.#fromTag]])),
      to: new NameAddr(identity.uri, identity.displayName),
      callId: this.#callId,
      sequence: ++this.#sequence,
      headers: this.#options.headers(),
    });
  }
}

function hopOf(flow: Flow): SipUri {
  const { remoteAddress, remotePort, protocol } = flow;
  const host = remoteAddress.includes(":") ? `[${remoteAddress}]` : remoteAddress;
  const transport = protocol === "wss" ? "ws" : protocol;
  return new SipUri("sip", undefined, host, remotePort, new Map([["transport", transport]]));
}
