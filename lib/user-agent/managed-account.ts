/** One account as the user agent keeps it: its settings, its registration, its servers, its identity. */
import {
  randomToken,
  TransportError,
  type Clock,
  type Logger,
  type RandomSource,
} from "../foundation/index.js";
import { NameAddr, parseNameAddr, SipUri, type Uri } from "../message/index.js";
import {
  Registration,
  type RegisterExchange,
  type RegistrationListener,
  type RegistrationResult,
} from "../registration/index.js";
import {
  causeOfStatus,
  type AccountHandle,
  type ActionOutcome,
  type Cause,
} from "../session/index.js";
import type { Flow } from "../transport/transport.js";
import { bindingContact, contactUri } from "./contact.js";
import type { RegistrationState, RegistrationStatus } from "./events.js";
import type { LearntRegistration } from "./options.js";
import { OwnServers } from "./own-servers.js";
import type { ResolvedAccount } from "./resolved-options.js";
import type { RoutedAccount } from "./routing.js";
import type { Account } from "./user-agent.js";

export interface AccountEnvironment {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  /** Of a REGISTER. @param outbound - with the option tags of RFC 5626 and RFC 5627. */
  headers(outbound: boolean): readonly (readonly [string, string])[];
  sendRegister(account: ManagedAccount, exchange: RegisterExchange): { abandon(): void };
  readonly listener: (account: ManagedAccount) => RegistrationListener;
  /** False while another one is to have our calls. */
  mayRegister(): boolean;
}

/** Values of another one's Service-Route that are used. */
const MOST_ROUTES = 16;

const STATES: Readonly<Record<Registration["state"], RegistrationState>> = {
  unregistered: "unregistered",
  registering: "registering",
  registered: "registered",
  refreshing: "registered",
  waiting: "failed",
  unregistering: "unregistering",
};

export class ManagedAccount implements Account, AccountHandle, RoutedAccount {
  readonly id: string;
  readonly identity: NameAddr;
  /** Request-URI of a REGISTER. */
  readonly registrar: string;
  readonly servers = new OwnServers();
  /** Realms in which the registrar or proxy of this account has challenged us. */
  readonly realms = new Set<string>();
  /** Marks our binding at the registrar, so that its calls are recognised (`line` URI parameter). */
  readonly #line: string;
  readonly #instance: string | undefined;
  readonly #registration: Registration;
  /** Of the registration that another one keeps. */
  #othersRoute: readonly NameAddr[] = [];
  readonly #mayRegister: () => boolean;
  /** Sessions whose connection is gone. */
  readonly #flowListeners = new Set<(flow: Flow) => void>();

  /** Private, so that nothing that prints an account shows its password. */
  readonly #settings: ResolvedAccount;

  constructor(settings: ResolvedAccount, environment: AccountEnvironment) {
    const { random } = environment;
    this.#settings = settings;
    this.id = settings.id;
    this.#mayRegister = () => environment.mayRegister() && settings.mayRegister?.() !== false;
    this.registrar = registerUri(settings);
    this.identity = new NameAddr(settings.uri, settings.displayName);
    this.#line = randomToken(random, 16);
    this.#instance = settings.outbound
      ? (settings.instanceId ?? randomInstance(random))
      : undefined;
    this.#registration = new Registration(
      {
        clock: environment.clock,
        random,
        logger: environment.logger,
        contact: (flow, { outbound, place }) =>
          bindingContact(flow, {
            user: settings.uri.user ?? "",
            line: this.#line,
            instance: this.#instance,
            outbound,
            place,
            extras: settings.contactExtras,
          }),
        headers: (outbound) => environment.headers(outbound),
        send: (exchange) =>
          this.#hasLost
            ? refused(environment.clock, exchange)
            : environment.sendRegister(this, exchange),
      },
      {
        identity: this.identity,
        registrar: this.registrar,
        expires: settings.expires,
        minExpires: settings.minExpires,
        sendExpires: settings.sendExpires,
        outbound: settings.outbound,
        keepAlive: settings.keepAlive,
        learnPublicAddress: settings.learnPublicAddress,
      },
      environment.listener(this),
    );
  }

  get settings(): ResolvedAccount {
    return this.#settings;
  }

  get uri(): string {
    return this.settings.uri.toString();
  }

  get serviceRoute(): readonly NameAddr[] {
    const { state, serviceRoute } = this.#registration;
    return state === "unregistered" ? this.#othersRoute : serviceRoute;
  }

  get learnt(): LearntRegistration | undefined {
    const { contact, mayBeBound, serviceRoute } = this.#registration;
    if (!mayBeBound || contact === undefined) return undefined;
    const bare = new NameAddr(contact.uri).toString();
    return { contact: bare, serviceRoute: serviceRoute.map((route) => route.toString()) };
  }

  learn({ contact, serviceRoute }: LearntRegistration): void {
    this.#othersRoute = serviceRoute
      .slice(0, MOST_ROUTES)
      .flatMap((route) => parseNameAddr(route) ?? []);
    const old = parseNameAddr(contact);
    if (old !== undefined && !this.#registration.mayBeBound) this.#registration.takeOver(old);
  }

  standDown(): void {
    this.#registration.close();
  }

  /** It is another one's, though nobody has told us yet. */
  get #hasLost(): boolean {
    return this.settings.mayRegister?.() === false && this.#registration.state !== "unregistering";
  }

  /** The registrar may hold a binding of ours that should be taken away at the end. */
  get mayBeBound(): boolean {
    return this.#registration.mayBeBound;
  }

  /** The flow of the present registration. */
  get flow(): Flow | undefined {
    return this.#registration.flow;
  }

  /** Calls back with the flow of each successful registration. @returns ends that. */
  onFlow(listener: (flow: Flow) => void): () => void {
    this.#flowListeners.add(listener);
    return () => this.#flowListeners.delete(listener);
  }

  /** The registrar holds the binding over the present flow. */
  flowRegistered(): void {
    const { flow } = this.#registration;
    if (flow === undefined) return;
    for (const listener of [...this.#flowListeners]) listener(flow);
  }

  /** The server behind this flow is silent: registers anew, elsewhere if it can. */
  flowFailed(): void {
    this.#registration.flowFailed();
  }

  /**
   * Contact of a dialog over this flow: our GRUU where the registrar gave us one (RFC 5627 §4.4), else with the
   * address that the registrar saw, and `ob` when it keeps our flow (RFC 5626 §4.3). Undefined: nothing special.
   */
  dialogContact(flow: Flow): string | undefined {
    const { contactExtras, uri } = this.#settings;
    const { publicGruu, accepted } = this.#registration.facts;
    if (publicGruu !== undefined) return `<${publicGruu.toString()}>`;
    const place = this.#registration.placeOn(flow);
    if (place === undefined && !accepted && contactExtras.uri.size === 0) return undefined;
    const extra: [string, string | null][] = [...contactExtras.uri];
    if (accepted && !contactExtras.uri.has("ob")) extra.push(["ob", null]);
    const contact = contactUri(flow, uri.user ?? "", extra, place);
    const isSecure = uri.scheme === "sips";
    return `<${(isSecure ? contact.with({ scheme: "sips" }) : contact).toString()}>`;
  }

  get registration(): RegistrationStatus {
    const { state, last, retryIn } = this.#registration;
    const status = { state: STATES[state] };
    if (last === undefined) return status;
    // Waiting after a success: the connection was lost.
    if (last.ok && state === "waiting") return { ...status, cause: "transport-error", retryIn };
    if (last.ok) return last.expires > 0 ? { ...status, expires: last.expires } : status;
    return {
      ...status,
      statusCode: last.statusCode,
      reason: last.reason,
      cause: causeOf(last),
      retryIn,
    };
  }

  get refreshIn(): number | undefined {
    return this.#registration.refreshIn;
  }

  async register(): Promise<ActionOutcome> {
    if (!this.#mayRegister()) return { ok: false, cause: "shutdown", statusCode: 0 };
    return outcomeOf(await this.#registration.register());
  }

  async unregister(): Promise<ActionOutcome> {
    return outcomeOf(await this.#registration.unregister());
  }

  /** Ends the registration silently. */
  close(): void {
    this.#registration.close();
  }

  /** Is this Request-URI the Contact that we registered? */
  isBinding(uri: Uri): boolean {
    if (!(uri instanceof SipUri)) return false;
    const line = uri.parameters.get("line");
    if (typeof line === "string") return line === this.#line;
    const gruu = this.#registration.facts.publicGruu;
    const name = uri.parameters.get("gr");
    if (typeof name === "string" && gruu !== undefined) {
      return name === gruu.parameters.get("gr") && uri.user === gruu.user && uri.host === gruu.host;
    }
    // Some registrars keep no parameters of a Contact.
    const bound = this.#registration.contact?.uri;
    return (
      bound instanceof SipUri &&
      uri.user === bound.user &&
      uri.host === bound.host &&
      uri.port === bound.port
    );
  }

  /** Is this address the account's own? */
  isAddressOfRecord(uri: Uri): boolean {
    if (!(uri instanceof SipUri)) return false;
    const { user, host } = this.settings.uri;
    return uri.user === user && uri.host === host;
  }
}

/** Nothing is sent; whoever asked hears of it in a later turn. */
function refused(clock: Clock, exchange: RegisterExchange): { abandon(): void } {
  const error = new TransportError("Another one keeps this registration.", "");
  const timer = clock.setTimer(0, () => exchange.onFailure(error));
  return { abandon: () => timer.cancel() };
}

/** The cause that a failed REGISTER stands for (contract §3.4). */
export function causeOf(result: RegistrationResult & { ok: false }): Cause {
  switch (result.failure) {
    case "response":
      return causeOfStatus(result.statusCode);
    case "closed":
      return "shutdown";
    default:
      return result.failure;
  }
}

function outcomeOf(result: RegistrationResult): ActionOutcome {
  const { statusCode, reason, response } = result;
  if (result.ok) return { ok: true, statusCode, reason, message: response };
  return {
    ok: false,
    cause: causeOf(result),
    statusCode,
    reason,
    message: response,
    retryAfter: result.retryIn,
  };
}

/** A WebSocket URL names the way to the registrar, not the domain; a SIP URI names both (RFC 3261 §10.2). */
function registerUri(settings: ResolvedAccount): string {
  const { uri, path } = settings.registrar;
  const domain = path === undefined ? uri : settings.uri;
  return new SipUri(domain.scheme, undefined, domain.host, domain.port).toString();
}

/** RFC 5626 §4.1, RFC 4122 §4.4: a random UUID. */
function randomInstance(random: RandomSource): string {
  const bytes = Buffer.from(random.bytes(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ];
  return `urn:uuid:${parts.join("-")}`;
}
