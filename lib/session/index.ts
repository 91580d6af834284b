export * from "./cause.js";
export * from "./media-handler.js";
export * from "./session-services.js";
export * from "./session-types.js";
export * from "./session.js";
