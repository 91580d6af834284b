/** Goes on with a value that is there now or comes later, without an extra turn when it is there. */
import type { MaybePromise } from "./media-handler.js";

export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof value === "object" && value !== null && "then" in value;
}

/**
 * Calls `produce` and hands on what it returns or resolves to, or what it throws or rejects with.
 * `onValue` and `onError` must not throw.
 */
export function whenSettled<T>(
  produce: () => MaybePromise<T>,
  onValue: (value: T) => void,
  onError: (error: unknown) => void,
): void {
  let value: MaybePromise<T>;
  try {
    value = produce();
  } catch (error) {
    onError(error);
    return;
  }
  if (isPromise(value)) value.then(onValue, onError);
  else onValue(value);
}

/** `change(value)` now or later. */
export function mapMaybe<T, R>(
  value: MaybePromise<T>,
  change: (value: T) => MaybePromise<R>,
): MaybePromise<R> {
  return isPromise(value) ? value.then(change) : change(value);
}
