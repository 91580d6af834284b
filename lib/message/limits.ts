/** Size and count limits, applied before and while parsing; one table, configurable. */
export interface MessageLimits {
  /** Bytes of one datagram. */
  readonly datagram: number;
  /** Bytes of one message on a stream or WebSocket. */
  readonly streamMessage: number;
  /** Bytes of the start line and all headers. */
  readonly headerBlock: number;
  readonly line: number;
  readonly headers: number;
  readonly vias: number;
  readonly contacts: number;
  readonly routes: number;
  readonly multipartParts: number;
  readonly multipartDepth: number;
  /** Largest Content-Length that is believed. */
  readonly contentLength: number;
}

export const DEFAULT_LIMITS: MessageLimits = {
  datagram: 65_536,
  streamMessage: 131_072,
  headerBlock: 32_768,
  line: 8_192,
  headers: 200,
  vias: 64,
  contacts: 32,
  routes: 32,
  multipartParts: 16,
  multipartDepth: 2,
  contentLength: 1_000_000,
};
