/**
 * Containers for what belongs to one call. V8 watches where array and object literals are made; when those of one
 * place have outlived a collection, as all do while many calls begin at once, it makes them in the old part of the
 * heap from then on, for the rest of the process. Dead ones there hold on to all that they name until the next full
 * collection: a whole call for each list that knows it. In such a process a call cost half as much CPU time again
 * (docs/decisions/0017). Instances of classes and arrays of a given length are not watched.
 */

/**
 * Where many callbacks make a class unhandy: V8 does not watch literals that begin with a copy of another object, so
 * `{ ...UNWATCHED, onSent: … }` is what `{ onSent: … }` is, and does not grow old.
 */
export const UNWATCHED: Readonly<Record<never, never>> = Object.freeze({});

/** A list with one item, to which others may be added. */
export function listOf<T>(item: T): T[] {
  const list = new Array<T>(1);
  list[0] = item;
  return list;
}

class Link<T> {
  next: Link<T> | undefined = undefined;

  constructor(readonly item: T) {}
}

/** A short list that grows at its end and shrinks anywhere. */
export class LinkedList<T> {
  #first: Link<T> | undefined = undefined;
  #last: Link<T> | undefined = undefined;

  push(item: T): void {
    const link = new Link(item);
    if (this.#last === undefined) this.#first = link;
    else this.#last.next = link;
    this.#last = link;
  }

  /** Takes the first item out. @returns undefined when there is none. */
  shift(): T | undefined {
    const link = this.#first;
    if (link === undefined) return undefined;
    this.#first = link.next;
    if (this.#first === undefined) this.#last = undefined;
    // A link that has grown old must not hold on to the younger ones.
    link.next = undefined;
    return link.item;
  }

  /** Takes the first occurrence out, if there is one. */
  remove(item: T): void {
    let before: Link<T> | undefined;
    for (let link = this.#first; link !== undefined; before = link, link = link.next) {
      if (link.item !== item) continue;
      if (before === undefined) this.#first = link.next;
      else before.next = link.next;
      if (link === this.#last) this.#last = before;
      link.next = undefined;
      return;
    }
  }
}
