export * from "./event-header.js";
export * from "./subscription-state.js";
