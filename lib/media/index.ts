/** Public names of the media room. */
export * from "./description-handler.js";
