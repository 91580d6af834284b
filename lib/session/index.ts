export { readCallRecord, type CallRecord, type ReadCallRecord } from "./call-record.js";
export * from "./call-session.js";
export * from "./cause.js";
export type {
  DescriptionContext,
  DescriptionModifier,
  SessionDescription,
} from "./description-modifier.js";
export { checkedModifiers } from "./description-modifier.js";
export type { DirectMediaControl } from "./direct-media.js";
export * from "./incoming-session.js";
export * from "./media-handler.js";
export * from "./outgoing-options.js";
export * from "./outgoing-session.js";
export type { Rel100 } from "./rel100.js";
export { participantOf } from "./participant.js";
export { checkedRequestMethod } from "./request-methods.js";
export * from "./replacement.js";
export * from "./restored-session.js";
export { SdpHandlers } from "./sdp-handlers.js";
export * from "./sdp-stream-handler.js";
export * from "./session-cookies.js";
export * from "./session-services.js";
export type { SessionTimerSettings } from "./session-timer.js";
export * from "./session-types.js";
export * from "./session.js";
export type { SdpCodec, SdpStream, SdpStreamDescription } from "../sdp/index.js";
