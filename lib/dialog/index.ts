export * from "./dialog-store.js";
export * from "./dialog.js";
