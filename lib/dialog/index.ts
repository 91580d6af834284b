export * from "./dialog-record.js";
export * from "./dialog-store.js";
export * from "./dialog.js";
export * from "./route-set.js";
