/** Which transaction a message belongs to: RFC 3261 §17.1.3, §17.2.3, and §8.2.2.2 for merged requests. */
import type { SipRequest, SipResponse } from "../message/index.js";

/** Branches that begin with it identify a transaction; without it the rules of RFC 2543 hold (§8.1.1.7). */
export const MAGIC_COOKIE = "z9hG4bK";

/** Marks keys made by the rules of RFC 2543; no branch with the cookie begins like this. */
const LEGACY_MARK = "2543 ";

/** The client transaction of a response: branch and CSeq method, because a CANCEL shares its INVITE's branch. */
export function clientKey(branch: string, method: string): string {
  return `${branch} ${method}`;
}

/** @returns undefined when the top Via has no branch. */
export function clientKeyOfResponse(response: SipResponse): string | undefined {
  const branch = response.topVia.branch;
  return branch === undefined ? undefined : clientKey(branch, response.cseq.method);
}

/**
 * The server transaction of a request. Branch, sent-by and method; without the cookie Request-URI, From tag, Call-ID,
 * CSeq and top Via (the To tag is compared apart, because that of an ACK is the response's).
 *
 * @param method - Default: the request's, with ACK taken as INVITE. Given to find what a CANCEL means.
 */
export function serverKey(
  request: SipRequest,
  method = request.method === "ACK" ? "INVITE" : request.method,
): string {
  const via = request.topVia;
  const branch = via.branch;
  if (branch !== undefined && branch.length > MAGIC_COOKIE.length && hasCookie(branch)) {
    return `${branch} ${via.sentBy} ${method}`;
  }
  return (
    `${LEGACY_MARK}${method} ${request.uri} ${request.from.tag ?? ""} ${request.callId} ` +
    `${request.cseq.sequence} ${via.sentBy} ${branch ?? ""}`
  );
}

export function isLegacyKey(key: string): boolean {
  return key.startsWith(LEGACY_MARK);
}

/** The same for every copy of a request that forked on its way to us; undefined inside of dialogs (§8.2.2.2). */
export function mergeKey(request: SipRequest): string | undefined {
  if (request.to.tag !== undefined) return undefined;
  const { sequence, method } = request.cseq;
  // Joined, because a key that is a concatenation of slices would keep the text of the whole message alive.
  return [request.callId, request.from.tag ?? "", sequence, method].join(" ");
}

function hasCookie(branch: string): boolean {
  return branch.startsWith(MAGIC_COOKIE);
}
