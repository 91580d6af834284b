/** Which of our calls an INVITE with Replaces names, and why it may not have its place (RFC 3891 §3). */
import type { Clock } from "../foundation/index.js";
import type { DialogStore } from "../dialog/index.js";
import { parseReplaces, type Replaces, type SipRequest } from "../message/index.js";
import type { NeighbourCall } from "../session/index.js";

/** Milliseconds for which a call that is over is told from one that never was. */
const REMEMBERED_MS = 32_000;
const MOST_REMEMBERED = 1_000;

export interface ReplacedCallsOptions {
  readonly clock: Clock;
  readonly dialogs: DialogStore;
  call(handle: string): NeighbourCall | undefined;
}

export class ReplacedCalls {
  readonly #options: ReplacedCallsOptions;
  /** Dialogs of calls that are over, oldest first → when that was. */
  readonly #over = new Map<string, number>();

  constructor(options: ReplacedCallsOptions) {
    this.#options = options;
  }

  /**
   * @returns the call whose place the INVITE wants, undefined when it wants none, or the status to refuse it with:
   *   400 malformed, repeated or contradictory, 481 no such call or one that rings here, 486 answered although
   *   `early-only`, 603 over or already replaced.
   */
  find(invite: SipRequest): NeighbourCall | 400 | 481 | 486 | 603 | undefined {
    if (!invite.headers.has("replaces")) return undefined;
    const [text, ...more] = invite.headers.getAll("replaces");
    const replaces = text === undefined ? undefined : parseReplaces(text);
    if (replaces === undefined || more.length > 0 || invite.headers.has("join")) return 400;
    const stored = this.#lookup(replaces);
    if (stored === undefined) return this.#isOver(replaces) ? 603 : 481;
    const { sessionId } = stored.user;
    const call = sessionId === undefined ? undefined : this.#options.call(sessionId);
    if (call === undefined) return 481;
    switch (call.state) {
      case "terminating":
      case "terminated":
        return 603;
      case "established":
        if (call.replacedBy !== undefined) return 603;
        return replaces.earlyOnly ? 486 : call;
      default:
        // A call that rings here is not ours to give away (RFC 3891 §3).
        return call.direction === "incoming" ? 481 : call;
    }
  }

  /** The call has closed. */
  remember({ dialog }: NeighbourCall): void {
    if (dialog === undefined) return;
    const { callId, localTag, remoteTag } = dialog.id;
    const key = keyOf(callId, localTag, remoteTag);
    this.#over.delete(key);
    this.#over.set(key, this.#options.clock.now());
    if (this.#over.size <= MOST_REMEMBERED) return;
    const oldest = this.#over.keys().next();
    if (oldest.done !== true) this.#over.delete(oldest.value);
  }

  /** A missing tag of RFC 2543 is named by 0 (RFC 3891 §3). */
  #lookup({ callId, toTag, fromTag }: Replaces): ReturnType<DialogStore["lookup"]> {
    const { dialogs } = this.#options;
    const stored = dialogs.lookup(callId, toTag, fromTag);
    return stored ?? (fromTag === "0" ? dialogs.lookup(callId, toTag, "") : undefined);
  }

  #isOver({ callId, toTag, fromTag }: Replaces): boolean {
    const since = this.#over.get(keyOf(callId, toTag, fromTag));
    return since !== undefined && this.#options.clock.now() - since < REMEMBERED_MS;
  }
}

/** Tags of Replaces are tokens, so no blank stands in them. */
function keyOf(callId: string, localTag: string, remoteTag: string): string {
  return `${localTag} ${remoteTag} ${callId}`;
}
