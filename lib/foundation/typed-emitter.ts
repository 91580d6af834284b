/**
 * An event emitter whose events are typed as tuples, and whose listeners cannot harm the stack: what a
 * listener throws is reported, never propagated.
 */
export type EventMap = Record<string, unknown[]>;
export type Listener<A extends unknown[]> = (...args: A) => void;

export class TypedEmitter<E extends { [K in keyof E]: unknown[] }> {
  /** Made with the first listener: most emitters of a busy stack never have one. */
  #listeners: Map<keyof E, Listener<never>[]> | undefined;
  #report: (error: unknown, event: string) => void = () => undefined;

  /** Where errors thrown by listeners go; the owner of the emitter sets it once. */
  protected reportListenerErrors(report: (error: unknown, event: string) => void): void {
    this.#report = report;
  }

  /** @returns a function that removes this listener again. */
  on<K extends keyof E>(event: K, listener: Listener<E[K]>): () => void {
    this.#listeners ??= new Map();
    const list = this.#listeners.get(event) ?? [];
    this.#listeners.set(event, [...list, listener]);
    return () => this.off(event, listener);
  }

  once<K extends keyof E>(event: K, listener: Listener<E[K]>): () => void {
    const remove = this.on(event, (...args) => {
      remove();
      listener(...args);
    });
    return remove;
  }

  off<K extends keyof E>(event: K, listener: Listener<E[K]>): void {
    const list = this.#listeners?.get(event);
    const index = list?.indexOf(listener) ?? -1;
    if (!this.#listeners || !list || index < 0) return;
    if (list.length === 1) this.#listeners.delete(event);
    else this.#listeners.set(event, list.toSpliced(index, 1));
  }

  listenerCount(event: keyof E): number {
    return this.#listeners?.get(event)?.length ?? 0;
  }

  /** Calls every listener in order of registration; lists are replaced on change, so none is skipped. */
  emit<K extends keyof E>(event: K, ...args: E[K]): void {
    const list = this.#listeners?.get(event);
    if (!list) return;
    for (const listener of list) {
      try {
        (listener as unknown as Listener<E[K]>)(...args);
      } catch (error) {
        this.#report(error, String(event));
      }
    }
  }

  removeAllListeners(): void {
    this.#listeners = undefined;
  }
}
