export * from "./transaction-user.js";
