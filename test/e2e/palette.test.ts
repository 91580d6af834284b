/** The tarball as a user gets it: uploaded through the palette manager's interface, every node loads, examples import. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { FlowBuilder, type FlowNode } from "../support/flow-builder.js";
import { NodeRed, projectRoot } from "../support/node-red.js";
import { freePort } from "../support/ports.js";
import { RawPhone } from "../support/raw-phone.js";

interface NodeSet {
  readonly id: string;
  readonly types: string[];
  readonly enabled: boolean;
  readonly err?: unknown;
}

const manifest = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as {
  name: string;
  "node-red": { nodes: Record<string, string> };
};
const types = Object.keys(manifest["node-red"].nodes);
const exampleFiles = readdirSync(join(projectRoot, "examples"), { recursive: true })
  .map(String)
  .filter((file) => file.endsWith(".json"));

describe("the package in the palette manager", function () {
  this.timeout(180_000);
  let folder: string;
  let nodeRed: NodeRed;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "pack-"));
    const packed = spawnSync("npm", ["pack", "--json", "--pack-destination", folder], {
      cwd: projectRoot,
      encoding: "utf8",
    });
    assert.equal(packed.status, 0, packed.stderr);
    nodeRed = await NodeRed.start({ withPackage: false });
  });

  after(async () => {
    await nodeRed?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const getJson = async (path: string, from = nodeRed): Promise<unknown> => {
    const response = await fetch(`${from.url}${path}`, {
      headers: { accept: "application/json" },
    });
    assert.equal(response.status, 200, path);
    return response.json();
  };

  async function upload(to: NodeRed): Promise<void> {
    const file = readdirSync(folder).find((name) => name.endsWith(".tgz"));
    assert.ok(file);
    const form = new FormData();
    form.set(
      "tarball",
      new Blob([readFileSync(join(folder, file))], { type: "application/x-compressed-tar" }),
      file,
    );
    const response = await fetch(`${to.url}/nodes`, { method: "POST", body: form });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    const sets = ((await getJson("/nodes", to)) as NodeSet[]).filter((set) =>
      set.id.startsWith(manifest.name),
    );
    assert.deepEqual(sets.flatMap((set) => set.types).sort(), [...types].sort());
    for (const set of sets) assert.ok(set.enabled && !set.err, JSON.stringify(set));
  }

  it("uploads and enables every node", () => upload(nodeRed));

  it("uploads and enables every node where no registry answers; calls go without Opus then", async () => {
    const other = await NodeRed.start({
      withPackage: false,
      env: {
        npm_config_registry: "http://127.0.0.1:9/",
        npm_config_cache: join(folder, "empty"),
        // By itself npm tries for five minutes before it does without.
        npm_config_fetch_retries: "0",
      },
    });
    try {
      await upload(other);
      const flow = new FlowBuilder();
      const port = await freePort();
      const stack = flow.config("sip-stack", {
        transports: [{ protocol: "udp", address: "127.0.0.1", port }],
      });
      const accept = flow.node("sip-accept", {}, [[], []]);
      flow.node("sip-incoming", { stack }, [[accept], []]);
      await other.deploy(flow.build());
      const phone = await RawPhone.open(port);
      const body = phone
        .description()
        .replace("RTP/AVP 0", "RTP/AVP 111 0")
        .replace("a=rtpmap:0", "a=rtpmap:111 opus/48000/2\r\na=rtpmap:0");
      const answer = await phone.final(phone.invite("door", { body }));
      phone.close();
      assert.equal(answer.status, 200);
      assert.match(answer.body, /PCMU/);
      assert.doesNotMatch(answer.body, /opus/i);
      assert.match(other.log, /OPUS could not be loaded and is left out/i);
    } finally {
      await other.stop();
    }
  });

  it("serves icons, labels and the examples in the import menu", async () => {
    const icons = (await getJson("/icons")) as Record<string, string[]>;
    assert.ok((icons[manifest.name]?.length ?? 0) >= 10, JSON.stringify(icons[manifest.name]));
    for (const file of exampleFiles) {
      const folder = `/library/examples/flows/${manifest.name}/${dirname(file)}`;
      const listed = JSON.stringify(await getJson(folder));
      assert.ok(listed.includes(basename(file, ".json")), `${file}: ${listed}`);
    }
    const labels = (await getJson(`/locales/${manifest.name}/sip-invite?lng=en-US`)) as object;
    assert.ok(Object.keys(labels).length > 0);
  });

  for (const file of exampleFiles) {
    it(`deploys the example ${file} without an error or warning`, async () => {
      const nodes = JSON.parse(
        readFileSync(join(projectRoot, "examples", file), "utf8"),
      ) as FlowNode[];
      const before = nodeRed.log.length;
      if (!nodes.some((node) => node.type === "tab"))
        nodes.unshift({ id: "example-tab", type: "tab", label: file });
      for (const node of nodes) if ("x" in node) node.z ??= "example-tab";
      // The machine under test may use the telephone port itself.
      for (const node of nodes) {
        if (node.type !== "sip-stack") continue;
        for (const transport of node.transports as { port: number; address: string }[]) {
          if (nodes.filter((other) => other.type === "sip-stack").length === 1)
            transport.port = await freePort();
          transport.address = "127.0.0.1";
        }
      }
      await nodeRed.deploy(nodes);
      const log = nodeRed.log.slice(before);
      // An example's registrar is not on this machine: its refusal is the user's to see, not an error of the package.
      const complaints = log
        .split("\n")
        .filter((line) => /\[(error|warn)\]/.test(line) && !/regist/i.test(line));
      assert.deepEqual(complaints, []);
      const flows = (await getJson("/flows")) as FlowNode[];
      assert.ok(flows.length >= nodes.length);
    });
  }
});
