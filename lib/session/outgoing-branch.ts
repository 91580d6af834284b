/**
 * One target of an attempt: its INVITE with its own Call-ID and From tag, the dialogs that it forks into, redirects,
 * the target's time limit and CANCEL (RFC 3261 §13.2, §8.1.3.4, §9.1).
 */
import {
  StateMachine,
  UNWATCHED,
  randomToken,
  type SipError,
  type Timer,
} from "../foundation/index.js";
import type { Dialog, DialogUser } from "../dialog/index.js";
import {
  NameAddr,
  createRequest,
  type SipRequest,
  type SipResponse,
  type Uri,
} from "../message/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { Flow } from "../transport/transport.js";
import type { BodyFields } from "./body.js";
import { causeOfStatus, type Cause } from "./cause.js";
import { isForkEnd } from "./early-media.js";
import { Fork } from "./fork.js";
import { mergeHeaders } from "./header-lines.js";
import { LateAnswers } from "./late-answers.js";
import { mapMaybe } from "./maybe-promise.js";
import type { MaybePromise } from "./media-handler.js";
import { causeOfFailure } from "./outcomes.js";
import type { OutgoingTarget } from "./outgoing-options.js";
import { bareUri, isFollowable, leadsTo, redirectionsOf } from "./redirect.js";
import { reliableNumber, type Rel100 } from "./rel100.js";
import type { SessionCore } from "./session-core.js";
import type { OutgoingRequest } from "./session-services.js";
import type { HeaderList, RedirectContact, TargetStatus } from "./session-types.js";
import {
  targetMachine,
  type TargetAction,
  type TargetInput,
  type TargetState,
} from "./target-state.js";

const TAG_LENGTH = 12;
const CALL_ID_LENGTH = 26;
/** Dialogs of one INVITE that are told apart. */
const MOST_FORKS = 64;
/** Addresses tried for one target, whatever its redirects say. */
const MOST_TRIES = 10;
/** 422 responses obeyed for one target (RFC 4028 §7.3). */
const MOST_LONGER_INTERVALS = 4;

/** What the attempt decides for its branches, and hears from them. */
export interface BranchOwner {
  readonly core: SessionCore;
  readonly inDialog: DialogUser;
  /** From without tag. */
  readonly from: NameAddr;
  readonly headers: HeaderList;
  /** From hides us: the account's own server learns in another header who calls. */
  readonly isAnonymous: boolean;
  readonly redirects: number;
  /** `none`: provisional responses are taken as unreliable, whatever they say. */
  readonly rel100: Rel100;
  /** Body of every INVITE of the attempt, made once. */
  body(flow: Flow): MaybePromise<BodyFields>;
  onProgress(branch: OutgoingBranch, news: BranchNews): void;
  onRedirect(branch: OutgoingBranch, response: SipResponse, contacts: RedirectContact[]): void;
  /** The first 2xx of a branch that is still wanted. */
  onAnswer(branch: OutgoingBranch, news: BranchNews, fork: Fork): void;
  /** The target's time is over, CANCEL is on its way. */
  onExpire(branch: OutgoingBranch): void;
  /** Failed or cancelled: nothing is to be expected any more. */
  onFinished(branch: OutgoingBranch): void;
}

/** A response with all that belongs to it. */
export interface BranchNews {
  readonly response: SipResponse;
  readonly flow: Flow;
  readonly fork: Fork | undefined;
  /** It must be acknowledged with PRACK (RFC 3262). */
  readonly isReliable: boolean;
}

interface Input {
  readonly response?: SipResponse;
  readonly request?: SipRequest;
  readonly flow?: Flow;
  readonly headers?: HeaderList;
  readonly address?: Uri;
}

const SHOWN: Readonly<Record<TargetState, TargetStatus["state"]>> = {
  waiting: "waiting",
  calling: "trying",
  trying: "trying",
  ringing: "ringing",
  expiring: "failed",
  cancelling: "cancelled",
  answered: "answered",
  failed: "failed",
  cancelled: "cancelled",
};

export class OutgoingBranch {
  readonly callId: string;
  readonly localTag: string;
  readonly target: OutgoingTarget;
  readonly #owner: BranchOwner;
  readonly #core: SessionCore;
  readonly #machine: StateMachine<TargetState, TargetInput, TargetAction, Input>;
  readonly #user: DialogUser;
  readonly #forks = new Map<string, Fork>();
  readonly #candidates: Uri[] = [];
  readonly #tried = new Set<string>();
  #redirects: number;
  #longerIntervals = 0;
  #sequence = 0;
  #outgoing: OutgoingRequest | undefined;
  #timer: Timer | undefined;
  #final: SipResponse | undefined;
  #winner: Fork | undefined;
  #tries = 0;
  /** Where the last INVITE went. */
  #address: Uri | undefined;
  /** The connection that the last response came by. */
  #lastFlow: Flow | undefined;
  /** Who named it, when it was a peer. */
  #namedBy: Flow | undefined;
  #cause: Cause | undefined;

  constructor(owner: BranchOwner, target: OutgoingTarget) {
    const { services } = owner.core;
    this.#owner = owner;
    this.#core = owner.core;
    this.target = target;
    this.#namedBy = target.namedBy;
    this.callId = randomToken(services.random, CALL_ID_LENGTH);
    this.localTag = randomToken(services.random, TAG_LENGTH);
    this.#redirects = owner.redirects;
    this.#machine = new StateMachine(targetMachine, (action, input) =>
      this.#perform(action, input),
    );
    this.#user = {
      ...UNWATCHED,
      sessionId: owner.core.id,
      onDialogRequest: (transaction: ServerTransaction, dialog: Dialog) =>
        owner.inDialog.onDialogRequest(transaction, dialog),
      onDialogAck: (ack, dialog) => owner.inDialog.onDialogAck(ack, dialog),
      onDialogResponse: (response, _dialog, flow) =>
        this.#core.enter(() => this.#machine.input("2xx", { response, flow })),
    };
  }

  get state(): TargetState {
    return this.#machine.state;
  }

  /** Can it still become the call? */
  get isOpen(): boolean {
    const { state } = this.#machine;
    return state === "calling" || state === "trying" || state === "ringing";
  }

  /** Nothing is to be expected from it any more. */
  get isOver(): boolean {
    const { state } = this.#machine;
    return state === "failed" || state === "cancelled";
  }

  /** The final response, if there was one. */
  get final(): SipResponse | undefined {
    return this.#final;
  }

  get cause(): Cause | undefined {
    return this.#cause;
  }

  get user(): DialogUser {
    return this.#user;
  }

  status(): TargetStatus {
    const final = this.#final;
    return {
      uri: this.target.address.uri.toString(),
      state: SHOWN[this.#machine.state],
      ...(final === undefined ? {} : { statusCode: final.statusCode, reason: final.reason }),
      ...(this.#cause === undefined ? {} : { cause: this.#cause }),
    };
  }

  start(): void {
    const address = bareUri(this.target.address.uri);
    if (address === undefined || !this.#core.services.mayDial(address)) {
      this.#cause = "blocked";
      this.#machine.input("blocked", {});
      return;
    }
    if (!this.#mayCall()) {
      this.#machine.input("blocked", {});
      return;
    }
    const { timeoutMs } = this.target;
    if (timeoutMs > 0) this.#timer = this.#core.after(timeoutMs, () => this.#expire());
    this.#machine.input("start", { address });
  }

  /** May the account call one more address? If not, that is the target's end. */
  #mayCall(): boolean {
    const { services, owner } = this.#core;
    if (services.mayCall?.(this.target.account, owner) !== false) return true;
    this.#cause = "limit";
    return false;
  }

  /** Ends it with CANCEL, as far as there is something to cancel. @param cause - for the target's status. */
  cancel(cause: Cause, headers: HeaderList): void {
    if (!this.isOver && this.#machine.state !== "answered") this.#cause ??= cause;
    this.#machine.input("cancel", { headers });
  }

  /** The session is over: what a further 2xx needs is kept without it. */
  settle(): void {
    const invite = this.#outgoing?.request;
    if (invite === undefined) return;
    const { services } = this.#core;
    const { account } = this.target;
    this.#outgoing?.settle(new LateAnswers(services, invite, account, this.#forks, MOST_FORKS));
  }

  /** Forgets all: no callback comes any more. */
  abandon(): void {
    this.#timer?.cancel();
    this.#outgoing?.abandon();
    this.#dropForks();
  }

  #perform(action: TargetAction, input: Input): void {
    switch (action) {
      case "sendInvite":
        if (input.address !== undefined) this.#sendInvite(input.address);
        return;
      case "sendCancel":
        this.#outgoing?.cancel(input.headers);
        return;
      case "progress":
        this.#progress(input);
        return;
      case "answer":
        this.#answer(input);
        return;
      case "furtherSuccess":
      case "refuse":
        this.#refuse(input);
        return;
      case "expire":
        this.#owner.onExpire(this);
        return;
      case "finish":
        this.#timer?.cancel();
        this.#dropForks();
        this.#owner.onFinished(this);
    }
  }

  #sendInvite(address: Uri): void {
    const { services } = this.#core;
    const { account } = this.target;
    const { from } = this.#owner;
    const uri = address.toString();
    this.#tried.add(uri);
    this.#address = address;
    const sequence = ++this.#sequence;
    // Responses to the INVITE before a redirect are out of date, except a 2xx.
    const isCurrent = (): boolean => this.#tries === tries;
    const tries = ++this.#tries;
    this.#outgoing = services.send({
      ...UNWATCHED,
      nextHop: address,
      preferredFlow: this.#lastFlow,
      namedBy: this.#namedBy,
      account,
      session: this.#core.owner,
      inDialog: false,
      preferredIdentity: this.#owner.isAnonymous ? account?.identity.toString() : undefined,
      build: (flow) => {
        if (this.#core.flow === undefined) this.#core.useFlow(flow);
        return mapMaybe(this.#owner.body(flow), (body) =>
          createRequest({
            method: "INVITE",
            uri,
            from: new NameAddr(from.uri, from.displayName, new Map([["tag", this.localTag]])),
            to: this.#to,
            callId: this.callId,
            sequence,
            maxForwards: this.#core.hopsLeft,
            contact: services.contactPlaceholder,
            headers: mergeHeaders(
              this.#core.sessionTimer.inviteHeaders(),
              mergeHeaders(this.#owner.headers, this.target.headers),
            ),
            ...body,
          }),
        );
      },
      nextSequence: () => ++this.#sequence,
      onResponse: (response, request, flow) =>
        this.#core.enter(() => {
          if (isCurrent() || isSuccess(response)) this.#receive(response, request, flow);
        }),
      onFailure: (error) =>
        this.#core.enter(() => {
          if (isCurrent()) this.#fail(error);
        }),
    });
  }

  /** The same for every address that is tried (§8.1.3.4). */
  get #to(): NameAddr {
    const { address } = this.target;
    return new NameAddr(bareUri(address.uri) ?? address.uri, address.displayName);
  }

  #receive(response: SipResponse, request: SipRequest, flow: Flow): void {
    const { statusCode } = response;
    this.#core.observe(response);
    this.#lastFlow = flow;
    const input: Input = { ...UNWATCHED, response, request, flow };
    if (statusCode === 100) this.#machine.input("100", input);
    else if (statusCode < 200) this.#machine.input("1xx", input);
    else if (statusCode < 300) this.#succeed(input);
    else this.#refused(response, request);
  }

  #succeed(input: Input): void {
    if (this.isOpen) this.#final = input.response;
    this.#machine.input("2xx", input);
  }

  #refused(response: SipResponse, request: SipRequest): void {
    const { statusCode } = response;
    if (this.isOpen) {
      if (statusCode === 422 && this.#mayAskLonger(request, response)) {
        this.#machine.input("again", this.#address === undefined ? {} : { address: this.#address });
        return;
      }
      this.#final = response;
      if (isFollowable(response)) this.#takeRedirect(response);
      const next = statusCode < 600 ? this.#nextCandidate() : undefined;
      if (next !== undefined) {
        this.#machine.input("redirect", { address: next });
        return;
      }
    } else if (!this.isOver) {
      this.#final = response;
    }
    this.#cause ??= causeOfStatus(statusCode);
    this.#machine.input("failure", {});
  }

  #fail(error: SipError): void {
    const next = this.isOpen && error.code !== "E_MEDIA" ? this.#nextCandidate() : undefined;
    if (next !== undefined) {
      this.#machine.input("redirect", { address: next });
      return;
    }
    if (this.isOpen) this.#core.logger.info(`session ${this.#core.id}: ${error.message}`);
    this.#cause ??= causeOfFailure(error);
    this.#machine.input("failure", {});
  }

  #mayAskLonger(request: SipRequest, response: SipResponse): boolean {
    this.#longerIntervals++;
    if (this.#longerIntervals > MOST_LONGER_INTERVALS) return false;
    return this.#core.sessionTimer.learnsMinimum(request, response);
  }

  /** Puts the contacts of a 3xx in front of those that are still to be tried. */
  #takeRedirect(response: SipResponse): void {
    const redirections = redirectionsOf(response);
    if (this.#redirects <= 0 || redirections.length === 0) return;
    const { services } = this.#core;
    const allowed = redirections.filter(({ address }) => services.mayDial(address.uri));
    if (allowed.length === 0) {
      this.#cause = "blocked";
      return;
    }
    const onward = allowed.filter(({ address }) => !this.#leadsBack(address.uri));
    if (onward.length === 0) return;
    this.#redirects--;
    this.#namedBy = this.#outgoing?.flow;
    this.#candidates.unshift(...onward.map(({ address }) => address.uri));
    this.#owner.onRedirect(
      this,
      response,
      redirections.map(({ shown }) => shown),
    );
  }

  /** Somebody else sends our call to ourselves: what called there would be called for ever. */
  #leadsBack(uri: Uri): boolean {
    const flow = this.#outgoing?.flow;
    if (flow === undefined || this.#address === undefined) return false;
    const own = this.#core.services.contact(flow, this.target.account);
    return leadsTo(uri, own) && !leadsTo(this.#address, own);
  }

  #nextCandidate(): Uri | undefined {
    for (let uri = this.#candidates.shift(); uri !== undefined; uri = this.#candidates.shift()) {
      const isNew = !this.#tried.has(uri.toString());
      if (isNew && this.#tried.size < MOST_TRIES) return this.#mayCall() ? uri : undefined;
    }
    return undefined;
  }

  #expire(): void {
    if (!this.isOpen) return;
    // Nobody has said a word: that is no phone that rings (contract §3.4).
    this.#cause = this.#machine.state === "calling" ? "timeout" : "no-answer";
    this.#machine.input("timeout", {});
  }

  #progress({ response, request, flow }: Input): void {
    if (response === undefined || flow === undefined) return;
    const fork = response.to.tag === undefined ? undefined : this.#forkOf(response, request);
    const number = this.#owner.rel100 === "none" ? undefined : reliableNumber(response);
    const isReliable = fork !== undefined && number !== undefined;
    // Repeated, or one before it is missing: it will come again (RFC 3262 §4).
    if (isReliable && !fork.pracks.take(number)) return;
    if (fork !== undefined && isForkEnd(response)) this.#core.services.dialogs.remove(fork.dialog);
    this.#owner.onProgress(this, { ...UNWATCHED, response, flow, fork, isReliable });
  }

  #answer({ response, request, flow }: Input): void {
    if (response === undefined || flow === undefined) return;
    this.#timer?.cancel();
    const fork = this.#forkOf(response, request);
    if (fork === undefined) return;
    this.#winner = fork;
    this.#dropForks(fork);
    fork.dialog.confirm(response);
    this.#owner.onAnswer(this, { ...UNWATCHED, response, flow, fork, isReliable: false }, fork);
  }

  /** A 2xx beside the one that counts: again (its ACK was lost), or of a fork that lost (§13.2.2.4). */
  #refuse({ response, request, flow }: Input): void {
    if (response === undefined || flow === undefined) return;
    const fork = this.#forkOf(response, request);
    if (fork === this.#winner) fork?.repeatAck();
    else fork?.refuse(response, flow, this.target.account);
  }

  /** The fork of a response, made when it is new. */
  #forkOf(response: SipResponse, request: SipRequest | undefined): Fork | undefined {
    const tag = response.to.tag ?? "";
    const known = this.#forks.get(tag);
    const invite = request ?? this.#outgoing?.request;
    if (known !== undefined || invite === undefined) return known;
    const fork = new Fork(this.#core.services, invite, response);
    if (this.#forks.size >= MOST_FORKS) return isSuccess(response) ? fork : undefined;
    this.#forks.set(tag, fork);
    if (this.isOpen) this.#core.services.dialogs.add(fork.dialog, this.#user);
    return fork;
  }

  /** Early dialogs end with the decision; the forks stay known for a 2xx that is still on its way. */
  #dropForks(except?: Fork): void {
    for (const fork of this.#forks.values()) {
      if (fork === except || fork.dialog === this.#core.dialog) continue;
      this.#core.services.dialogs.remove(fork.dialog);
    }
  }
}

function isSuccess(response: SipResponse): boolean {
  return response.statusCode >= 200 && response.statusCode < 300;
}
