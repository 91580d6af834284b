/** One event per lost connection (contract §5): attempts to open it again that fail for the same reason are no news. */
import type { ConnectionState } from "../transport/transport.js";
import { targetKey } from "./target-health.js";

const MOST_REMEMBERED = 256;

export class LostConnections {
  /** Server → why it was lost, or could not be reached. */
  readonly #reasons = new Map<string, string>();

  /** Takes note of the state. @returns false when it was told before. */
  isNews(state: ConnectionState): boolean {
    // A peer's connections are each another one.
    if (!state.outgoing) return true;
    const key = targetKey(state);
    if (state.state === "connected") {
      this.#reasons.delete(key);
      return true;
    }
    const reason = state.reason ?? "";
    if (this.#reasons.get(key) === reason) return false;
    if (this.#reasons.size >= MOST_REMEMBERED) this.#reasons.clear();
    this.#reasons.set(key, reason);
    return true;
  }
}
