/** Message → bytes; Content-Length is computed here and nowhere else. */
import type { SipMessage } from "./message.js";

export function serializeMessage(_message: SipMessage): Buffer {
  throw new Error("pending");
}
