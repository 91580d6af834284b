/** What the rest of the nodes takes from the fleet: the group of a stack. */
export { type Group, type Lease, SharedStateError } from "./group.js";
export { SharedPresence } from "./shared-presence.js";
export { SharedLimits } from "./shared-limits.js";
export { SharedRegistrations } from "./registrations.js";
export { checkSharedState, type GroupSettings, openGroup } from "./open-group.js";
