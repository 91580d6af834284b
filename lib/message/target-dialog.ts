/** Target-Dialog: the dialog that authorises a request outside of it (RFC 4538 §7). */
import { isToken } from "./grammar.js";
import { parseParameters } from "./params.js";
import { isCallId } from "./refer-headers.js";

/** A dialog in the words of who gets the request. */
export interface TargetDialog {
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
}

/** Reads a Target-Dialog value. @returns undefined when malformed or a tag is missing or no token. */
export function parseTargetDialog(text: string): TargetDialog | undefined {
  const semicolon = text.indexOf(";");
  if (semicolon < 1) return undefined;
  const callId = text.slice(0, semicolon).trim();
  const parameters = parseParameters(text.slice(semicolon));
  const localTag = parameters?.get("local-tag");
  const remoteTag = parameters?.get("remote-tag");
  if (!isCallId(callId) || typeof localTag !== "string" || typeof remoteTag !== "string") {
    return undefined;
  }
  return isToken(localTag) && isToken(remoteTag) ? { callId, localTag, remoteTag } : undefined;
}

export function formatTargetDialog({ callId, localTag, remoteTag }: TargetDialog): string {
  return `${callId};local-tag=${localTag};remote-tag=${remoteTag}`;
}
