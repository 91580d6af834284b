/** `msg.sip.local` and `msg.sip.remote` from addresses in messages (contract §3, §3.1). */
import { NameAddr, SipUri, TelUri, type Uri } from "../message/index.js";
import type { Participant } from "./session-types.js";

/** @param contact - Contact of the same party, as far as it is known. */
export function participantOf(
  address: NameAddr,
  contact?: NameAddr,
  identity?: Participant["identity"],
): Participant {
  return withContact(
    {
      uri: address.uri.toString(),
      user: userOf(address.uri),
      host: address.uri instanceof SipUri ? address.uri.host : "",
      ...(address.displayName ? { displayName: address.displayName } : {}),
      ...(identity ? { identity } : {}),
    },
    contact,
  );
}

/** The same party with the Contact that it sent last. */
function withContact(participant: Participant, contact: NameAddr | undefined): Participant {
  if (contact === undefined) return participant;
  const endpoint = endpointOf(contact);
  return {
    ...participant,
    contact: contact.uri.toString(),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}

/**
 * A party of a session as it is shown: always a fresh object.
 *
 * @param identity - Where an address in a message stood.
 */
export function showParty(
  party: NameAddr | Participant,
  contact: NameAddr | undefined,
  identity?: Participant["identity"],
): Participant {
  if (party instanceof NameAddr) return participantOf(party, contact, identity);
  return contact === undefined ? { ...party } : withContact(party, contact);
}

/** What was shown of a party last; made anew only when its address or its Contact is another one. */
export class ShownParty {
  #party: NameAddr | Participant | undefined;
  #contact: NameAddr | undefined;
  #shown: Participant | undefined;

  /** Like `showParty`: a fresh object. */
  show(
    party: NameAddr | Participant,
    contact: NameAddr | undefined,
    identity?: Participant["identity"],
  ): Participant {
    if (this.#shown === undefined || party !== this.#party || contact !== this.#contact) {
      this.#party = party;
      this.#contact = contact;
      this.#shown = showParty(party, contact, identity);
    }
    return { ...this.#shown };
  }
}

function userOf(uri: Uri): string {
  if (uri instanceof SipUri) return uri.decodedUser;
  return uri instanceof TelUri ? uri.number : "";
}

/** A GRUU (RFC 5627 §4.2) or the instance (RFC 5626 §4.1). */
function endpointOf(contact: NameAddr): string | undefined {
  if (contact.uri instanceof SipUri && contact.uri.parameters.has("gr")) {
    return contact.uri.toString();
  }
  return contact.parameters.get("+sip.instance") ?? undefined;
}
