/** Node-RED starts with the package, and with all of its nodes in a flow, and says nothing about either, on each pair of versions there is. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { FlowNode } from "../support/flow-builder.js";
import { NodeRed, nodeRedHome, projectRoot } from "../support/node-red.js";

const types = Object.keys(
  (
    JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as {
      "node-red": { nodes: Record<string, string> };
    }
  )["node-red"].nodes,
);
const versionOf = (home: string): string =>
  (JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as { version: string }).version;
const homes = [...new Set([dirname(require.resolve("node-red/package.json")), nodeRedHome()])];
/** NODE_22: the binary that .ci/run has fetched for this. */
const nodes = [process.execPath, process.env.NODE_22].filter((path) => path !== undefined);

/** What Node-RED says of the settings of these tests. */
const OWN = /Projects disabled|Encrypted credentials not found/;
const FLOWS: FlowNode[] = [
  { id: "tab", type: "tab", label: "all nodes" },
  {
    id: "stack",
    type: "sip-stack",
    transports: ["udp", "tcp", "ws"].map((protocol) => ({
      protocol,
      address: "127.0.0.1",
      port: 0,
    })),
  },
  { id: "account", type: "sip-account", stack: "stack", uri: "sip:a@127.0.0.1", register: false },
  ...types
    .filter((type) => !["sip-stack", "sip-account"].includes(type))
    .map((type, i) => ({
      ...{ id: `node-${i}`, type, z: "tab", x: 100, y: 40 * i, stack: "stack", account: "account" },
      ...{ to: "sip:b@127.0.0.1", choices: [{ digits: "1", label: "one" }], wires: [] },
    })),
];

describe("Node-RED with the package", function () {
  this.timeout(60_000);

  for (const home of homes) {
    for (const node of nodes) {
      const nodeVersion = execFileSync(node, ["--version"], { encoding: "utf8" }).trim();
      const version = versionOf(home);
      // Node-RED 5 refuses older ones.
      if (Number.parseInt(version, 10) >= 5 && Number.parseInt(nodeVersion.slice(1), 10) < 22)
        continue;

      it(`starts without a warning: Node-RED ${version} on Node ${nodeVersion}`, async () => {
        const nodeRed = await NodeRed.start({ program: { node, home } });
        try {
          await nodeRed.deploy(FLOWS);
          const complaints = nodeRed.log
            .split("\n")
            .filter(
              (line) => /\[(?:warn|error)\]|Warning:|deprecat/i.test(line) && !OWN.test(line),
            );
          assert.deepEqual(complaints, []);
        } finally {
          await nodeRed.stop();
        }
      });
    }
  }
});
