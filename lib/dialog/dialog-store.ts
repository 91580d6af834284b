/** Finds the dialog of a message; the user agent owns the one store and puts dialogs into it. */
import type { SipMessage } from "../message/index.js";
import type { Dialog, DialogUser } from "./dialog.js";

export interface StoredDialog {
  readonly dialog: Dialog;
  readonly user: DialogUser;
}

export class DialogStore {
  get size(): number {
    throw new Error("pending");
  }

  add(_dialog: Dialog, _user: DialogUser): void {
    throw new Error("pending");
  }

  remove(_dialog: Dialog): void {
    throw new Error("pending");
  }

  /** For an incoming request: local = To tag; for an incoming response: local = From tag. */
  find(_message: SipMessage): StoredDialog | undefined {
    throw new Error("pending");
  }

  /** By Call-ID and tags (Replaces, Target-Dialog). */
  lookup(_callId: string, _localTag: string, _remoteTag: string): StoredDialog | undefined {
    throw new Error("pending");
  }
}
