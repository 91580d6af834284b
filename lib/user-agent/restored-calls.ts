/** From the record of a call of another process to a session of ours (RFC 3261 §12.2). */
import {
  readCallRecord,
  RestoredSession,
  type AccountHandle,
  type SessionServices,
} from "../session/index.js";
import type { ReplacedCalls } from "./replaced-calls.js";
import type { SessionTable } from "./session-table.js";

export interface RestoredCallsOptions {
  readonly services: SessionServices;
  readonly sessions: SessionTable;
  readonly replaced: ReplacedCalls;
  account(id: string): AccountHandle | undefined;
}

/**
 * @param record - What `Session.record` said, from JSON; nothing of it is trusted.
 * @returns undefined when it is none, when the call is known here, or when there is no room for it.
 */
export function restoreCall(
  options: RestoredCallsOptions,
  record: unknown,
): RestoredSession | undefined {
  const { services, sessions, replaced } = options;
  const source = readCallRecord(record);
  if (source === undefined || sessions.get(source.record.id) !== undefined) return undefined;
  const { callId, localTag, remoteTag } = source.record.dialog;
  if (services.dialogs.lookup(callId, localTag, remoteTag) !== undefined) return undefined;
  const id = source.record.account;
  const account = id === undefined ? undefined : options.account(id);
  const session = new RestoredSession(services, source, account, (closed) => {
    replaced.remember(closed);
    sessions.remove(closed);
  });
  sessions.add(session);
  if (session.begin()) return session;
  session.forget();
  return undefined;
}
