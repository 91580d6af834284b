/** Who calls: P-Asserted-Identity, then Remote-Party-ID from trusted sources, else From (RFC 3325 §9.1, contract §2). */
import {
  parseNameAddr,
  parseNameAddrList,
  SipUri,
  type NameAddr,
  type SipRequest,
} from "../message/index.js";
import { participantOf, type Participant } from "../session/index.js";

/** @param isTrusted - whether the source may assert an identity. */
export function remoteIdentity(request: SipRequest, isTrusted: boolean): Participant {
  const contact = request.contacts[0];
  if (isTrusted) {
    const asserted = assertedIdentity(request);
    if (asserted !== undefined) return participantOf(asserted, contact, "pai");
    const party = request.headers.get("remote-party-id");
    const known = party === undefined ? undefined : parseNameAddr(party);
    if (known !== undefined) return participantOf(known, contact, "rpid");
  }
  return participantOf(request.from, contact, "from");
}

/** RFC 3325 §9.1: one or two values; the sip one says more than the tel one. */
function assertedIdentity(request: SipRequest): NameAddr | undefined {
  const values: NameAddr[] = [];
  for (const line of request.headers.getAll("p-asserted-identity").slice(0, 2)) {
    values.push(...(parseNameAddrList(line) ?? []));
  }
  return values.find(({ uri }) => uri instanceof SipUri) ?? values[0];
}
