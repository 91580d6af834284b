/** Config node `sip-stack`: owns a user agent that lives through deploys (contract §2). */
import type { Node, NodeAPI } from "node-red";
import { registerAdmin } from "./shared/admin.js";
import { deploys } from "./shared/deploys.js";
import { callsNow, drainAll, endAll, endEngine, openEngine, parkEngine } from "./shared/engines.js";
import type { UserAgentPort } from "./shared/environment.js";
import { migrated } from "./shared/migrations.js";
import type { NodeConfig } from "./shared/property-values.js";
import { readRuntimeSettings, SETTINGS_OF_STACK } from "./shared/runtime-settings.js";
import { watchSignals } from "./shared/signals.js";
import { readStackSettings } from "./shared/stack-settings.js";
import { registerTests } from "./shared/test-endpoints.js";
import { history, traces } from "./shared/tracing/index.js";

/** What `RED.nodes.getNode(id)` of a stack gives to other packages (contract §7). */
export interface SipStackNode extends Node {
  /** Undefined when the stack could not be made from its settings. */
  readonly userAgent: UserAgentPort | undefined;
}

export default function (RED: NodeAPI): void {
  deploys.watch(RED);
  registerAdmin(RED);
  registerTests(RED);
  const { history: kept, graceSeconds } = readRuntimeSettings(RED, (text) => RED.log.warn(text));
  history.kept = kept;
  watchSignals({ graceSeconds, log: RED.log, drain: drainAll, calls: callsNow, end: endAll });
  function construct(this: Node, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const settings = readStackSettings(RED, this, migrated(config));
    const engine = openEngine(RED, this.id, settings);
    Object.defineProperty(this, "userAgent", { get: () => engine.userAgent, enumerable: false });
    this.on("close", (removed: boolean, done: () => void) => {
      if (removed) traces.forgetStack(this.id);
      if (removed || deploys.dying || settings.redeploy === "hangup") {
        void endEngine(this.id).then(done);
        return;
      }
      parkEngine(this.id);
      done();
    });
  }
  RED.nodes.registerType("sip-stack", construct, { settings: SETTINGS_OF_STACK });
}
