/** Cuts a TCP/TLS byte stream into messages (RFC 3261 §18.3) and sees keep-alives (RFC 5626 §3.5.1). */
import type { MessageLimits } from "./limits.js";
import type { ParseError } from "./parser.js";

export type FramerOutput =
  | { readonly kind: "message"; readonly data: Buffer }
  /** CRLFCRLF between messages: answer with one CRLF. */
  | { readonly kind: "ping" }
  /** A single CRLF between messages: answer to our ping. */
  | { readonly kind: "pong" }
  /** The stream cannot be followed any more: close it. `data` = what was read of the offending message. */
  | { readonly kind: "error"; readonly error: ParseError; readonly data: Buffer };

export class StreamFramer {
  constructor(_limits?: MessageLimits) {}

  /** Takes a chunk and returns everything that became complete. */
  push(_chunk: Buffer): FramerOutput[] {
    throw new Error("pending");
  }

  /** Bytes held of an incomplete message. */
  get pendingBytes(): number {
    throw new Error("pending");
  }
}
