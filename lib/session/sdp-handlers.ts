/** The stream handlers of a user agent, in the order of their registration. */
import { InvalidArgumentError, printable } from "../foundation/index.js";
import { isToken } from "../message/index.js";
import type { SdpStreamHandler } from "./sdp-stream-handler.js";

export interface SdpHandlerEntry {
  /** Lower case. */
  readonly streamType: string;
  readonly handler: SdpStreamHandler;
}

export class SdpHandlers {
  #entries: readonly SdpHandlerEntry[] = [];

  /** @returns removes it; idempotent. @throws InvalidArgumentError for what is no stream type or no handler. */
  add(streamType: string, handler: SdpStreamHandler): () => void {
    if (typeof streamType !== "string" || !isToken(streamType)) {
      throw new InvalidArgumentError(
        `"${printable(String(streamType))}" is no type of a stream; audio, video, image, message and the like are`,
      );
    }
    if (typeof handler?.negotiateIncoming !== "function") {
      throw new InvalidArgumentError("A handler of streams has a function negotiateIncoming");
    }
    const entry = { streamType: streamType.toLowerCase(), handler };
    this.#entries = [...this.#entries, entry];
    return () => (this.#entries = this.#entries.filter((each) => each !== entry));
  }

  /** A list that is there stays as it is. */
  get all(): readonly SdpHandlerEntry[] {
    return this.#entries;
  }

  of(streamType: string): readonly SdpHandlerEntry[] {
    return this.#entries.filter((entry) => entry.streamType === streamType);
  }
}
