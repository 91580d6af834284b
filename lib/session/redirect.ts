/** 3xx responses: reading the Contacts of one that came, and writing those of one of ours (RFC 3261 §8.1.3.4, §21.3). */
import {
  NameAddr,
  SipUri,
  TelUri,
  parseNameAddr,
  type SipResponse,
  type Uri,
} from "../message/index.js";
import type { AccountHandle, SessionServices } from "./session-services.js";
import type { HeaderList, RedirectContact } from "./session-types.js";

const QVALUE = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

/** A Contact of a 3xx that may be dialled, and what the application sees of it. */
export interface Redirection {
  readonly address: NameAddr;
  readonly shown: RedirectContact;
}

/**
 * The Contacts of a 3xx, best first; equal ones keep their order. Only sip, sips and tel, without the headers in
 * their URIs (contract §2).
 */
export function redirectionsOf(response: SipResponse): Redirection[] {
  return response.contacts
    .flatMap((contact) => {
      const uri = bareUri(contact.uri);
      if (uri === undefined) return [];
      const q = qualityOf(contact);
      const shown: RedirectContact = {
        uri: uri.toString(),
        ...(q === undefined ? {} : { q }),
        ...(contact.displayName ? { displayName: contact.displayName } : {}),
      };
      return [{ address: new NameAddr(uri, contact.displayName), shown }];
    })
    .sort((a, b) => (b.shown.q ?? 1) - (a.shown.q ?? 1));
}

/** A proxy to use (305) and another service (380) are no other address of whom we call: reported, not followed. */
export function isFollowable({ statusCode }: SipResponse): boolean {
  return statusCode < 400 && statusCode !== 305 && statusCode !== 380;
}

/** Does the URI lead to the host and port of this Contact? @param contact - as text, for example our own. */
export function leadsTo(uri: Uri, contact: string): boolean {
  const place = parseNameAddr(contact)?.uri;
  if (!(uri instanceof SipUri) || !(place instanceof SipUri)) return false;
  return uri.host === place.host && portOf(uri) === portOf(place);
}

/** The port that stands for none given (RFC 3261 §19.1.2). */
function portOf({ port, scheme, transport }: SipUri): number {
  return port ?? (scheme === "sips" || transport === "tls" ? 5061 : 5060);
}

/** A URI as it goes into a Request-URI: no headers, no method (§19.1.1 table 1). Undefined for other schemes. */
export function bareUri(uri: NameAddr["uri"]): SipUri | TelUri | undefined {
  if (uri instanceof TelUri) return uri;
  if (!(uri instanceof SipUri)) return undefined;
  if (uri.headers.size === 0 && !uri.parameters.has("method")) return uri;
  const parameters = new Map(uri.parameters);
  parameters.delete("method");
  return uri.with({ parameters, headers: new Map() });
}

/** Contact lines of a 3xx of ours. @throws InvalidArgumentError for what is no target. */
export function redirectHeaders(
  services: SessionServices,
  account: AccountHandle | undefined,
  contacts: readonly (string | RedirectContact)[],
): HeaderList {
  return contacts.map((contact) => {
    const { uri, q, displayName }: RedirectContact =
      typeof contact === "string" ? { uri: contact } : contact;
    const target = services.parseTarget(uri, account);
    const parameters =
      q === undefined ? new Map<string, string>() : new Map([["q", formatQuality(q)]]);
    const address = new NameAddr(target.uri, displayName ?? target.displayName, parameters);
    return ["Contact", address.toString()] as const;
  });
}

function qualityOf(contact: NameAddr): number | undefined {
  const q = contact.parameters.get("q");
  return typeof q === "string" && QVALUE.test(q) ? Number(q) : undefined;
}

/** At most three digits (§25.1 qvalue). */
function formatQuality(q: number): string {
  return String(Math.round(Math.min(Math.max(q, 0), 1) * 1000) / 1000);
}
