/**
 * Incoming calls that are not answered yet, or whose caller has not confirmed the answer, by source (reliability: floods).
 * Whoever forges INVITEs never gets beyond that, so what he can have is bounded. A caller that confirms what it began is let
 * in with more each time, so that a trunk hardly ever meets a limit.
 */

/** Calls of a source that wait for its ACK (RFC 3261 §13.3.1.4), and those together with the unanswered ones. */
const UNCONFIRMED = 100;
const UNFINISHED = 600;
/** How many more a source may have of each for the calls that it has confirmed. */
const MOST_CREDIT = 4_000;
/** Sources whose credit is remembered. */
const MOST_SOURCES = 4_096;
/** Of all sources together: from here on those that never confirmed a call have to make do with a share. */
const MANY_UNCONFIRMED = 300;
const MANY_UNFINISHED = 2_000;
/** From twice as many on they are not let in at all: somebody forges addresses. */
const FAR_TOO_MANY = 2;
/** What a source may have in any case before that. */
const LEAST_SHARE = 2;

interface Source {
  unfinished: number;
  unconfirmed: number;
}

const NONE: Readonly<Source> = { unfinished: 0, unconfirmed: 0 };

/** One call, as those report who have it. Each may be called at any time; what is said twice counts once. */
export interface UnfinishedCall {
  /** Our 2xx is out. */
  answered(): void;
  /** The ACK came. */
  confirmed(): void;
  /** It is over. */
  closed(): void;
}

export class UnfinishedCalls {
  readonly #sources = new Map<string, Source>();
  /** Confirmed calls of each source, up to a limit. */
  readonly #credits = new Map<string, number>();
  #unfinished = 0;
  #unconfirmed = 0;

  get size(): number {
    return this.#unfinished;
  }

  /** May one more call of this source come in? */
  admits(address: string): boolean {
    const { unfinished, unconfirmed } = this.#sources.get(address) ?? NONE;
    const credit = this.#credits.get(address) ?? 0;
    if (unconfirmed >= UNCONFIRMED + credit || unfinished >= UNFINISHED + credit) return false;
    const crowd = Math.max(
      this.#unconfirmed / MANY_UNCONFIRMED,
      this.#unfinished / MANY_UNFINISHED,
    );
    if (crowd < 1 || credit > 0) return true;
    if (crowd >= FAR_TOO_MANY) return false;
    return unfinished < Math.max(LEAST_SHARE, MANY_UNCONFIRMED / this.#sources.size);
  }

  /** A call came in. */
  add(address: string): UnfinishedCall {
    const source = this.#sourceOf(address);
    this.#unfinished++;
    source.unfinished++;
    let isAnswered = false;
    let isFinished = false;
    const finish = (): boolean => {
      if (isFinished) return false;
      isFinished = true;
      this.#unfinished--;
      if (isAnswered) {
        this.#unconfirmed--;
        source.unconfirmed--;
      }
      if (--source.unfinished === 0) this.#sources.delete(address);
      return true;
    };
    return {
      answered: () => {
        if (isAnswered || isFinished) return;
        isAnswered = true;
        this.#unconfirmed++;
        source.unconfirmed++;
      },
      confirmed: () => {
        if (finish()) this.#credit(address);
      },
      closed: () => void finish(),
    };
  }

  #sourceOf(address: string): Source {
    const known = this.#sources.get(address);
    if (known !== undefined) return known;
    const source = { unfinished: 0, unconfirmed: 0 };
    this.#sources.set(address, source);
    return source;
  }

  #credit(address: string): void {
    const credit = this.#credits.get(address);
    if (credit === undefined && this.#credits.size >= MOST_SOURCES) {
      for (const oldest of this.#credits.keys()) {
        this.#credits.delete(oldest);
        break;
      }
    }
    this.#credits.set(address, Math.min((credit ?? 0) + 1, MOST_CREDIT));
  }
}
