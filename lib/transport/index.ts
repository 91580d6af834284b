/** Public names of the transport room. Rooms that need only types import transport.ts. */
export * from "./addresses.js";
export * from "./mtu-rule.js";
export type { TransportLayerOptions, TransportTuning } from "./settings.js";
export * from "./transport-layer.js";
export type * from "./transport.js";
export * from "./via-rules.js";
