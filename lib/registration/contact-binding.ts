/** What a registrar granted: our binding among those of its 2xx (RFC 3261 §10.2.1.1, §10.3 step 8). */
import { SipUri, type NameAddr, type SipResponse } from "../message/index.js";

/** Largest value of delta-seconds (RFC 3261 §20.19). */
const MOST_SECONDS = 2 ** 32 - 1;

/**
 * The seconds for which our Contact is bound: its own `expires`, else the Expires header, else what we asked for.
 * 0 means that the registrar holds no binding of ours.
 */
export function grantedSeconds(
  response: SipResponse,
  contact: NameAddr | undefined,
  requested: number,
): number {
  const own = contact === undefined ? undefined : findBinding(response.contacts, contact);
  const parameter = own?.parameters.get("expires");
  const seconds = deltaSeconds(parameter) ?? response.seconds("expires") ?? requested;
  return Math.min(seconds, MOST_SECONDS);
}

/** Our entry in a registrar's list: registrars may add parameters, and some rewrite the address (NAT). */
export function findBinding(
  contacts: readonly NameAddr[],
  contact: NameAddr,
): NameAddr | undefined {
  const ours = contact.uri;
  if (!(ours instanceof SipUri)) return undefined;
  const line = ours.parameters.get("line");
  const byLine =
    line === undefined || line === null
      ? undefined
      : contacts.find(({ uri }) => uri instanceof SipUri && uri.parameters.get("line") === line);
  if (byLine !== undefined) return byLine;
  const byAddress = contacts.find(
    ({ uri }) =>
      uri instanceof SipUri &&
      uri.user === ours.user &&
      uri.host === ours.host &&
      uri.port === ours.port,
  );
  return byAddress ?? (contacts.length === 1 ? contacts[0] : undefined);
}

/** The range of the account's settings (contract §2 `minExpires`, `expires`). */
export function clampSeconds(granted: number, lowest: number, highest: number): number {
  return Math.max(lowest, Math.min(highest, granted));
}

function deltaSeconds(text: string | null | undefined): number | undefined {
  return typeof text === "string" && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
