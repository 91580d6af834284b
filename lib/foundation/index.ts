export * from "./assert-never.js";
export * from "./clock.js";
export * from "./errors.js";
export * from "./logger.js";
export * from "./random.js";
export * from "./short-lived-map.js";
export * from "./transition-table.js";
export * from "./typed-emitter.js";
