/** Which account an incoming request is for (contract §4.5 "Which sip-incoming"). */
import type { SipRequest } from "../message/index.js";
import { SipUri, TelUri } from "../message/index.js";
import type { ManagedAccount } from "./managed-account.js";

/**
 * In this order: the Contact that an account registered; the address-of-record in Request-URI, then in To; the
 * account whose server the request comes from, if its user is called or if it is the only one of that server.
 */
export function accountOf(
  request: SipRequest,
  accounts: ReadonlyMap<string, ManagedAccount>,
): ManagedAccount | undefined {
  if (accounts.size === 0) return undefined;
  const all = [...accounts.values()];
  const uri = request.requestUri;
  const bound = all.find((account) => account.isBinding(uri));
  if (bound !== undefined) return bound;
  const address = request.source?.address ?? "";
  const ofServer = all.filter((account) => account.servers.hasAddress(address));
  const user = uri instanceof SipUri ? uri.user : undefined;
  return (
    all.find((account) => account.isAddressOfRecord(uri)) ??
    all.find((account) => account.isAddressOfRecord(request.to.uri)) ??
    ofServer.find((account) => user !== undefined && account.settings.uri.user === user) ??
    (ofServer.length === 1 ? ofServer[0] : undefined)
  );
}

/**
 * The user or number that was called: of the Request-URI, or of To where the Request-URI is our registered Contact,
 * which says nothing about the number that was dialled.
 */
export function calledUser(
  request: SipRequest,
  accounts: ReadonlyMap<string, ManagedAccount>,
): string {
  const uri = request.requestUri;
  for (const account of accounts.values()) {
    if (account.isBinding(uri)) return userOf(request.to.uri);
  }
  return userOf(uri);
}

function userOf(uri: SipRequest["requestUri"]): string {
  if (uri instanceof SipUri) return uri.decodedUser;
  return uri instanceof TelUri ? uri.number : "";
}
