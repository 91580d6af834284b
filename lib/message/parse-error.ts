/** What the parser says of bytes that it refuses, and how the sender may be told (RFC 3261 §8.2, RFC 4475). */

/** Why bytes are no acceptable message. */
export interface ParseError {
  /** Short name of the broken rule: `start-line`, `missing-header`, `content-length`, `too-many-headers` … */
  readonly rule: string;
  /** `RFC 3261 §20.14`. */
  readonly rfc: string;
  readonly offset?: number;
  /** Status of the response that a request with this fault deserves; undefined = drop it silently. */
  readonly statusHint: number | undefined;
  /** Reason phrase for that response. */
  readonly reason: string;
  /** The connection can no longer be framed and must close. */
  readonly fatal?: boolean;
}
