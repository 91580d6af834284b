export * from "./call-session.js";
export * from "./cause.js";
export * from "./incoming-session.js";
export * from "./media-handler.js";
export * from "./outgoing-session.js";
export { participantOf } from "./participant.js";
export * from "./session-services.js";
export * from "./session-types.js";
export * from "./session.js";
