/**
 * Public face of the SIP user agent; works without Node-RED. Every name here is kept by semantic versioning, so what
 * nobody outside needs stays in its room.
 */
export { type Clock, SystemClock, type Timer } from "./foundation/clock.js";
export * from "./foundation/errors.js";
export { type Logger, printable, withoutPasswords } from "./foundation/logger.js";
export { CryptoRandom, randomInteger, type RandomSource } from "./foundation/random.js";
export { TypedEmitter } from "./foundation/typed-emitter.js";
export { checkUserHeaderValue, isToken } from "./message/header-checks.js";
export { isIPv4, isIPv6 } from "./message/host.js";
export { type SipMessage, SipRequest, SipResponse } from "./message/message.js";
export { NameAddr } from "./message/name-addr.js";
export { parseText } from "./message/parser.js";
export { parseReferTarget } from "./message/refer-headers.js";
export { isReservedHeader } from "./message/reserved-headers.js";
export { OtherUri, SipUri, TelUri, type Uri } from "./message/uri.js";
export { withoutKeys } from "./sdp/crypto-attribute.js";
export type { SdpStream, SdpStreamDescription } from "./sdp/sections.js";
export type { SrtpMode } from "./sdp/stream-security.js";
export type { MessageObserver, TracedMessage } from "./transport/message-trace.js";
export type { TlsMaterial, TransportOptions, TransportProtocol } from "./transport/transport.js";
export {
  type ConnectionProbe,
  type MachineAddress,
  machineAddresses,
  type PeerCertificateFacts,
  probeBind,
  probeConnection,
  probeDatagram,
} from "./transport/probe.js";
export type { FlowTarget } from "./transport/transport.js";
export type { CallRecord } from "./session/call-record.js";
export type { Cause } from "./session/cause.js";
export type * from "./session/description-modifier.js";
export type * from "./session/direct-media.js";
export type * from "./session/media-handler.js";
export type { Rel100 } from "./session/rel100.js";
export type { ReplacesOptions } from "./session/replacement.js";
export { checkedRequestMethod } from "./session/request-methods.js";
export type * from "./session/sdp-stream-handler.js";
export type { SessionCookies } from "./session/session-cookies.js";
export { Session, type SessionEvents } from "./session/session.js";
export type * from "./session/session-types.js";
export type { LastState, NotifyOptions } from "./subscription/notifier.js";
export { parseSubscriptionState } from "./subscription/subscription-state.js";
export { Subscription } from "./subscription/subscription.js";
export type * from "./subscription/subscription-types.js";
export { accountServers, type AccountWay, accountWay } from "./user-agent/account-way.js";
export type * from "./user-agent/events.js";
export type * from "./user-agent/options.js";
export * from "./user-agent/supplement.js";
export { type Account, UserAgent } from "./user-agent/user-agent.js";
export * from "./media/rtpengine/index.js";
export { DescriptionMediaHandler } from "./media/description-handler.js";
export {
  EmbeddedMediaHandler,
  type EmbeddedMediaHandlerOptions,
} from "./media/embedded-handler.js";
