/** What all nodes that act in a session have in common (contract §4.3). */
import { type ActionOutcome, InvalidStateError, type SessionEvent } from "../../lib/index.js";
import { type Call, findCall } from "./call.js";
import { misuse } from "./errors.js";
import { outcomeFields, sessionEventFields } from "./event-fields.js";
import type { Input, LeavesWith, OutputPort } from "./input.js";
import { isRecord, jsonCopy, type SipFields } from "./sip-fields.js";

/** Both names of a session's last event. */
export const CLOSING = ["ended", "failed"] as const;

/** @throws InvalidArgumentError `no-handle` when there is no handle at all. */
export function checkedHandle(handle: unknown): string {
  if (typeof handle === "string" && handle !== "") return handle;
  throw misuse("no-handle", "the message carries no session handle (msg.sip.session)");
}

/**
 * The live session that a node acts in; undefined when it is over. Sets `peer` (contract §3.2) and merges the
 * message's data (§3.3).
 */
export function callFor(input: Input, handle: unknown): Call | undefined {
  const id = checkedHandle(handle);
  const { carried } = input;
  if (carried.session !== undefined && carried.session !== id) input.peer = carried.session;
  const call = findCall(id);
  if (call !== undefined && carried.session === id && carried.data !== undefined) {
    call.mergeData(carried.data);
  }
  return call;
}

/** `msg.sip` when the session is over or was never there. */
export function overFields(input: Input, handle: unknown, event: string): SipFields {
  const fields: SipFields = {
    event,
    session: checkedHandle(handle),
    state: "terminated",
    cause: "no-session",
  };
  const { carried } = input;
  if (carried.session === fields.session && carried.data !== undefined) {
    const data = jsonCopy(carried.data);
    if (isRecord(data)) fields.data = data;
  }
  return fields;
}

/** Leaves because the session is over. */
export function leaveOver(
  input: Input,
  handle: unknown,
  output: OutputPort,
  event: string,
  payload: unknown = "no-session",
): void {
  input.leave(output, () => ({ sip: overFields(input, handle, event), payload }));
}

/** The session is ending: an action in it has lost a race, nobody made a mistake. */
export function isEnding(call: Call): boolean {
  const { state } = call.session;
  return call.over || state === "terminating" || state === "terminated";
}

/** Leaves by `output` when the session closes while the message waits. @returns stop watching. */
export function leaveAtEnd(
  input: Input,
  call: Call,
  output: OutputPort,
  message: (event: SessionEvent) => { readonly event: string; readonly payload: unknown } = (
    event,
  ) => ({ event: event.name, payload: event.snapshot.cause ?? event.name }),
): () => void {
  const release = (event: SessionEvent): void => {
    const { event: name, payload } = message(event);
    const sip = { ...sessionEventFields(call.stackId, call.session, event), event: name };
    input.leave(output, () => ({ sip, payload }), closingOf(call));
  };
  call.closers.add(release);
  return () => call.closers.delete(release);
}

export function closingOf(call: Call): LeavesWith {
  return { sessionId: call.id, events: CLOSING };
}

/** `msg.sip` of a finished action in a session. */
export function outcomeIn(call: Call, event: string, outcome: ActionOutcome): SipFields {
  return call.fields(event, outcomeFields(outcome));
}

export interface SessionAttempt {
  /** Output and event for `ok`. */
  readonly success: readonly [number, string];
  readonly failure: readonly [number, string];
  /** With which session events a result leaves. */
  readonly with?: readonly string[];
  /** Payload of the success; default the status code. */
  readonly payload?: (outcome: ActionOutcome) => unknown;
}

/** Runs an action whose result is a status code and sends it to the output it belongs to. */
export async function attemptIn(
  input: Input,
  call: Call,
  attempt: SessionAttempt,
  run: () => Promise<ActionOutcome>,
): Promise<void> {
  const [failureOutput, failureEvent] = attempt.failure;
  let outcome: ActionOutcome;
  try {
    outcome = await run();
  } catch (error) {
    if (!(error instanceof InvalidStateError) || !isEnding(call)) throw error;
    leaveOver(input, call.id, failureOutput, failureEvent, 0);
    return;
  }
  const [output, event] = outcome.ok ? attempt.success : attempt.failure;
  const payload =
    outcome.ok && attempt.payload !== undefined ? attempt.payload(outcome) : outcome.statusCode;
  // What the session says is from this moment; made later only when the wires come later.
  const now = input.isWired(output) ? outcomeIn(call, event, outcome) : undefined;
  input.leave(output, () => ({ sip: now ?? outcomeIn(call, event, outcome), payload }), {
    sessionId: call.id,
    events: [...(attempt.with ?? []), ...CLOSING],
  });
}
