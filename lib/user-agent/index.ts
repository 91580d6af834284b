export * from "./events.js";
export { userAgentMachines } from "./machines.js";
export * from "./options.js";
export * from "./supplement.js";
export * from "./user-agent.js";
