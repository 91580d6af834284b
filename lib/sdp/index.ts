/** Public names of the sdp room. */
export * from "./capabilities.js";
export * from "./crypto-attribute.js";
export * from "./machines.js";
export * from "./negotiator.js";
export * from "./offer-answer.js";
export * from "./refusing-answer.js";
export * from "./sdp-cache.js";
export * from "./sections.js";
export * from "./sdp.js";
export * from "./signaling-state.js";
export * from "./stream-security.js";
