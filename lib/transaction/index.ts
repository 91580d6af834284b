export { transactionMachines } from "./machines.js";
export * from "./timers.js";
export { TransactionLayer } from "./transaction-layer.js";
export type { TransactionCounters, TransactionLayerOptions } from "./transaction-layer.js";
export type { ResponseFlowFinder } from "./transaction-services.js";
export * from "./transaction-user.js";
