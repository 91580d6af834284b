/** Refer-To and Replaces (RFC 3515 §2.1, RFC 3891 §6.1). */
import { CODE, isToken, skipWhitespace } from "./grammar.js";
import { parseNameAddr, type NameAddr } from "./name-addr.js";
import { parseParameters } from "./params.js";
import { SipUri, type Uri } from "./uri.js";

const { SEMICOLON } = CODE;

/** The dialog that a new INVITE is to take the place of. */
export interface Replaces {
  readonly callId: string;
  readonly toTag: string;
  readonly fromTag: string;
  readonly earlyOnly: boolean;
}

/** Reads a Replaces value. @returns undefined when malformed or a tag is missing or no token. */
export function parseReplaces(text: string): Replaces | undefined {
  const semicolon = text.indexOf(";");
  if (semicolon < 1) return undefined;
  const callId = text.slice(0, semicolon).trim();
  const parameters = parseParameters(text.slice(semicolon));
  const toTag = parameters?.get("to-tag");
  const fromTag = parameters?.get("from-tag");
  if (parameters === undefined || !isCallId(callId)) return undefined;
  if (typeof toTag !== "string" || typeof fromTag !== "string") return undefined;
  if (!isToken(toTag) || !isToken(fromTag)) return undefined;
  return { callId, toTag, fromTag, earlyOnly: parameters.has("early-only") };
}

export function formatReplaces(replaces: Replaces): string {
  const early = replaces.earlyOnly ? ";early-only" : "";
  return `${replaces.callId};to-tag=${replaces.toTag};from-tag=${replaces.fromTag}${early}`;
}

/** Where a REFER points, without what a peer may not tell us to send. */
export interface ReferTarget {
  readonly address: NameAddr;
  /** The URI without headers and `method` parameter: what may be dialled. */
  readonly uri: Uri;
  /** From the URI's `?Replaces=`; every other header in the URI is dropped. */
  readonly replaces: Replaces | undefined;
  /** `method` parameter, upper-case; default INVITE. */
  readonly method: string;
}

/**
 * Reads a Refer-To (or a redirect's Contact).
 *
 * @returns undefined when the address or its Replaces is malformed.
 */
export function parseReferTarget(text: string): ReferTarget | undefined {
  const address = parseNameAddr(text);
  if (address === undefined) return undefined;
  const { uri } = address;
  if (!(uri instanceof SipUri)) return { address, uri, replaces: undefined, method: "INVITE" };
  const method = uri.parameters.get("method")?.toUpperCase() ?? "INVITE";
  const replacesText = uri.headers.get("replaces");
  const replaces = typeof replacesText === "string" ? parseReplaces(replacesText) : undefined;
  if (uri.headers.has("replaces") && replaces === undefined) return undefined;
  const parameters = new Map(uri.parameters);
  parameters.delete("method");
  return { address, uri: uri.with({ parameters, headers: new Map() }), replaces, method };
}

/** Visible ASCII in one piece and without the separator of parameters. */
export function isCallId(text: string): boolean {
  if (text.length === 0 || skipWhitespace(text, 0) > 0) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 32 || code > 126 || code === SEMICOLON) return false;
  }
  return true;
}
