export * from "./events.js";
export * from "./options.js";
export * from "./user-agent.js";
