/** One part of the stack under hostile input. */
import type { Mutation } from "./mutation.js";

export interface Layer {
  readonly name: string;
  /** Part of all inputs of a run. */
  readonly share: number;
  begin?(): Promise<void>;
  /** Takes one input, made from the mutation's randomness. @throws whatever must not happen. */
  take(mutation: Mutation): void | Promise<void>;
  /** After the last input, and from time to time. @throws when something is left behind. */
  settle?(): Promise<void>;
  /** Frees what it holds. */
  end?(): Promise<void>;
}

/** What was put in last, for the report of a failure. */
export const lastInput: { bytes: Buffer } = { bytes: Buffer.alloc(0) };

export function noted(bytes: Buffer): Buffer {
  lastInput.bytes = bytes;
  return bytes;
}
