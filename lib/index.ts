/** Public face of the SIP user agent; works without Node-RED. */
export * from "./foundation/index.js";
export * from "./message/index.js";
export type * from "./transport/transport.js";
export * from "./session/index.js";
export * from "./subscription/index.js";
export * from "./user-agent/index.js";
export * from "./media/index.js";
