/**
 * What a supplement or another part of the application keeps with a session: live objects, by name, each destroyed
 * exactly once. (`Session.data` is for flows and is plain JSON.)
 */
export class SessionCookies {
  readonly #cookies = new Map<string, Cookie>();
  readonly #failed: (error: unknown) => void;
  #destroyed = false;

  /** @param failed - hears of what `onDestroy` throws. */
  constructor(failed: (error: unknown) => void = () => undefined) {
    this.#failed = failed;
  }

  /**
   * Keeps a value. The one that it replaces is destroyed; once the session is over it is destroyed at once.
   *
   * @param onDestroy - called once: when the value is replaced or deleted, or after the session has ended.
   */
  set(name: string, value: unknown, onDestroy?: (value: unknown) => void): void {
    const before = this.#cookies.get(name);
    const cookie = { value, onDestroy };
    if (!this.#destroyed) this.#cookies.set(name, cookie);
    if (before !== undefined) this.#end(before);
    if (this.#destroyed) this.#end(cookie);
  }

  get(name: string): unknown {
    return this.#cookies.get(name)?.value;
  }

  has(name: string): boolean {
    return this.#cookies.has(name);
  }

  /** @returns false when there was none. */
  delete(name: string): boolean {
    const cookie = this.#cookies.get(name);
    if (cookie === undefined) return false;
    this.#cookies.delete(name);
    this.#end(cookie);
    return true;
  }

  /** The session is over; in the order in which they were set. Idempotent. */
  destroy(): void {
    this.#destroyed = true;
    const cookies = [...this.#cookies.values()];
    this.#cookies.clear();
    for (const cookie of cookies) this.#end(cookie);
  }

  #end({ value, onDestroy }: Cookie): void {
    try {
      onDestroy?.(value);
    } catch (error) {
      this.#failed(error);
    }
  }
}

interface Cookie {
  readonly value: unknown;
  readonly onDestroy: ((value: unknown) => void) | undefined;
}
