/** The rooms that benches measure by themselves: built beside the library as dist/lib/rooms.js, never packed. */
export * from "../../lib/index.js";
export * from "../../lib/message/index.js";
export { applyViaRules } from "../../lib/transport/via-rules.js";
export { MessageReceiver } from "../../lib/transport/message-receiver.js";
export { resolveSettings } from "../../lib/transport/settings.js";
export { WorkerPool } from "../../lib/media/worker-pool.js";
