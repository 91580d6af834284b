/** Why a call failed or ended (contract §3, §3.4). */
export type Cause =
  | "remote-bye"
  | "local-bye"
  | "cancelled"
  | "answered-elsewhere"
  | "rejected"
  | "busy"
  | "no-answer"
  | "unavailable"
  | "not-found"
  | "address-incomplete"
  | "redirected"
  | "unauthorized"
  | "timeout"
  | "transport-error"
  | "dns-error"
  | "dialog-error"
  | "incompatible-media"
  | "bad-media"
  | "no-ack"
  | "no-prack"
  | "session-expired"
  | "replaced"
  | "transferred"
  | "media-timeout"
  | "blocked"
  | "limit"
  | "unbridged"
  | "shutdown"
  | "no-session"
  | "no-request";

/** The cause that a final response ≥ 300 stands for. */
export function causeOfStatus(statusCode: number): Cause {
  if (statusCode < 400) return "redirected";
  switch (statusCode) {
    case 401:
    case 407:
      return "unauthorized";
    case 404:
    case 410:
    case 604:
      return "not-found";
    case 408:
      return "no-answer";
    case 480:
    case 503:
      return "unavailable";
    case 484:
      return "address-incomplete";
    case 486:
    case 600:
      return "busy";
    case 488:
    case 606:
      return "incompatible-media";
    default:
      return "rejected";
  }
}

/** What the sender of a REFER hears of a call that has failed: without a response 403 or 503 (RFC 3515 §2.4.5). */
export function toldStatus(statusCode: number, cause: Cause | undefined): number {
  if (statusCode !== 0) return statusCode;
  return cause === "blocked" ? 403 : 503;
}
