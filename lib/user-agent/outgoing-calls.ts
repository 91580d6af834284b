/** From the application's wish to call somebody to a session (contract §4.5 "Targets and forks"). */
import {
  InvalidArgumentError,
  InvalidStateError,
  UNWATCHED,
  type Clock,
} from "../foundation/index.js";
import type { NameAddr, Replaces } from "../message/index.js";
import {
  checkedReplaces,
  type HeaderList,
  OutgoingSession,
  replacesOf,
  splitReplaces,
  type NeighbourCall,
  type OutgoingSessionOptions,
  type OutgoingTarget,
  type ReferredCall,
  type Session,
  type SessionServices,
} from "../session/index.js";
import type { Flow } from "../transport/transport.js";
import type { ManagedAccount } from "./managed-account.js";
import type { InviteOptions, InviteTarget } from "./options.js";
import { reliability } from "./resolved-options.js";
import type { SessionTable } from "./session-table.js";
import type { Intake } from "./user-agent-server.js";
import { parseTarget } from "./target.js";

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_REDIRECTS = 3;
/** One attempt rings at most this many places. */
const MOST_TARGETS = 32;
const NO_HEADERS: HeaderList = [];

export interface OutgoingCallsOptions {
  readonly clock: Clock;
  readonly services: SessionServices;
  readonly sessions: SessionTable;
  intake(): Intake;
  account(id: string): ManagedAccount | undefined;
  /** The session has closed. */
  closed(session: NeighbourCall): void;
}

export interface ReferredCallOptions {
  readonly referTo: NameAddr;
  readonly referredBy: string | undefined;
  /** The flow of the REFER. */
  readonly namedBy: Flow;
  readonly accountId: string | undefined;
}

class WatchedOutgoingSession extends OutgoingSession {
  constructor(
    services: SessionServices,
    options: OutgoingSessionOptions,
    onClosed: (session: OutgoingSession) => void,
  ) {
    super(services, options);
    this.core.onClose(() => onClosed(this));
  }
}

export class OutgoingCalls {
  readonly #options: OutgoingCallsOptions;

  constructor(options: OutgoingCallsOptions) {
    this.#options = options;
  }

  /** @throws InvalidArgumentError for a target or account that cannot be. */
  invite(options: InviteOptions): Session {
    const account = this.#account(options.account);
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const { sessionExpires = 0 } = options;
    if (!(Number.isFinite(sessionExpires) && sessionExpires >= 0)) {
      throw new InvalidArgumentError("sessionExpires is a number of seconds from 0 on.", {
        rule: "bad-option",
      });
    }
    return this.#place({
      ...options,
      replaces: this.#replaces(options.replaces),
      targets: this.#targets(options.targets, account, timeoutMs),
      account,
    });
  }

  /** The call that a REFER of a peer asks for. @throws as `invite`. */
  placeReferred(options: ReferredCallOptions): ReferredCall {
    const { referTo, referredBy, namedBy, accountId } = options;
    const account = this.#account(accountId);
    const headers: [string, string][] =
      referredBy === undefined ? [] : [["Referred-By", referredBy]];
    const { address, replaces } = splitReplaces(referTo);
    const target = { address, account, namedBy, timeoutMs: DEFAULT_TIMEOUT_MS, headers: [] };
    const session = this.#place({ targets: [target], account, headers, replaces }, true);
    return { session, onProgress: (listener) => reportProgress(session, listener) };
  }

  #place(
    options: Omit<InviteOptions, "targets" | "account" | "replaces"> & {
      readonly targets: readonly OutgoingTarget[];
      readonly account: ManagedAccount | undefined;
      readonly replaces: Replaces | undefined;
    },
    isReferred = false,
  ): Session {
    const { services, sessions, clock } = this.#options;
    const isOverLimit = sessions.isFull;
    // While the stack is drained, calls that are up still get the second leg that they need to go on.
    const isNew = !isReferred && !this.#isLive(options.near);
    const isUnwanted = isNew && this.#options.intake() !== "all";
    // What is placed for another call counts on where that call stands, so that calls that go in a circle end (RFC 7332 §4).
    const cameWith = options.near === undefined ? undefined : sessions.get(options.near)?.hopsLeft;
    const hopsLeft = cameWith === undefined ? undefined : cameWith - 1;
    const session = new WatchedOutgoingSession(
      services,
      {
        ...UNWATCHED,
        targets: options.targets,
        account: options.account,
        strategy: options.strategy ?? "parallel",
        anonymous: options.anonymous ?? false,
        earlyMedia: options.earlyMedia ?? true,
        delayedOffer: options.delayedOffer ?? false,
        redirects: options.redirects ?? DEFAULT_REDIRECTS,
        rel100: options.rel100 === undefined ? undefined : reliability(options.rel100),
        headers: options.headers ?? [],
        sessionExpires: options.sessionExpires,
        replaces: options.replaces,
        sdp: options.sdp,
        descriptionModifiers: options.descriptionModifiers,
        contentType: options.contentType,
        body: options.body,
        data: options.data,
        near: options.near,
        hopsLeft,
      },
      (closed) => {
        this.#options.closed(closed);
        sessions.remove(closed);
      },
    );
    sessions.add(session);
    // Contract §4.5: an outgoing call above `maxSessions` fails with `limit`, like any call that fails: by an event.
    if (hopsLeft !== undefined && hopsLeft < 0) clock.defer(() => session.forceClose("blocked"));
    else if (isUnwanted) clock.defer(() => session.forceClose("shutdown"));
    else if (isOverLimit) clock.defer(() => session.forceClose("limit"));
    else session.begin();
    return session;
  }

  #isLive(handle: string | undefined): boolean {
    const state = handle === undefined ? undefined : this.#options.sessions.get(handle)?.state;
    return state !== undefined && state !== "terminating" && state !== "terminated";
  }

  /** @throws InvalidStateError: rule `no-session` for a call that is over, else for one that has no dialog yet. */
  #replaces(replaces: InviteOptions["replaces"]): Replaces | undefined {
    if (replaces === undefined) return undefined;
    if (typeof replaces !== "string") return checkedReplaces(replaces);
    const call = this.#options.sessions.get(replaces);
    if (call === undefined || call.state === "terminating") {
      throw new InvalidStateError("The call that is to be replaced is over", {
        rule: "no-session",
      });
    }
    if (call.dialog !== undefined) return replacesOf(call.dialog);
    throw new InvalidStateError(
      `The call that is to be replaced is ${call.state}; that is possible once it is established`,
    );
  }

  #targets(
    targets: InviteOptions["targets"],
    account: ManagedAccount | undefined,
    timeoutMs: number,
  ): OutgoingTarget[] {
    if (targets.length === 0) {
      throw new InvalidArgumentError("There is no target to call.", { rule: "bad-target" });
    }
    if (targets.length > MOST_TARGETS) {
      throw new InvalidArgumentError(`One call has at most ${MOST_TARGETS} targets.`, {
        rule: "bad-target",
      });
    }
    return targets.map((target) => this.#target(target, account, timeoutMs));
  }

  #target(
    target: string | InviteTarget,
    account: ManagedAccount | undefined,
    timeoutMs: number,
  ): OutgoingTarget {
    if (typeof target === "string") {
      const address = parseTarget(target, account?.settings.uri);
      return { ...UNWATCHED, address, account, timeoutMs, headers: NO_HEADERS };
    }
    const own = target.account === undefined ? account : this.#account(target.account);
    return {
      ...UNWATCHED,
      address: parseTarget(target.uri, own?.settings.uri),
      account: own,
      timeoutMs: target.timeoutMs ?? timeoutMs,
      headers: target.headers ?? NO_HEADERS,
    };
  }

  #account(id: string | undefined): ManagedAccount | undefined {
    if (id === undefined) return undefined;
    const account = this.#options.account(id);
    if (account !== undefined) return account;
    throw new InvalidArgumentError("The account of the call does not exist in this SIP stack.", {
      rule: "no-account",
    });
  }
}

/** Provisional responses as they come, then the final one; 0 = none came. */
function reportProgress(
  session: Session,
  listener: Parameters<ReferredCall["onProgress"]>[0],
): void {
  let last = { statusCode: 0, reason: "" };
  const remove = session.on("event", (event) => {
    const { name, statusCode = 0, reason = "", snapshot } = event;
    switch (name) {
      case "progress":
        listener(statusCode, reason);
        return;
      case "rejected":
        last = { statusCode, reason };
        return;
      case "answered":
        remove();
        listener(statusCode === 0 ? 200 : statusCode, reason === "" ? "OK" : reason);
        return;
      case "failed":
        remove();
        listener(statusCode || last.statusCode, reason || last.reason, snapshot.cause);
        return;
      default:
    }
  });
}
