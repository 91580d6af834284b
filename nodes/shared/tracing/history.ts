/**
 * What has become of the calls of this process: the last ones that ended, whatever stack they were on, and the traces that belong
 * to them.
 */
import type {
  MediaStatistics,
  Session,
  SessionEvent,
  SessionSnapshot,
} from "../../../lib/index.js";
import type { Call } from "../call.js";
import { bridgePeer } from "../event-fields.js";
import { type CallSummary, callSummary } from "./call-summary.js";
import { changes } from "./changes.js";
import type { Traces } from "./traces.js";

export const DEFAULT_HISTORY = 100;

interface EndedCall {
  readonly snapshot: SessionSnapshot;
  readonly stack: string;
  readonly node: string | undefined;
  readonly peer: string | undefined;
  readonly statusCode: number | undefined;
  readonly reason: string | undefined;
  statistics: MediaStatistics | undefined;
}

export class CallHistory {
  /** By handle, oldest first. */
  readonly #ended = new Map<string, EndedCall>();
  #kept = DEFAULT_HISTORY;

  constructor(private readonly traces: Traces) {}

  /** So many calls that have ended are kept. */
  set kept(kept: number) {
    this.#kept = kept;
    this.#shorten();
  }

  /** Follows a call. @param traced - its stack keeps messages. */
  observe(call: Call, event: SessionEvent, traced: boolean): void {
    const { session, stackId } = call;
    const isEnd = event.name === "ended" || event.name === "failed";
    if (traced && (isFirst(event) || isEnd)) {
      this.traces.open(session.id, {
        stackId,
        callIds: session.callIds,
        direction: session.direction,
      });
    }
    if (isEnd) this.#end(call, event);
    if (SHOWN.has(event.name)) changes.tell();
  }

  /** The ended calls, newest first. */
  ended(): CallSummary[] {
    return [...this.#ended].map(([handle, ended]) => this.#summary(handle, ended)).reverse();
  }

  find(handle: string): CallSummary | undefined {
    const ended = this.#ended.get(handle);
    return ended === undefined ? undefined : this.#summary(handle, ended);
  }

  live({ session, stackId, owner }: Call, statistics?: MediaStatistics): CallSummary {
    return callSummary(session.snapshot(), {
      stack: stackId,
      node: owner?.nodeId,
      peer: bridgePeer(session),
      statusCode: undefined,
      reason: undefined,
      statistics,
      messages: this.traces.count(session.id),
    });
  }

  #end({ session, stackId, owner }: Call, event: SessionEvent): void {
    const { snapshot, statusCode, reason } = event;
    const ended: EndedCall = {
      snapshot,
      stack: stackId,
      node: owner?.nodeId,
      peer: bridgePeer(session),
      statusCode,
      reason,
      statistics: undefined,
    };
    this.traces.close(session.id);
    this.#ended.delete(session.id);
    this.#ended.set(session.id, ended);
    this.#shorten();
    this.#learn(session, ended);
  }

  #learn(session: Session, ended: EndedCall): void {
    void session.mediaStatistics?.then((statistics) => {
      ended.statistics = statistics;
      changes.tell();
    });
  }

  #shorten(): void {
    for (const handle of this.#ended.keys()) {
      if (this.#ended.size <= this.#kept) return;
      this.#ended.delete(handle);
      this.traces.forget(handle);
    }
  }

  #summary(handle: string, { snapshot, ...facts }: EndedCall): CallSummary {
    return callSummary(snapshot, { ...facts, messages: this.traces.count(handle) });
  }
}

/** After these the sidebar shows something else. */
const SHOWN: ReadonlySet<string> = new Set([
  "state",
  "ended",
  "failed",
  "hold",
  "resume",
  "updated",
  "media",
  "participant",
  "replaced",
]);

/** The first event of a session; an incoming one may have been held back by a deploy. */
function isFirst({ name }: SessionEvent): boolean {
  return name === "state" || name === "incoming" || name === "inviting";
}
