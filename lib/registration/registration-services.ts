/** What a registration needs from the user agent, and what it reports: types only. */
import type { Clock, Logger, RandomSource, SipError } from "../foundation/index.js";
import type { NameAddr, SipRequest, SipResponse } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import type { PublicPlace } from "./public-address.js";

export interface RegisterExchange {
  build(flow: Flow): SipRequest;
  /** Sequence number for a retry with credentials. */
  nextSequence(): number;
  /** The final response; challenges that could be answered were answered. */
  onFinalResponse(response: SipResponse, flow: Flow): void;
  onFailure(error: SipError): void;
}

export interface ContactForm {
  /** With `reg-id` (RFC 5626 §4.2). */
  readonly outbound: boolean;
  /** Instead of the flow's own address. */
  readonly place: PublicPlace | undefined;
}

export interface RegistrationServices {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  /** Sends a REGISTER to the account's registrar. @returns abandons it: no further callback. */
  send(exchange: RegisterExchange): { abandon(): void };
  /** Contact of the binding over this flow, without expires. */
  contact(flow: Flow, form: ContactForm): NameAddr;
  /** User-Agent, Allow, Supported … @param outbound - with the option tags of RFC 5626. */
  headers(outbound: boolean): readonly (readonly [string, string])[];
}

export interface RegistrationOptions {
  /** Address-of-record for From and To, without tag. */
  readonly identity: NameAddr;
  /** Request-URI: the registrar's domain. */
  readonly registrar: string;
  /** Seconds. */
  readonly expires: number;
  readonly minExpires: number;
  readonly sendExpires: boolean;
  /** RFC 5626. Default false. */
  readonly outbound?: boolean | undefined;
  /** Seconds between two keep-alives to the server: it is looked for as often while it is gone. */
  readonly keepAlive?: number | undefined;
  /** Show the address under which the registrar sees us. Default false. */
  readonly learnPublicAddress?: boolean | undefined;
}

export type RegistrationResult =
  | {
      readonly ok: true;
      readonly statusCode: number;
      readonly reason: string;
      /** Seconds that the binding lives, clamped; 0 after an un-REGISTER. */
      readonly expires: number;
      readonly response: SipResponse;
    }
  | {
      readonly ok: false;
      /** 0 when no response came. */
      readonly statusCode: number;
      readonly reason: string;
      readonly failure: "response" | "timeout" | "transport-error" | "dns-error" | "closed";
      /** Seconds until the next attempt. */
      readonly retryIn?: number | undefined;
      readonly response?: SipResponse | undefined;
    };

/** Who hears of the changes. Called with the registration in its new state. */
export interface RegistrationListener {
  /** After each successful REGISTER, refreshes included. */
  onRegistered(result: RegistrationResult & { ok: true }): void;
  onUnregistered(result: RegistrationResult): void;
  onFailed(result: RegistrationResult & { ok: false }): void;
}
