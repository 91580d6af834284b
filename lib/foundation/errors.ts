/**
 * The error tree. An error is always somebody's mistake or a broken machine; a peer's "no" (486, 404 …)
 * is an outcome and travels as a value.
 */

/** Stable machine-readable codes; nodes map them to texts of the message catalogue. */
export type SipErrorCode =
  | "E_ARGUMENT"
  | "E_STATE"
  | "E_PARSE"
  | "E_PROTOCOL"
  | "E_TRANSPORT"
  | "E_DNS"
  | "E_TIMEOUT"
  | "E_AUTH"
  | "E_MEDIA"
  | "E_CLOSED"
  | "E_LIMIT";

/** Of the class that has the code; the build may shorten the names of classes themselves. */
const NAMES: Readonly<Record<SipErrorCode, string>> = {
  E_ARGUMENT: "InvalidArgumentError",
  E_STATE: "InvalidStateError",
  E_PARSE: "SipError",
  E_PROTOCOL: "RemoteProtocolError",
  E_TRANSPORT: "TransportError",
  E_DNS: "TransportError",
  E_TIMEOUT: "TransactionTimeoutError",
  E_AUTH: "SipError",
  E_MEDIA: "MediaError",
  E_CLOSED: "SipError",
  E_LIMIT: "SipError",
};

export class SipError extends Error {
  readonly code: SipErrorCode;
  /**
   * A short word of the contract that says which rule was broken, for example `bad-header`, `no-sdp`,
   * `no-media`, `bad-body`, `unsupported-audio`, `busy`; shown to the flow with the text.
   */
  readonly rule: string | undefined;

  constructor(code: SipErrorCode, message: string, options?: { cause?: unknown; rule?: string }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = NAMES[code];
    this.code = code;
    this.rule = options?.rule;
  }
}

/** The caller passed nonsense. */
export class InvalidArgumentError extends SipError {
  constructor(message: string, options?: { cause?: unknown; rule?: string }) {
    super("E_ARGUMENT", message, options);
  }
}

/** The call is not possible in the present state. */
export class InvalidStateError extends SipError {
  constructor(message: string, options?: { cause?: unknown; rule?: string }) {
    super("E_STATE", message, options);
  }
}

/** The peer sent something well-formed but illegal; `statusHint` is the response it deserves. */
export class RemoteProtocolError extends SipError {
  readonly statusHint: number;

  constructor(message: string, statusHint: number, options?: { cause?: unknown; rule?: string }) {
    super("E_PROTOCOL", message, options);
    this.statusHint = statusHint;
  }
}

/** A message could not be sent or a connection failed; treated as 503 by RFC 3261 §8.1.3.1. */
export class TransportError extends SipError {
  /** `protocol:address:port` or the host that could not be reached. */
  readonly target: string;

  constructor(
    message: string,
    target: string,
    options?: { cause?: unknown; code?: "E_TRANSPORT" | "E_DNS"; rule?: string },
  ) {
    super(options?.code ?? "E_TRANSPORT", message, options);
    this.target = target;
  }
}

/** Timer B or F fired; treated as 408 by RFC 3261 §8.1.3.1. */
export class TransactionTimeoutError extends SipError {
  constructor(message: string) {
    super("E_TIMEOUT", message);
  }
}

/** Negotiation or the media backend failed; `statusHint` is the response to an offer that caused it. */
export class MediaError extends SipError {
  readonly statusHint: number;

  constructor(message: string, options?: { cause?: unknown; rule?: string; statusHint?: number }) {
    super("E_MEDIA", message, options);
    this.statusHint = options?.statusHint ?? 488;
  }
}

/** The text of anything that was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
