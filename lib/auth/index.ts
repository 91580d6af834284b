export * from "./authorize.js";
export * from "./challenge.js";
export * from "./credential-cache.js";
export * from "./digest.js";
