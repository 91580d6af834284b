export { DigitLog, type EngineKey } from "./digit-log.js";
export * from "./engine-address.js";
export { type EngineFacts, EnginePool, type EnginePoolOptions } from "./engine-pool.js";
export { NgClient, type OpenChannel } from "./ng-client.js";
export { readRelaySnapshot, Relay, type RelayListener, type RelaySnapshot } from "./relay.js";
export { openUdpChannel } from "./udp-channel.js";
