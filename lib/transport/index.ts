/** Public names of the transport room. Rooms that need only types import transport.ts. */
export * from "./addresses.js";
export * from "./dns-client.js";
export type * from "./message-trace.js";
export * from "./mtu-rule.js";
export * from "./probe.js";
export * from "./resolver.js";
export type { TransportLayerOptions, TransportTuning } from "./settings.js";
export type { ResolveOptions } from "./target-plan.js";
export * from "./transport-layer.js";
export type * from "./transport.js";
export * from "./via-rules.js";
