/**
 * From bytes to the transport user: parse, count, complete the Via, hand up. Nothing a peer sends may throw out
 * of here, whatever the rooms above do with it.
 */
import { errorText, printable } from "../foundation/index.js";
import { parseMessage } from "../message/index.js";
import type { ParseError, ParseOptions, SipMessage } from "../message/index.js";
import { canonicalAddress } from "./addresses.js";
import type { MessageObserver, TracedMessage } from "./message-trace.js";
import type { TransportSettings } from "./settings.js";
import type { Flow, TransportUser } from "./transport.js";
import { applyViaRules } from "./via-rules.js";

export class MessageReceiver {
  user: TransportUser | undefined;
  /** Written by the flows too. */
  readonly counters = { received: 0, sent: 0, malformed: 0, dropped: 0 };

  readonly #settings: TransportSettings;
  readonly #trace: MessageObserver | undefined;
  readonly #datagram: ParseOptions;
  readonly #stream: ParseOptions;

  constructor(settings: TransportSettings) {
    this.#settings = settings;
    this.#trace = settings.traceMessages;
    this.#datagram = { limits: settings.limits, framing: "datagram" };
    this.#stream = { limits: settings.limits, framing: "stream" };
  }

  /**
   * One whole message. UDP and WebSocket frame by themselves ("datagram"), TCP and TLS by Content-Length.
   *
   * @param accepted - called before the message is handed up.
   * @returns `message` when it was handed up, `malformed` when not, `fatal` when the stream must close, `unread` when the
   * user wants nothing of it.
   */
  receive(
    data: Buffer,
    flow: Flow,
    framing: "datagram" | "stream",
    accepted?: (message: SipMessage) => void,
  ): "message" | "malformed" | "fatal" | "unread" {
    this.counters.received++;
    try {
      if (this.user?.mayRead?.(data, flow) === false) {
        this.counters.dropped++;
        return "unread";
      }
      if (this.#trace !== undefined) this.#tell(this.#trace, "received", data, flow);
      const result = parseMessage(data, framing === "stream" ? this.#stream : this.#datagram);
      if (!result.ok) {
        // Datagrams and WebSocket messages after this one are whole again; a stream may be out of step.
        const fatal = framing === "stream" && result.error.fatal === true;
        this.#malformed(result.error, result.request, flow, fatal);
        return fatal ? "fatal" : "malformed";
      }
      this.#addSource(result.message, flow);
      accepted?.(result.message);
      this.user?.onMessage(result.message, flow);
      return "message";
    } catch (error) {
      this.#failed(error, flow);
      return "malformed";
    }
  }

  /** A message of ours leaves over this flow. */
  sent(data: string | Uint8Array, flow: Flow): void {
    this.counters.sent++;
    if (this.#trace !== undefined) this.#tell(this.#trace, "sent", data, flow);
  }

  /** A stream that cannot be followed any more; what was read of the message may still deserve an answer. */
  unframable(error: ParseError, data: Buffer, flow: Flow): void {
    this.counters.received++;
    if (this.#trace !== undefined) this.#tell(this.#trace, "received", data, flow);
    try {
      const result = parseMessage(data, this.#stream);
      const message = result.ok ? result.message : result.request;
      this.#malformed(error, message?.kind === "request" ? message : undefined, flow, true);
    } catch (thrown) {
      this.#failed(thrown, flow);
    }
  }

  #tell(
    observer: MessageObserver,
    direction: TracedMessage["direction"],
    data: string | Uint8Array,
    flow: Flow,
  ): void {
    try {
      observer({
        direction,
        time: this.#settings.clock.wallTime(),
        protocol: flow.protocol,
        localAddress: canonicalAddress(flow.localAddress),
        localPort: flow.localPort,
        remoteAddress: canonicalAddress(flow.remoteAddress),
        remotePort: flow.remotePort,
        data,
      });
    } catch (error) {
      this.#settings.logger.error(`A message could not be traced: ${errorText(error)}`);
    }
  }

  #malformed(error: ParseError, request: SipMessage | undefined, flow: Flow, fatal: boolean): void {
    this.counters.malformed++;
    if (request?.kind !== "request") {
      this.counters.dropped++;
      if (fatal) this.user?.onMalformed(error, undefined, flow);
      return;
    }
    this.#addSource(request, flow);
    this.user?.onMalformed(error, request, flow);
  }

  #addSource(message: SipMessage, flow: Flow): void {
    const source = {
      protocol: flow.protocol,
      address: canonicalAddress(flow.remoteAddress),
      port: flow.remotePort,
    };
    if (message.kind === "request") applyViaRules(message, source);
    else message.source = source;
  }

  #failed(error: unknown, flow: Flow): void {
    this.counters.dropped++;
    const stack = error instanceof Error ? (error.stack ?? error.message) : errorText(error);
    this.#settings.logger.error(
      `A message from ${flow.protocol}:${flow.remoteAddress}:${flow.remotePort} failed inside the stack: ${printable(stack, 2000)}`,
    );
  }
}
