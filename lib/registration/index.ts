export * from "./back-off.js";
export * from "./contact-binding.js";
export * from "./registration-services.js";
export * from "./registration-state.js";
export * from "./registration.js";
