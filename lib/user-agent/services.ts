/** The user agent as its sessions see it. */
import type { Clock, Logger, RandomSource } from "../foundation/index.js";
import type { DialogStore } from "../dialog/index.js";
import type { NameAddr, SipMessage, SipRequest, Uri } from "../message/index.js";
import type {
  AccountHandle,
  DescriptionModifier,
  HoldOptions,
  MediaHandler,
  NeighbourCall,
  OutgoingRequest,
  OutgoingRequestOptions,
  Participant,
  PendingRequest,
  ReferredCall,
  Rel100,
  SdpHandlers,
  SessionHandle,
  SessionServices,
  SessionTimerSettings,
} from "../session/index.js";
import type { TimerOptions } from "../transaction/index.js";
import type { Flow } from "../transport/transport.js";
import type { CallLimits } from "./call-limits.js";
import type { Capabilities } from "./capabilities.js";
import { contactText, DIRECT_USER } from "./contact.js";
import type { DialFilter } from "./dial-filter.js";
import type { ManagedAccount } from "./managed-account.js";
import type { ReferredCallOptions } from "./outgoing-calls.js";
import type { PendingRequests } from "./pending-requests.js";
import { assertedIdentity } from "./remote-identity.js";
import { parseTarget } from "./target.js";
import { CONTACT_PLACEHOLDER, type UserAgentClient } from "./user-agent-client.js";

export interface ServicesOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly timers: TimerOptions;
  readonly mediaHandler: MediaHandler | undefined;
  readonly sdpHandlers: SdpHandlers;
  readonly descriptionModifiers: readonly DescriptionModifier[];
  readonly dialogs: DialogStore;
  readonly infoPackages: readonly string[];
  readonly sessionTimer: SessionTimerSettings;
  readonly rel100: Rel100;
  readonly capabilities: Capabilities;
  readonly pending: PendingRequests;
  readonly dialFilter: DialFilter;
  readonly callLimits: CallLimits;
  client(): UserAgentClient;
  account(id: string): ManagedAccount | undefined;
  defaultIdentity(): NameAddr;
  isTrusted(address: string): boolean;
  observes(): boolean;
  placeReferred(options: ReferredCallOptions): ReferredCall;
  findCall(handle: string): NeighbourCall | undefined;
}

export class UserAgentServices implements SessionServices {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly timers: TimerOptions;
  readonly mediaHandler: MediaHandler | undefined;
  readonly sdpHandlers: SdpHandlers;
  readonly descriptionModifiers: readonly DescriptionModifier[];
  readonly dialogs: DialogStore;
  readonly infoPackages: readonly string[];
  readonly sessionTimer: SessionTimerSettings;
  readonly rel100: Rel100;
  readonly contactPlaceholder = CONTACT_PLACEHOLDER;
  readonly #options: ServicesOptions;

  constructor(options: ServicesOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.random = options.random;
    this.logger = options.logger;
    this.timers = options.timers;
    this.mediaHandler = options.mediaHandler;
    this.sdpHandlers = options.sdpHandlers;
    this.descriptionModifiers = options.descriptionModifiers;
    this.dialogs = options.dialogs;
    this.infoPackages = options.infoPackages;
    this.sessionTimer = options.sessionTimer;
    this.rel100 = options.rel100;
  }

  get defaultIdentity(): NameAddr {
    return this.#options.defaultIdentity();
  }

  get observesMessages(): boolean {
    return this.#options.observes();
  }

  commonHeaders(
    kind: "request" | "response",
    method: string,
    statusCode?: number,
  ): (readonly [string, string])[] {
    return this.#options.capabilities.headers(kind, method, statusCode);
  }

  contact(flow: Flow, account: AccountHandle | undefined): string {
    const managed = this.#managed(account);
    const special = managed?.dialogContact(flow);
    if (special !== undefined) return special;
    const uri = managed?.settings.uri;
    return contactText(flow, uri?.user ?? DIRECT_USER, uri?.scheme === "sips");
  }

  send(options: OutgoingRequestOptions): OutgoingRequest {
    return this.#options.client().send(options);
  }

  onFlowRecovered(
    account: AccountHandle | undefined,
    listener: (flow: Flow) => void,
  ): (() => void) | undefined {
    return this.#managed(account)?.onFlow(listener);
  }

  sendAck(ack: SipRequest, nextHop: Uri, preferredFlow: Flow | undefined): () => void {
    return this.#options.client().sendAck(ack, nextHop, preferredFlow);
  }

  hold(options: HoldOptions): PendingRequest | undefined {
    return this.#options.pending.hold(options);
  }

  identityOf(message: SipMessage): Participant | undefined {
    const address = message.source?.address;
    return address !== undefined && this.#options.isTrusted(address)
      ? assertedIdentity(message)
      : undefined;
  }

  mayDial(uri: Uri): boolean {
    return this.#options.dialFilter.permits(uri);
  }

  mayCall(account: AccountHandle | undefined, session: SessionHandle): boolean {
    const managed = this.#managed(account);
    return managed === undefined || this.#options.callLimits.take(managed.settings, session.id);
  }

  parseTarget(text: string, account: AccountHandle | undefined): NameAddr {
    return parseTarget(text, this.#managed(account)?.settings.uri);
  }

  findCall(handle: string): NeighbourCall | undefined {
    return this.#options.findCall(handle);
  }

  placeReferredCall(options: Parameters<SessionServices["placeReferredCall"]>[0]): ReferredCall {
    const { referTo, referredBy, namedBy, account } = options;
    return this.#options.placeReferred({ referTo, referredBy, namedBy, accountId: account?.id });
  }

  #managed(account: AccountHandle | undefined): ManagedAccount | undefined {
    return account === undefined ? undefined : this.#options.account(account.id);
  }
}
