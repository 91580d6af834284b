/** Public names of the media room. */
export * from "./description-handler.js";
export { EmbeddedMediaHandler } from "./embedded-handler.js";
export type { EmbeddedMediaHandlerOptions } from "./embedded-handler.js";
export { withoutKeys } from "../sdp/index.js";
export type { SrtpMode } from "../sdp/index.js";
export { TONE_NAMES } from "./audio/tones.js";
export { ACCEPTED_AUDIO } from "./audio/wav-header.js";
