export * from "./event-header.js";
export { acceptOf, viewOf, type PackageView } from "./event-packages.js";
export * from "./dialog-info.js";
export * from "./message-summary.js";
export * from "./presence.js";
export * from "./subscriber-state.js";
export * from "./subscription-state.js";
export * from "./subscription-types.js";
export * from "./subscription.js";
