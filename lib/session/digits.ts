/**
 * Digits that we send: as telephone events or tones through the media, or as INFO (RFC 4733, RFC 2976 use). One
 * sequence after the other per session.
 */
import {
  InvalidArgumentError,
  InvalidStateError,
  MediaError,
  SipError,
  errorText,
} from "../foundation/index.js";
import { requestInDialog } from "./in-dialog-request.js";
import type { AudioControl } from "./media-handler.js";
import { NO_SESSION } from "./outcomes.js";
import type { SessionCore } from "./session-core.js";
import type { ActionOutcome, HeaderList, SendDigitsOptions } from "./session-types.js";

const SEQUENCE = /^[0-9A-D*#,]+$/;
const PAUSE_MS = 500;
const DEFAULT_DURATION_MS = 100;
const DEFAULT_GAP_MS = 500;
const SENT: ActionOutcome = { ok: true, statusCode: 200 };

type Method = "rfc4733" | "inband" | "info-relay" | "info-dtmf";

interface DigitRun {
  readonly duration: number;
  readonly gap: number;
  readonly headers: HeaderList | undefined;
}

export class DigitSender {
  readonly #core: SessionCore;
  #last: Promise<unknown> = Promise.resolve();

  constructor(core: SessionCore) {
    this.#core = core;
  }

  /** Rejects with InvalidArgumentError for other characters, InvalidStateError before there is anything to send over. */
  send(options: SendDigitsOptions): Promise<ActionOutcome> {
    const digits = options.digits.toUpperCase();
    if (!SEQUENCE.test(digits)) {
      throw new InvalidArgumentError(
        `"${options.digits}" holds characters that are no digits: use 0-9, A-D, *, # and , for a pause`,
        { rule: "bad-digits" },
      );
    }
    if (!isLive(this.#core)) return Promise.resolve(NO_SESSION);
    const method = this.#method(options.method ?? "auto");
    const run: DigitRun = {
      duration: options.duration ?? DEFAULT_DURATION_MS,
      gap: options.gap ?? DEFAULT_GAP_MS,
      headers: options.headers,
    };
    const sent = this.#last.then(() => this.#sendAll(digits, method, run));
    this.#last = sent.catch(() => undefined);
    return sent;
  }

  #method(wanted: Method | "auto"): Method {
    const { negotiation, dialog } = this.#core;
    const audio = negotiation.session?.audio;
    const byEvents = negotiation.media.some((stream) => stream.dtmf === "rfc4733");
    if (wanted === "auto") {
      if (audio?.ready === true && byEvents) return "rfc4733";
      if (dialog !== undefined && this.#core.peerAllows("INFO")) return "info-relay";
      if (audio?.ready === true) return "inband";
      wanted = "info-relay";
    }
    if (wanted === "rfc4733" || wanted === "inband") {
      if (audio?.ready !== true) {
        throw new MediaError("No sound is negotiated yet, so no digit can be sent in it", {
          rule: "no-media",
        });
      }
    } else if (dialog === undefined) {
      throw new InvalidStateError("Digits by INFO need a call that is answered");
    }
    return wanted;
  }

  async #sendAll(digits: string, method: Method, run: DigitRun): Promise<ActionOutcome> {
    const chunks = digits.split(",");
    for (const [index, chunk] of chunks.entries()) {
      if (index > 0) await this.#wait(PAUSE_MS);
      if (!isLive(this.#core)) return NO_SESSION;
      if (chunk === "") continue;
      const outcome =
        method === "rfc4733" || method === "inband"
          ? await this.#bySound(chunk, method, run)
          : await this.#byInfo(chunk, method, run);
      if (!outcome.ok) return outcome;
    }
    return SENT;
  }

  async #bySound(
    digits: string,
    method: "rfc4733" | "inband",
    { duration, gap }: DigitRun,
  ): Promise<ActionOutcome> {
    const audio: AudioControl | undefined = this.#core.negotiation.session?.audio;
    if (audio === undefined) return NO_SESSION;
    try {
      await this.#orClosed(audio.sendDigits(digits, { method, duration, gap }));
    } catch (error) {
      if (!isLive(this.#core)) return NO_SESSION;
      throw error instanceof SipError ? error : new MediaError(errorText(error));
    }
    return isLive(this.#core) ? SENT : NO_SESSION;
  }

  /** A digit, its answer, then the rest of its time: the peer must have played it before the next one comes. */
  async #byInfo(
    digits: string,
    method: "info-relay" | "info-dtmf",
    { duration, gap, headers }: DigitRun,
  ): Promise<ActionOutcome> {
    const { clock } = this.#core;
    for (const [index, digit] of [...digits].entries()) {
      const started = clock.now();
      const relay = method === "info-relay";
      const outcome = await requestInDialog(this.#core, {
        method: "INFO",
        headers,
        contentType: relay ? "application/dtmf-relay" : "application/dtmf",
        body: relay ? `Signal=${digit}\r\nDuration=${Math.round(duration)}\r\n` : digit,
      });
      if (!outcome.ok) return outcome;
      if (index + 1 < digits.length) {
        await this.#wait(Math.max(0, duration + gap - (clock.now() - started)));
        if (!isLive(this.#core)) return NO_SESSION;
      }
    }
    return SENT;
  }

  /** Also over when the session is. */
  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const taken = this.#core.onClose(resolve);
      this.#core.after(ms, () => {
        taken();
        resolve();
      });
    });
  }

  /** As `work`, or over when the session is. */
  #orClosed(work: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const taken = this.#core.onClose(resolve);
      work.then(resolve, reject).finally(taken);
    });
  }
}

function isLive(core: SessionCore): boolean {
  return !core.closed && core.state !== "terminating";
}
