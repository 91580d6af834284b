/** One stream of a call with the handler that has it: asks the handler, and tells it what became of the stream. */
import { StateMachine, errorText, type Logger } from "../foundation/index.js";
import type { SdpStream, SdpStreamDescription } from "../sdp/index.js";
import type { MaybePromise, MediaDirection, MediaSessionContext } from "./media-handler.js";
import type {
  SdpStreamContext,
  SdpStreamEnd,
  SdpStreamHandler,
  SdpStreamVerdict,
} from "./sdp-stream-handler.js";
import { streamMachine, type StreamAction } from "./sdp-stream-state.js";

export interface HandledStreamOptions {
  readonly handler: SdpStreamHandler;
  readonly streamType: string;
  readonly streamId: string;
  readonly media: Omit<MediaSessionContext, "events">;
  readonly logger: Logger;
  /** What our side wants of the call. */
  readonly direction: () => MediaDirection;
}

export class HandledStream {
  readonly #options: HandledStreamOptions;
  readonly #machine = new StateMachine(streamMachine, (action: StreamAction) =>
    this.#perform(action),
  );
  #current: SdpStreamContext["current"];
  #told = "";

  constructor(options: HandledStreamOptions) {
    this.#options = options;
  }

  get streamType(): string {
    return this.#options.streamType;
  }

  get isOver(): boolean {
    return this.#machine.state === "over";
  }

  get handler(): SdpStreamHandler {
    return this.#options.handler;
  }

  /** As last told by `apply`. */
  get current(): SdpStreamContext["current"] {
    return this.#current;
  }

  // Questions; what the handler throws is thrown on.

  negotiate(stream: SdpStream): MaybePromise<SdpStreamVerdict> {
    return this.#options.handler.negotiateIncoming(stream, this.#context());
  }

  describe(): MaybePromise<SdpStreamDescription | undefined> {
    return this.#options.handler.createOutgoing?.(this.#context());
  }

  // News; what the handler throws is logged.

  /** An exchange with this stream in it is complete. */
  agree(): void {
    this.#machine.input("agree", undefined);
  }

  /** What is agreed counts from now on; told only when it is new. */
  apply(local: SdpStream, remote: SdpStream): void {
    const told = JSON.stringify([local, remote]);
    if (this.#machine.state === "over" || told === this.#told) return;
    this.#told = told;
    const before = this.#context();
    this.#current = { local, remote };
    this.#tell("apply", () => this.#options.handler.apply?.(local, remote, before));
  }

  decline(): void {
    this.#machine.input("decline", undefined);
  }

  /** The exchange under way comes to nothing. */
  withdraw(): void {
    this.#machine.input("withdraw", undefined);
  }

  end(): void {
    this.#machine.input("end", undefined);
  }

  #perform(action: StreamAction): void {
    switch (action) {
      case "revert":
        this.#tell("rollback", () => this.#options.handler.rollback?.(this.#context()));
        return;
      case "tellDeclined":
        this.#destroy("declined");
        return;
      case "tellWithdrawn":
        this.#destroy("withdrawn");
        return;
      case "tellEnded":
        this.#destroy("ended");
    }
  }

  #destroy(end: SdpStreamEnd): void {
    this.#tell("destroy", () => this.#options.handler.destroy?.(this.#context(), end));
  }

  #tell(hook: string, call: () => void): void {
    const { logger, media, streamType } = this.#options;
    try {
      call();
    } catch (error) {
      logger.warn(
        `session ${media.sessionId}: ${hook} of a handler of ${streamType} failed: ${errorText(error)}`,
      );
    }
  }

  #context(): SdpStreamContext {
    const { streamId, streamType, media, direction } = this.#options;
    const { sessionId, localAddress, remoteAddress } = media;
    return {
      sessionId,
      streamId,
      streamType,
      localAddress,
      remoteAddress,
      direction: direction(),
      current: this.#current,
    };
  }
}
