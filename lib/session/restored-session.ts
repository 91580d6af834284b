/**
 * A call that another process has begun and answered, gone on with from its record (RFC 3261 §12.2). It is established
 * from its first moment and reports nothing of what was before.
 */
import { Dialog } from "../dialog/index.js";
import type { ReadCallRecord } from "./call-record.js";
import { CallSession } from "./call-session.js";
import type { AccountHandle, SessionServices } from "./session-services.js";
import type { EndOptions } from "./session-types.js";

/** Requests that the other process may have sent since it made the record. */
const SEQUENCE_MARGIN = 100;

export class RestoredSession extends CallSession {
  readonly #source: ReadCallRecord;

  constructor(
    services: SessionServices,
    source: ReadCallRecord,
    account: AccountHandle | undefined,
    onClosed: (session: RestoredSession) => void,
  ) {
    const { record, dialog } = source;
    super(services, {
      id: record.id,
      direction: record.direction,
      account,
      local: dialog.local,
      remote: record.remote,
    });
    this.#source = source;
    this.data = record.data;
    this.core.onClose(() => onClosed(this));
  }

  /** @returns false when there is no room for its dialog. */
  begin(): boolean {
    const { core } = this;
    const { record, dialog } = this.#source;
    if (!core.restore(Dialog.restore(dialog, SEQUENCE_MARGIN), this.inDialog, record)) return false;
    if (record.exchange !== undefined) core.negotiation.resume(record.exchange, record.hold);
    if (record.timer !== undefined) core.sessionTimer.resume(record.timer);
    return true;
  }

  protected override beginEnd(options: EndOptions): void {
    if (this.isLive) this.hangUp(options);
  }

  /** Its INVITE was the other process's. */
  protected override abandonExchanges(): void {
    this.inDialog.abandon();
  }
}
