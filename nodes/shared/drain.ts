/**
 * Draining of one stack: others take what comes, calls that are up go on (docs/scale-out/member.md). It is wanted by whoever
 * runs Node-RED, also while the stack cannot start yet, and told to the user agent as soon as there is one.
 */
import type { UserAgentPort } from "./environment.js";

export class StackDrain {
  #isWanted = false;
  #userAgent: UserAgentPort | undefined;
  readonly #waiting = new Set<() => void>();

  /** @param onChange - it begins, ends, or the last call is gone. */
  constructor(private readonly onChange: () => void) {}

  get isWanted(): boolean {
    return this.#isWanted;
  }

  begin(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    if (this.#userAgent?.running === true) this.#userAgent.drain();
    this.onChange();
  }

  end(): void {
    if (!this.#isWanted) return;
    this.#isWanted = false;
    this.#userAgent?.resume();
    this.#settle();
    this.onChange();
  }

  /** It has started. */
  attach(userAgent: UserAgentPort): void {
    this.#userAgent = userAgent;
    userAgent.on("drain", (state) => {
      if (state === "drained") this.#settle();
      this.onChange();
    });
    if (this.#isWanted) userAgent.drain();
  }

  /** It has stopped. */
  detach(): void {
    this.#userAgent = undefined;
    this.#settle();
  }

  /** Resolves when no call is left, or nobody wants that any more. */
  over(): Promise<void> {
    const isOver = !this.#isWanted || this.#userAgent?.drainState !== "draining";
    if (isOver) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #settle(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
