/**
 * Who the peer is: P-Asserted-Identity, then Remote-Party-ID from trusted sources, else From (RFC 3325 §9.1, contract
 * §2). Whatever cannot be read counts as absent.
 */
import { parseNameAddrList, SipUri, type NameAddr, type SipMessage } from "../message/index.js";
import { participantOf, type Participant } from "../session/index.js";

/** Lines of one header that are looked at. */
const MOST_LINES = 4;

/** What a message of a trusted source says about its sender; undefined when it says nothing. */
export function assertedIdentity(message: SipMessage): Participant | undefined {
  const contact = message.contacts[0];
  const asserted = preferSip(addressesOf(message, "p-asserted-identity").slice(0, 2));
  if (asserted !== undefined) return participantOf(asserted, contact, "pai");
  // draft-ietf-sip-privacy-04 §5.1: a response tells of the called party; without `party` it is the sender.
  const party = message.kind === "request" ? "calling" : "called";
  const parties = addressesOf(message, "remote-party-id").filter(
    ({ parameters }) => (parameters.get("party") ?? party).toLowerCase() === party,
  );
  const known = preferSip(parties);
  return known === undefined ? undefined : participantOf(known, contact, "rpid");
}

function addressesOf(message: SipMessage, header: string): NameAddr[] {
  return message.headers
    .getAll(header)
    .slice(0, MOST_LINES)
    .flatMap((line) => parseNameAddrList(line) ?? []);
}

/** RFC 3325 §9.1: one or two values; the sip one says more than the tel one. */
function preferSip(addresses: readonly NameAddr[]): NameAddr | undefined {
  return addresses.find(({ uri }) => uri instanceof SipUri) ?? addresses[0];
}
