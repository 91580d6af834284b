/** Finds the dialog of a message; the user agent owns the one store and puts dialogs into it (RFC 3261 §12). */
import { listOf, ShortLivedMap } from "../foundation/index.js";
import type { SipMessage } from "../message/index.js";
import type { Dialog, DialogUser } from "./dialog.js";

export interface StoredDialog {
  readonly dialog: Dialog;
  readonly user: DialogUser;
}

class Entry implements StoredDialog {
  constructor(
    readonly dialog: Dialog,
    readonly user: DialogUser,
  ) {}
}

export interface DialogStoreOptions {
  /** Dialogs in all. Default 50,000. */
  readonly limit?: number | undefined;
  /** Dialogs with the same Call-ID and local tag: the forks of one INVITE. Default 64. */
  readonly forkLimit?: number | undefined;
}

/**
 * Dialogs by Call-ID and local tag, which we chose ourselves, with a short list of remote tags behind: one, or as
 * many as the peer's proxies forked our INVITE.
 */
export class DialogStore {
  readonly #limit: number;
  readonly #forkLimit: number;
  readonly #dialogs = new ShortLivedMap<string, StoredDialog[]>();
  #size = 0;

  constructor(options: DialogStoreOptions = {}) {
    this.#limit = options.limit ?? 50_000;
    this.#forkLimit = options.forkLimit ?? 64;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Stores a dialog, in place of one with the same id.
   *
   * @returns false when the store, or the number of forks of this INVITE, is at its limit: nothing was stored.
   */
  add(dialog: Dialog, user: DialogUser): boolean {
    const { callId, localTag, remoteTag } = dialog.id;
    const key = keyOf(callId, localTag);
    const forks = this.#dialogs.get(key);
    const entry = new Entry(dialog, user);
    const index = forks?.findIndex((stored) => stored.dialog.id.remoteTag === remoteTag) ?? -1;
    if (forks && index >= 0) {
      forks[index] = entry;
      return true;
    }
    if (this.#size >= this.#limit) return false;
    if (!forks) this.#dialogs.set(key, listOf<StoredDialog>(entry));
    else if (forks.length < this.#forkLimit) forks.push(entry);
    else return false;
    this.#size++;
    return true;
  }

  remove(dialog: Dialog): void {
    const key = keyOf(dialog.id.callId, dialog.id.localTag);
    const forks = this.#dialogs.get(key);
    const index = forks?.findIndex((stored) => stored.dialog === dialog) ?? -1;
    if (!forks || index < 0) return;
    this.#size--;
    if (forks.length === 1) this.#dialogs.delete(key);
    else forks.splice(index, 1);
  }

  /** For an incoming request: local = To tag; for an incoming response: local = From tag. */
  find(message: SipMessage): StoredDialog | undefined {
    const { from, to } = message;
    return message.kind === "request"
      ? this.lookup(message.callId, to.tag ?? "", from.tag ?? "")
      : this.lookup(message.callId, from.tag ?? "", to.tag ?? "");
  }

  /** By Call-ID and tags (Replaces, Target-Dialog). */
  lookup(callId: string, localTag: string, remoteTag: string): StoredDialog | undefined {
    const forks = this.#dialogs.get(keyOf(callId, localTag));
    return forks?.find((stored) => stored.dialog.id.remoteTag === remoteTag);
  }

  /** Every fork of one INVITE of ours. A fresh list. */
  findByLocal(callId: string, localTag: string): StoredDialog[] {
    return [...(this.#dialogs.get(keyOf(callId, localTag)) ?? [])];
  }
}

/** The length tells where the tag ends, whatever characters a peer puts into it. */
function keyOf(callId: string, localTag: string): string {
  return `${localTag.length} ${localTag} ${callId}`;
}
