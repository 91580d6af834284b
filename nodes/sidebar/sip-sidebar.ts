/** The runtime half of the sidebar plugin: only its name. What it shows comes from the admin endpoints (contract §8). */
import type { NodeAPI } from "node-red";

interface PluginRegistry {
  registerPlugin(id: string, definition: { type: string }): void;
}

export = function (RED: NodeAPI): void {
  (RED.plugins as unknown as PluginRegistry).registerPlugin("sip-sidebar", { type: "sip" });
};
