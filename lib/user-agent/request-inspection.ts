/**
 * What RFC 3261 §8.2 checks of a request before anything acts on it, as a pure function: the Request-URI's scheme,
 * required extensions, the body's type and encoding.
 */
import type { SipRequest } from "../message/index.js";
import type { HeaderList } from "../session/index.js";
import { ALLOWED_METHODS, INVITE_BODIES } from "./capabilities.js";

export interface Refusal {
  readonly statusCode: number;
  readonly reason?: string;
  readonly headers?: HeaderList;
}

/** URI schemes under which we can be called. */
const OUR_SCHEMES: ReadonlySet<string> = new Set(["sip", "sips", "tel"]);
const KNOWN_METHODS: ReadonlySet<string> = new Set(ALLOWED_METHODS);

/** In a method that is unknown everything is decided by 405 or by a flow. */
export function isKnownMethod(method: string): boolean {
  return KNOWN_METHODS.has(method);
}

/** @returns the refusal that the first broken rule deserves, undefined when all is well. */
export function inspectRequest(
  request: SipRequest,
  supported: ReadonlySet<string>,
): Refusal | undefined {
  return inspectUri(request) ?? inspectRequire(request, supported) ?? inspectContent(request);
}

/** §8.2.2.1. */
function inspectUri(request: SipRequest): Refusal | undefined {
  return OUR_SCHEMES.has(request.requestUri.scheme) ? undefined : { statusCode: 416 };
}

/** §8.2.2.3: not for ACK and CANCEL, which never come here. */
function inspectRequire(request: SipRequest, supported: ReadonlySet<string>): Refusal | undefined {
  if (!request.headers.has("require")) return undefined;
  const unsupported = request.tokens("require").filter((option) => !supported.has(option));
  if (unsupported.length === 0) return undefined;
  return { statusCode: 420, headers: [["Unsupported", unsupported.join(", ")]] };
}

/** §8.2.3. Only an INVITE's body must be understood; the bodies of others are for flows, of whatever type. */
function inspectContent(request: SipRequest): Refusal | undefined {
  if (request.headers.has("content-encoding") && !isIdentity(request)) {
    return { statusCode: 415, headers: [["Accept-Encoding", "identity"]] };
  }
  if (request.method !== "INVITE" || request.body.length === 0) return undefined;
  if (INVITE_BODIES.includes(request.contentType ?? "")) return undefined;
  return isOptional(request) ? undefined : { statusCode: 415 };
}

function isIdentity(request: SipRequest): boolean {
  return request.tokens("content-encoding").every((encoding) => encoding === "identity");
}

/** `Content-Disposition: …;handling=optional` (§20.11): a body that may be ignored. */
function isOptional(request: SipRequest): boolean {
  const disposition = request.headers.get("content-disposition");
  return disposition !== undefined && /;\s*handling\s*=\s*optional\b/i.test(disposition);
}
