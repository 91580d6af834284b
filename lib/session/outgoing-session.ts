/**
 * One attempt to call one or more targets, which becomes the call with the one that answers first (contract §4.5
 * "Targets and forks", RFC 3261 §13.2).
 */
import { InvalidArgumentError, SipError, UNWATCHED, errorText } from "../foundation/index.js";
import { NameAddr, SipUri, formatReplaces, type SipResponse } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import { bestResponse } from "./best-response.js";
import { bodyFields, sdpOf, type BodyFields } from "./body.js";
import { CallSession } from "./call-session.js";
import type { Cause } from "./cause.js";
import { checkedModifiers } from "./description-modifier.js";
import { EarlyMedia, type EarlyMediaOwner } from "./early-media.js";
import { askForAnswer } from "./flow-answer.js";
import type { Fork } from "./fork.js";
import { mergeHeaders } from "./header-lines.js";
import { mapMaybe, whenSettled } from "./maybe-promise.js";
import type { MaybePromise } from "./media-handler.js";
import { causeOfFailure, noSdpError } from "./outcomes.js";
import { OutgoingBranch, type BranchNews, type BranchOwner } from "./outgoing-branch.js";
import type { OutgoingSessionOptions, OutgoingTarget } from "./outgoing-options.js";
import { participantOf, showParty } from "./participant.js";
import { COMPLETED_ELSEWHERE, reasonHeaders } from "./reason.js";
import { redirectionsOf } from "./redirect.js";
import { requireRel100, withRel100 } from "./rel100.js";
import type { EventFields } from "./session-core.js";
import type { SessionServices } from "./session-services.js";
import type { EndOptions, HeaderList, RedirectContact } from "./session-types.js";

/** RFC 3323 §4.1. */
const ANONYMOUS = new NameAddr(new SipUri("sip", "anonymous", "anonymous.invalid"), "Anonymous");

/** The branch that the attempt was decided for, and what its 2xx said. */
interface Winner {
  readonly branch: OutgoingBranch;
  readonly fork: Fork;
  readonly news: BranchNews;
}

export class OutgoingSession extends CallSession {
  readonly #options: OutgoingSessionOptions;
  readonly #branches: readonly OutgoingBranch[];
  #body: MaybePromise<BodyFields> | undefined;
  #localSdp: string | undefined;
  readonly #early: EarlyMedia;
  #winner: Winner | undefined;
  #endCause: Cause | undefined;

  /** @throws InvalidArgumentError rule `no-sdp` when there is neither SDP, nor a media handler, nor a delayed offer. */
  constructor(services: SessionServices, options: OutgoingSessionOptions) {
    const [first] = options.targets;
    if (first === undefined) throw new InvalidArgumentError("A call needs a target");
    const from = options.anonymous
      ? ANONYMOUS
      : (options.account?.identity ?? services.defaultIdentity);
    super(services, {
      direction: "outgoing",
      account: options.account,
      local: from,
      remote: first.address,
    });
    const { core } = this;
    const hasDescription = options.sdp !== undefined || core.negotiation.hasHandler;
    if (!hasDescription && !options.delayedOffer && options.body === undefined) throw noSdpError();
    this.#options = options;
    if (options.sessionExpires !== undefined) core.sessionTimer.want(options.sessionExpires);
    core.negotiation.useModifiers(checkedModifiers(options.descriptionModifiers));
    if (options.data !== undefined) this.data = options.data;
    core.near = options.near;
    core.hopsLeft = options.hopsLeft ?? core.hopsLeft;
    const rel100 = options.rel100 ?? services.rel100;
    const own = withRel100(services.commonHeaders("request", "INVITE"), rel100);
    const headers = [
      ...mergeHeaders(own, mergeHeaders(attemptHeaders(options), options.headers)),
      ...requireRel100(rel100),
    ];
    this.#early = new EarlyMedia(core, this.#earlyOwner());
    this.#branches = options.targets.map(
      (target) => new OutgoingBranch(this.#branchOwner(from, headers, target), target),
    );
    const branch = this.#branches[0];
    core.callId = branch.callId;
    core.localTag = branch.localTag;
    core.onClose(() => {
      for (const each of this.#branches) each.settle();
    });
    core.targets = () => this.#branches.map((each) => each.status());
  }

  override get callIds(): readonly string[] {
    return this.#branches.map((branch) => branch.callId);
  }

  begin(): boolean {
    this.core.clock.defer(() => this.core.enter(() => this.#start()));
    return true;
  }

  protected override beginEnd(options: EndOptions): void {
    const { core } = this;
    if (core.closed || core.state === "terminating") return;
    if (core.state === "idle") {
      this.#endCause ??= options.cause ?? "cancelled";
    } else if (this.#winner !== undefined) {
      // Even when our answer is not ready yet (§13.2.2.4).
      this.#winner.fork.decline(this.#winner.news.flow, this.#winner.news.response);
      const cause = options.cause ?? (core.established ? "local-bye" : "cancelled");
      this.hangUp({ ...options, cause });
    } else {
      const reason = reasonHeaders(options.statusCode, options.reason);
      this.#cancelAll(options.cause ?? "cancelled", [...reason, ...(options.headers ?? [])]);
    }
  }

  protected override abandonExchanges(): void {
    for (const branch of this.#branches) branch.abandon();
  }

  #branchOwner(from: NameAddr, headers: HeaderList, target: OutgoingTarget): BranchOwner {
    return {
      ...UNWATCHED,
      core: this.core,
      inDialog: this.inDialog,
      from: this.#options.anonymous ? from : (target.account?.identity ?? from),
      headers,
      isAnonymous: this.#options.anonymous,
      redirects: this.#options.redirects,
      rel100: this.#options.rel100 ?? this.core.services.rel100,
      body: (flow) => this.#inviteBody(flow),
      onProgress: (branch, news) => this.#onProgress(branch, news),
      onRedirect: (branch, response, contacts) => this.#onRedirect(branch, response, contacts),
      onAnswer: (branch, news, fork) => this.#onAnswer({ ...UNWATCHED, branch, news, fork }),
      onExpire: () => this.#onExpire(),
      onFinished: () => this.#onFinished(),
    };
  }

  #earlyOwner(): EarlyMediaOwner {
    const localSdp = (): string | undefined => this.#localSdp;
    const { earlyMedia, sdp } = this.#options;
    return {
      ...UNWATCHED,
      earlyMedia,
      sdp,
      get localSdp() {
        return localSdp();
      },
      onImpossible: (branch) => {
        branch.cancel("incompatible-media", reasonHeaders(488, undefined));
        this.#onExpire();
      },
    };
  }

  #start(): void {
    const { core } = this;
    if (core.closed) return;
    if (this.#endCause !== undefined) {
      core.close(this.#endCause, { statusCode: 0 });
      return;
    }
    core.input("invite");
    const uris = this.#branches.map((branch) => branch.status().uri);
    core.emit("inviting", { uris, target: uris[0] });
    if (this.#options.strategy === "sequential") this.#startNext();
    else for (const branch of this.#branches) branch.start();
  }

  #startNext(): boolean {
    const next = this.#branches.find((branch) => branch.state === "waiting");
    next?.start();
    return next !== undefined;
  }

  /** Made for the first INVITE that leaves; the others get the same offer, as they share the media. */
  #inviteBody(flow: Flow): MaybePromise<BodyFields> {
    if (this.#body !== undefined) return this.#body;
    const { core } = this;
    const { sdp, delayedOffer } = this.#options;
    const withBody = (offer: string | undefined): BodyFields => {
      this.#localSdp = offer;
      return bodyFields(offer, this.#options, core.services.random);
    };
    if (core.flow === undefined) core.useFlow(flow);
    const offers = !delayedOffer && (sdp !== undefined || core.negotiation.hasHandler);
    this.#body = offers ? mapMaybe(core.negotiation.offer(sdp), withBody) : withBody(undefined);
    return this.#body;
  }

  #onProgress(branch: OutgoingBranch, news: BranchNews): void {
    const { core } = this;
    const { response, flow, fork } = news;
    const { statusCode, reason } = response;
    const remoteSdp = sdpOf(response);
    if (core.flow === undefined) core.useFlow(flow);
    core.input("provisional");
    const only = this.#branches.length === 1;
    // With several targets nobody is the call's other side yet.
    if (only) core.identify(response);
    const target = branch.status().uri;
    const fields: EventFields = { message: response, statusCode, reason, remoteSdp, target };
    this.#early.receive(branch, news, fields, () => ({
      callId: branch.callId,
      localTag: branch.localTag,
      remoteTag: response.to.tag,
      remote: only
        ? showParty(core.remote, response.contacts[0])
        : (core.services.identityOf?.(response) ??
          participantOf(branch.target.address, response.contacts[0])),
      ...(this.#early.isHeard(fork) ? {} : { media: undefined }),
    }));
  }

  #onRedirect(branch: OutgoingBranch, response: SipResponse, contacts: RedirectContact[]): void {
    const { statusCode, reason } = response;
    this.core.emit("redirecting", {
      message: response,
      statusCode,
      reason,
      contacts,
      uris: contacts.map(({ uri }) => uri),
      target: branch.status().uri,
    });
  }

  /** The first 2xx of the attempt decides it; all other targets are cancelled. */
  #onAnswer(winner: Winner): void {
    const { core } = this;
    const { branch, fork, news } = winner;
    this.#winner = winner;
    for (const other of this.#branches) {
      if (other !== branch) other.cancel("answered-elsewhere", COMPLETED_ELSEWHERE);
    }
    core.account = branch.target.account;
    if (this.#branches.length > 1) core.remote = branch.target.address;
    const stored = core.adopt(fork.dialog, branch.user, news.flow);
    core.learn(news.response);
    const remoteSdp = fork.hasReliableSdp ? fork.earlySdp : (sdpOf(news.response) ?? fork.earlySdp);
    if (!stored) this.#spoil(winner, "limit");
    else if (fork.offerAnswered) this.#resume(winner);
    else if (this.#localSdp === undefined) this.#answerOffer(winner, remoteSdp);
    else this.#takeAnswer(winner, remoteSdp);
  }

  /** Our offer was in the INVITE: the ACK goes out at once, then the answer is looked at (RFC 3261 §13.2.2.4). */
  #takeAnswer(winner: Winner, remoteSdp: string | undefined): void {
    const { core } = this;
    winner.fork.acknowledge(winner.news.flow);
    if (remoteSdp === undefined) {
      this.#spoil(winner, "bad-media");
      return;
    }
    whenSettled(
      () => this.#early.complete(winner.fork, remoteSdp),
      () => core.enter(() => this.#establish(winner, remoteSdp, this.#localSdp)),
      (error) => core.enter(() => this.#spoil(winner, mediaCause(error), error)),
    );
  }

  /** Its offer came in a provisional response and was answered in the PRACK (RFC 3262 §5). */
  #resume(winner: Winner): void {
    const { core } = this;
    const { fork, news } = winner;
    fork.acknowledge(news.flow);
    whenSettled(
      () => this.#early.resume(fork),
      (localSdp) =>
        core.enter(() => {
          if (localSdp === undefined) this.#spoil(winner, "incompatible-media");
          else this.#establish(winner, fork.earlySdp ?? "", localSdp);
        }),
      (error) => core.enter(() => this.#spoil(winner, mediaCause(error), error)),
    );
  }

  /** The offer is in the 2xx: our answer travels in the ACK (RFC 3261 §13.2.2.4). */
  #answerOffer(winner: Winner, offer: string | undefined): void {
    const { core } = this;
    const { sdp } = this.#options;
    if (offer === undefined) {
      this.#spoil(winner, "bad-media");
      return;
    }
    if (sdp === undefined && !core.negotiation.hasHandler) {
      this.#askForAnswer(winner, offer);
      return;
    }
    whenSettled(
      () => core.negotiation.answer(offer, sdp),
      (answer) =>
        core.enter(() => {
          winner.fork.acknowledge(winner.news.flow, {
            contentType: "application/sdp",
            body: answer,
          });
          if (core.closed || core.state === "terminating") return;
          core.negotiation.answered();
          this.#establish(winner, offer, answer);
        }),
      (error) =>
        core.enter(() => {
          if (!isDeclined(error) || core.closed || core.state === "terminating") {
            this.#spoil(winner, mediaCause(error), error);
            return;
          }
          core.negotiation.rollback();
          this.#askForAnswer(winner, offer);
        }),
    );
  }

  /** Nobody here can answer the offer of the 2xx but the application: the ACK waits for it (contract §4.5). */
  #askForAnswer(winner: Winner, offer: string): void {
    const { core } = this;
    const { branch, fork, news } = winner;
    const { response, flow } = news;
    const { statusCode, reason } = response;
    const target = branch.status().uri;
    core.negotiation.offered();
    core.input("success");
    // The peer repeats its 2xx until the ACK, even after its own BYE.
    core.onClose(() => fork.decline(flow, response));
    askForAnswer(core, {
      request: fork.invite,
      eventName: "answered",
      fields: { message: response, statusCode, reason, remoteSdp: offer, target },
      accept: (sdp) => {
        const { ack } = fork.acknowledge(flow, { contentType: "application/sdp", body: sdp });
        core.negotiation.supply(offer, sdp);
        core.emit("confirmed", { message: ack, target, remoteSdp: offer, localSdp: sdp });
        core.emit("media", { remoteSdp: offer, localSdp: sdp });
        return { ok: true, statusCode, reason, message: ack };
      },
      refuse: (options) => {
        const { ack } = fork.decline(flow, response);
        const code = options.statusCode ?? 488;
        this.hangUp({
          cause: "incompatible-media",
          statusCode: code,
          reason: options.reason,
          headers: options.headers,
        });
        return { ok: true, statusCode: code, reason: options.reason, message: ack };
      },
    });
  }

  #establish(winner: Winner, remoteSdp: string, localSdp: string | undefined): void {
    const { core } = this;
    if (core.closed || core.state === "terminating") return;
    const { response, flow } = winner.news;
    const { statusCode, reason } = response;
    const target = winner.branch.status().uri;
    core.input("success");
    core.sessionTimer.succeeded(response);
    core.emit("answered", { message: response, statusCode, reason, remoteSdp, localSdp, target });
    core.emit("confirmed", { message: winner.fork.acknowledge(flow).ack, target });
    core.emit("media", { remoteSdp, localSdp });
  }

  /** A 2xx that no call can come of: ACK, then BYE. */
  #spoil(winner: Winner, cause: Cause, error?: unknown): void {
    const { core } = this;
    winner.fork.decline(winner.news.flow, winner.news.response);
    if (core.closed || core.state === "terminating") return;
    if (error !== undefined) core.logger.info(`session ${core.id}: ${errorText(error)}`);
    const { response } = winner.news;
    const { statusCode, reason } = response;
    this.hangUp({ cause }, { message: response, statusCode, reason });
  }

  #cancelAll(cause: Cause, headers: HeaderList): void {
    const { core } = this;
    core.setCause(cause);
    core.negotiation.close();
    core.input("cancel");
    core.emit("cancelled", {});
    for (const branch of this.#branches) branch.cancel("cancelled", headers);
  }

  /** With no other target left the attempt ends with this CANCEL. */
  #onExpire(): void {
    if (this.#branches.some((branch) => branch.isOpen || branch.state === "waiting")) return;
    this.core.negotiation.close();
    this.core.input("cancel");
    this.core.emit("cancelled", {});
  }

  #onFinished(): void {
    const { core } = this;
    if (this.#winner !== undefined || core.closed) return;
    const mayGoOn = core.state !== "terminating" && this.#options.strategy === "sequential";
    const isActive = this.#branches.some((branch) => branch.state !== "waiting" && !branch.isOver);
    if (isActive || (mayGoOn && this.#startNext())) return;
    if (this.#branches.every((branch) => branch.isOver)) this.#conclude();
  }

  /** No target is left: the best of their answers speaks for the attempt. */
  #conclude(): void {
    const { core } = this;
    if (core.closed) return;
    const responses = this.#branches.flatMap(({ final }) => (final === undefined ? [] : [final]));
    const message = bestResponse(responses);
    const branch = this.#branches.find(({ final }) => final === message) ?? this.#branches[0];
    const cause = branch?.cause ?? "rejected";
    core.setCause(cause);
    const fields = failureFields(message);
    core.negotiation.close();
    if (message !== undefined && core.state !== "terminating") core.emit("rejected", fields);
    core.close(cause, fields);
  }
}

/** Headers of every INVITE of the attempt that its options ask for. */
function attemptHeaders({ anonymous, replaces }: OutgoingSessionOptions): HeaderList {
  return [
    ...(anonymous ? ([["Privacy", "id"]] as const) : []),
    ...(replaces === undefined
      ? []
      : ([
          ["Require", "replaces"],
          ["Replaces", formatReplaces(replaces)],
        ] as const)),
  ];
}

function failureFields(message: SipResponse | undefined): EventFields {
  if (message === undefined) return { statusCode: 0 };
  const { statusCode, reason } = message;
  const contacts = statusCode < 400 ? redirectionsOf(message).map(({ shown }) => shown) : [];
  return {
    message,
    statusCode,
    reason,
    retryAfter: message.seconds("retry-after"),
    ...(contacts.length === 0 ? {} : { contacts, uris: contacts.map(({ uri }) => uri) }),
  };
}

/** The media handler leaves the answer to the application. */
function isDeclined(error: unknown): boolean {
  return error instanceof SipError && error.rule === "declined";
}

/** Nothing in common is another matter than an answer that is none. */
function mediaCause(error: unknown): Cause {
  if (!(error instanceof SipError) || error.code !== "E_MEDIA") return "bad-media";
  const hint = "statusHint" in error ? error.statusHint : 488;
  return hint === 488 ? causeOfFailure(error) : "bad-media";
}
