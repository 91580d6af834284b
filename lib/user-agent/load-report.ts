/**
 * How much a proxy in front may still give us, told in the answer to its OPTIONS (RFC 3261 §11.2): `X-Load`, and 503 when
 * there is no room. Only neighbours are told; it is nobody else's business.
 */
import type { HeaderList } from "../session/index.js";

export interface LoadReportOptions {
  /** Calls now. */
  calls(): number;
  /** Most calls, 0 = unlimited. */
  readonly limit: number;
  /** Milliseconds by which the event loop is late; undefined = not measured. */
  readonly lag: (() => number) | undefined;
  /** Is this a machine of our own network, or one that we trust? */
  isNeighbour(address: string): boolean;
}

const NOTHING: HeaderList = [];

export class LoadReport {
  readonly #options: LoadReportOptions;

  constructor(options: LoadReportOptions) {
    this.#options = options;
  }

  get isFull(): boolean {
    const { limit } = this.#options;
    return limit > 0 && this.#options.calls() >= limit;
  }

  /** `X-Load: calls=12;limit=500;lag=3`; `limit` only where there is one, `lag` only where it is measured. */
  headersFor(address: string): HeaderList {
    const { limit, lag } = this.#options;
    if (!this.#options.isNeighbour(address)) return NOTHING;
    let text = `calls=${this.#options.calls()}`;
    if (limit > 0) text += `;limit=${limit}`;
    if (lag !== undefined) text += `;lag=${Math.round(lag())}`;
    return [["X-Load", text]];
  }
}
