export { checkUserHeaderValue, hasForbiddenCharacters, isToken } from "./header-checks.js";
export { decodeEscapes } from "./escapes.js";
export { isIPv4, isIPv6 } from "./host.js";
export * from "./auth-header.js";
export * from "./factories.js";
export { looksLikeNewRequest } from "./glance.js";
export * from "./headers.js";
export * from "./limits.js";
export {
  MessageBase,
  SipRequest,
  SipResponse,
  parseCSeq,
  type CSeq,
  type MessageSource,
  type SipMessage,
} from "./message.js";
export * from "./multipart.js";
export { isStarContact, NameAddr, parseNameAddr, parseNameAddrList } from "./name-addr.js";
export { formatParameters, parseParameters, type Parameters } from "./params.js";
export * from "./parse-error.js";
export * from "./parser.js";
export * from "./reason-header.js";
export * from "./refer-headers.js";
export { isReservedHeader } from "./reserved-headers.js";
export { serializeMessage, serializeText } from "./serializer.js";
export * from "./session-expires.js";
export * from "./sipfrag.js";
export * from "./stream-framer.js";
export * from "./target-dialog.js";
export { OtherUri, SipUri, TelUri, type SipUriChange, type Uri } from "./uri.js";
export * from "./uri-equality.js";
export { parseUri } from "./uri-parser.js";
export { parseVias, Via } from "./via.js";
