export * from "./back-off.js";
export * from "./contact-binding.js";
export * from "./outbound.js";
export * from "./public-address.js";
export * from "./registration-services.js";
export * from "./registration-state.js";
export * from "./registration.js";
