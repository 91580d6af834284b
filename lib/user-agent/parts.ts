/** The parts of a user agent, put together: who knows whom, in one place. */
import { threadLoad, type Clock, type Logger, type RandomSource } from "../foundation/index.js";
import { DialogStore } from "../dialog/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import { checkedModifiers, SdpHandlers } from "../session/index.js";
import type { Session, SessionEvent } from "../session/index.js";
import { TransactionLayer } from "../transaction/index.js";
import { NodeDnsClient, Resolver, SocketTransportLayer } from "../transport/index.js";
import type { TransportLayer } from "../transport/transport.js";
import { AccessGate } from "./access-gate.js";
import { LOCAL_NETWORKS } from "./address-list.js";
import { AdmittedCalls } from "./admitted-calls.js";
import { AccountBook } from "./account-book.js";
import { AccountCredentials } from "./account-credentials.js";
import { accountOf } from "./account-matching.js";
import { CallLimits } from "./call-limits.js";
import { Capabilities } from "./capabilities.js";
import { CredentialQuestions } from "./credential-questions.js";
import { Destinations } from "./destinations.js";
import { DialFilter } from "./dial-filter.js";
import type {
  IncomingCallHandler,
  RequestPolicy,
  StackEvent,
  UnknownDialogHandler,
} from "./events.js";
import { ForeignDialogs } from "./foreign-dialogs.js";
import { GivenCredentials } from "./given-credentials.js";
import { IncomingCalls } from "./incoming-calls.js";
import { LoadReport } from "./load-report.js";
import { DirectIdentity, familiesOf } from "./local-names.js";
import type { UserAgentOptions } from "./options.js";
import { Overload } from "./overload.js";
import { OutgoingCalls } from "./outgoing-calls.js";
import { PeerSubscriptions } from "./peer-subscriptions.js";
import { OwnSubscriptions } from "./own-subscriptions.js";
import { OutOfDialogRequests } from "./out-of-dialog-requests.js";
import { PendingRequests } from "./pending-requests.js";
import { ReplacedCalls } from "./replaced-calls.js";
import { restoreCall } from "./restored-calls.js";
import { resolveOptions } from "./resolved-options.js";
import { UserAgentServices } from "./services.js";
import { SessionTable } from "./session-table.js";
import { StandaloneRefers } from "./standalone-refer.js";
import { StandaloneRequests } from "./standalone-request.js";
import { Supplements } from "./supplements.js";
import { UserAgentClient } from "./user-agent-client.js";
import { UserAgentServer, type Intake } from "./user-agent-server.js";

/** The user agent as its parts see it. */
export interface PartsHost {
  /** What may begin now. */
  intake(): Intake;
  /** The last call has closed. */
  callsOver(): void;
  requestPolicy(): RequestPolicy | undefined;
  incomingCallHandler(): IncomingCallHandler | undefined;
  unknownDialogHandler(): UnknownDialogHandler | undefined;
  /** Does anybody want every request and response as an event? */
  observes(): boolean;
  hearsSessions(): boolean;
  reportSession(session: Session, event: SessionEvent): void;
  report(event: StackEvent): void;
}

export interface PartsEnvironment {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
}

export class UserAgentParts {
  readonly transport: TransportLayer;
  readonly transactions: TransactionLayer;
  readonly dialogs = new DialogStore();
  readonly sessions: SessionTable;
  readonly pending: PendingRequests;
  readonly sdpHandlers = new SdpHandlers();
  readonly supplements: Supplements;
  readonly admitted = new AdmittedCalls((address) => this.transport.hasAddress?.(address) === true);
  readonly book: AccountBook;
  readonly server: UserAgentServer;
  readonly client: UserAgentClient;
  readonly calls: OutgoingCalls;
  readonly requests: StandaloneRequests;
  readonly refers: StandaloneRefers;
  readonly subscriptions: OwnSubscriptions;
  readonly subscribers: PeerSubscriptions;
  readonly foreign: ForeignDialogs;
  readonly callLimits: CallLimits;
  /** See `restoreCall`. */
  readonly restore: (record: unknown) => Session | undefined;

  /** @throws InvalidArgumentError for an option that cannot be, naming it. */
  constructor(options: UserAgentOptions, environment: PartsEnvironment, host: PartsHost) {
    const { clock, random, logger } = environment;
    const settings = resolveOptions(options);
    const { timers, limits } = settings;
    const capabilities = new Capabilities(settings.userAgent, settings.infoPackages, [
      ...(settings.sessionTimer.sessionExpires === 0 ? ["timer"] : []),
      ...(settings.rel100 === "none" ? ["100rel"] : []),
    ]);
    this.transport =
      options.transportLayer ??
      new SocketTransportLayer({
        transports: settings.transports,
        clock,
        random,
        logger,
        limits,
        tuning: options.transportTuning,
        origins: options.origins,
        traceMessages: options.traceMessages,
      });
    this.transactions = new TransactionLayer({
      clock,
      random,
      logger,
      timers,
      responseFlow: (request, arrivedOn, callback) =>
        this.transport.responseFlow(request, arrivedOn, callback),
      user: {
        onRequest: (transaction) => this.server.onRequest(transaction),
        onAck: (ack) => this.server.onAck(ack),
        onStrayResponse: (response, flow) => this.server.onStrayResponse(response, flow),
        onCancel: (cancel) => this.server.onCancel(cancel),
        beforeResponse: (response, request) => this.server.beforeResponse(response, request),
        beforeCancel: (cancel) => this.server.beforeCancel(cancel),
      },
    });
    this.pending = new PendingRequests({
      clock,
      random,
      logger,
      policy: () => host.requestPolicy(),
    });
    const supplements = (this.supplements = new Supplements({
      clock,
      logger,
      pending: this.pending,
      lookup: {
        session: (message, outgoing) => this.#sessionOf(message, outgoing),
        accountId: (request) => accountOf(request, book.all)?.id,
      },
    }));
    const destinations = new Destinations({
      resolver: new Resolver({
        dns: options.dns ?? new NodeDnsClient({ servers: options.dnsServers }),
        clock,
        random,
        logger,
      }),
      transport: this.transport,
      families: familiesOf(settings.transports),
      account: (handle) => (handle === undefined ? undefined : this.book.get(handle.id)),
    });
    const book = (this.book = new AccountBook({
      clock,
      random,
      logger,
      capabilities,
      destinations,
      transport: this.transport,
      client: () => this.client,
      report: (event) => host.report(event),
      observe: (response, accountId) => reportResponse(host, response, accountId),
    }));
    const gate = new AccessGate({
      allow: options.allow ?? [],
      deny: options.deny ?? [],
      trusted: options.trusted ?? [],
      clock,
      isOwnServer: (address) => book.ownsServer(address),
    });
    const dialFilter = new DialFilter(options.dial ?? []);
    const callLimits = (this.callLimits = new CallLimits(clock, options.othersUsage));
    const directIdentity = new DirectIdentity(this.transport);
    const services = new UserAgentServices({
      clock,
      random,
      logger,
      timers,
      mediaHandler: options.mediaHandler,
      sdpHandlers: this.sdpHandlers,
      descriptionModifiers: checkedModifiers(options.descriptionModifiers),
      dialogs: this.dialogs,
      infoPackages: settings.infoPackages,
      sessionTimer: settings.sessionTimer,
      rel100: settings.rel100,
      capabilities,
      pending: this.pending,
      dialFilter,
      callLimits,
      client: () => this.client,
      account: (id) => book.get(id),
      defaultIdentity: () => directIdentity.address,
      isTrusted: (address) => gate.isTrusted(address),
      observes: () => host.observes(),
      placeReferred: (call) => this.calls.placeReferred(call),
      findCall: (handle) => this.sessions.get(handle),
    });
    const given = new GivenCredentials();
    const questions = new CredentialQuestions({
      given,
      account: (id) => book.get(id),
      hold: (question) => this.pending.hold(question),
      report: (event) => host.report(event),
    });
    this.client = new UserAgentClient({
      clock,
      logger,
      timers,
      transactions: this.transactions,
      transport: this.transport,
      destinations,
      credentials: new AccountCredentials(random, (id) => book.get(id), given),
      supplements,
      session: (id) => this.sessions.all.get(id),
      contact: (flow, account) => services.contact(flow, account),
      askForCredentials: (question, decided) => questions.ask(question, decided),
    });
    this.sessions = new SessionTable(
      settings.maxSessions,
      () => host.hearsSessions(),
      (session, event) => host.reportSession(session, event),
      () => supplements,
      () => host.callsOver(),
    );
    const findAccount = (request: SipRequest) => {
      const admitted = this.admitted.accountOf(request);
      return admitted === undefined ? accountOf(request, book.all) : book.get(admitted);
    };
    this.subscribers = new PeerSubscriptions({
      services,
      lastState: options.lastState,
      report: (event) => host.report(event),
    });
    this.refers = new StandaloneRefers({
      logger,
      dialFilter,
      subscriptions: this.subscribers,
      place: (call) => this.calls.placeReferred(call),
    });
    const load = new LoadReport({
      calls: () => this.sessions.all.size,
      limit: settings.maxSessions,
      lag: options.eventLoopLag,
      isNeighbour: (address) => LOCAL_NETWORKS.includes(address) || gate.isTrusted(address),
    });
    const requests = new OutOfDialogRequests({
      load,
      capabilities,
      pending: this.pending,
      refers: this.refers,
      subscriptions: this.subscribers,
      account: findAccount,
      contact: (flow, account) => services.contact(flow, account),
      observes: () => host.observes(),
      report: (event) => host.report(event),
    });
    const replaced = new ReplacedCalls({
      clock,
      dialogs: this.dialogs,
      call: (handle) => this.sessions.get(handle),
    });
    const incoming = new IncomingCalls({
      logger,
      gate,
      services,
      sessions: this.sessions,
      replaced,
      unhandledStatus: settings.unhandledStatus,
      account: findAccount,
      handler: () => host.incomingCallHandler(),
      refuse: (transaction, statusCode) => this.server.respond(transaction, statusCode),
      refuseForRoom: (transaction) => this.server.refuseForRoom(transaction),
    });
    this.restore = (record) =>
      restoreCall(
        { services, sessions: this.sessions, replaced, account: (id) => book.get(id) },
        record,
      );
    this.foreign = new ForeignDialogs({
      clock,
      logger,
      transport: () => this.transport,
      handler: () => host.unknownDialogHandler(),
    });
    this.server = new UserAgentServer({
      clock,
      logger,
      gate,
      admitted: this.admitted,
      capabilities,
      dialogs: this.dialogs,
      supplements,
      foreign: this.foreign,
      // With a clock of one's own the time that passes is not the time that is worked.
      overload: new Overload(
        clock,
        options.threadLoad ?? (options.clock === undefined ? threadLoad() : () => 0),
        () => {
          const { repeatedRequests, repeatedAnswers } = this.transactions.counters();
          return repeatedRequests + repeatedAnswers;
        },
      ),
      maxRequestsPerSecond: settings.maxRequestsPerSecond,
      transactions: () => this.transactions,
      load,
      intake: () => host.intake(),
      takesPlace: (request) => typeof replaced.find(request) === "object",
      isLoop: (request) => {
        // Two accounts of one stack may call each other, and a call that takes another's place ends that.
        const sent = request.headers.has("replaces") ? undefined : this.client.sent(request);
        return sent !== undefined && sent.accountId === findAccount(request)?.id;
      },
      expectsNotify: (request) => this.subscriptions.expects(request),
      onFirstNotify: (transaction) => void this.subscriptions.receive(transaction),
      onInvite: (transaction) => incoming.receive(transaction),
      onOutOfDialogRequest: (transaction) => requests.receive(transaction),
    });
    this.calls = new OutgoingCalls({
      clock,
      services,
      sessions: this.sessions,
      intake: () => host.intake(),
      account: (id) => book.get(id),
      closed: (session) => {
        callLimits.release(session.id);
        replaced.remember(session);
      },
    });
    this.subscriptions = new OwnSubscriptions({
      services,
      account: (id) => book.get(id),
      report: (event) => host.report(event),
    });
    this.requests = new StandaloneRequests({
      random,
      services,
      account: (id) => book.get(id),
      onResponse: (response, accountId) => reportResponse(host, response, accountId),
    });
  }

  /** The session in whose dialog a message is. */
  #sessionOf(message: SipRequest | SipResponse, outgoing: boolean): Session | undefined {
    const localIsFrom = outgoing === (message.kind === "request");
    const [local, remote] = localIsFrom ? [message.from, message.to] : [message.to, message.from];
    if (local.tag === undefined) return undefined;
    const stored = this.dialogs.lookup(message.callId, local.tag, remote.tag ?? "");
    const id = stored?.user.sessionId;
    return id === undefined ? undefined : this.sessions.all.get(id);
  }
}

/** A response outside of any session, if anybody listens to that. */
function reportResponse(
  host: PartsHost,
  response: SipResponse,
  accountId: string | undefined,
): void {
  if (!host.observes()) return;
  const { statusCode, reason } = response;
  host.report({ name: "response", accountId, message: response, statusCode, reason });
}
