import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  migrated,
  migrations,
  newestVersion,
  type Migration,
} from "../../../nodes/shared/migrations.js";
import type { NodeConfig } from "../../../nodes/shared/property-values.js";
import { definitions } from "../../support/node-definitions.js";

const node = (properties: Record<string, unknown>) =>
  ({ id: "n", z: "", name: "", ...properties }) as unknown as NodeConfig;

describe("migrations", () => {
  it("lead every type in steps of one to the version that its dialog writes", () => {
    for (const { type, defaults } of definitions()) {
      const steps = migrations.filter((step) => step.type === type).map(({ to }) => to);
      assert.deepEqual(
        steps.sort((a, b) => a - b),
        steps.map((_step, index) => index + 1),
        type,
      );
      assert.equal(newestVersion(type), defaults["version"]?.value ?? 0, type);
    }
  });

  it("read lists of a stack from a text, and its transports from JSON", () => {
    const { version, codecs, allow, deny, transports } = migrated(
      node({
        type: "sip-stack",
        codecs: "opus, PCMA",
        allow: "",
        deny: "${DENIED}",
        transports: '[{"protocol":"udp","address":"127.0.0.1","port":5070}]',
      }),
    );
    assert.deepEqual(
      { version, codecs, allow, deny, transports },
      {
        version: 1,
        codecs: ["opus", "PCMA"],
        allow: [],
        deny: "${DENIED}",
        transports: [{ protocol: "udp", address: "127.0.0.1", port: 5070 }],
      },
    );
  });

  it("give the address of an account its scheme, and its transport small letters", () => {
    const { uri, transport, version } = migrated(
      node({ type: "sip-account", uri: "alice@example.com", transport: "TCP" }),
    );
    assert.deepEqual(
      { uri, transport, version },
      { uri: "sip:alice@example.com", transport: "tcp", version: 1 },
    );
    for (const kept of ["sips:a@b", "${AOR}", "alice", "${USER}@example.com"])
      assert.equal(migrated(node({ type: "sip-account", uri: kept }))["uri"], kept);
  });

  it("leave the newest, a later one, other types and nonsense as they are, and change no object that they got", () => {
    for (const properties of [
      { type: "sip-stack", version: 1, codecs: "opus" },
      { type: "sip-account", version: 7, uri: "alice@example.com" },
      { type: "sip-play", source: "x" },
    ]) {
      const config = node(properties);
      assert.equal(migrated(config), config);
    }
    const config = Object.freeze(
      node({ type: "sip-stack", version: "old", transports: "[", codecs: 5, allow: null }),
    );
    const { version, transports, codecs, allow } = migrated(config);
    assert.deepEqual(
      { version, transports, codecs, allow },
      { version: 1, transports: "[", codecs: 5, allow: null },
    );
    assert.doesNotThrow(() => migrated(node({ type: "sip-account", uri: 5, transport: {} })));
  });

  it("go one step after the other, whatever their order in the table", () => {
    const table: Migration[] = [
      { type: "x", to: 2, change: ({ a }) => ({ b: `${String(a)}2` }) },
      { type: "x", to: 1, change: () => ({ a: "1" }) },
      { type: "y", to: 3, change: () => ({ a: "wrong" }) },
    ];
    assert.deepEqual(migrated(node({ type: "x" }), table), {
      ...node({ type: "x" }),
      a: "1",
      b: "12",
      version: 2,
    });
    assert.equal(migrated(node({ type: "x", version: 1, a: "own" }), table)["b"], "own2");
  });

  it("change nothing in the examples but their version", () => {
    const folder = resolve(__dirname, "../../../examples");
    for (const file of readdirSync(folder, { recursive: true }).map(String)) {
      if (!file.endsWith(".json")) continue;
      for (const each of JSON.parse(readFileSync(join(folder, file), "utf8")) as NodeConfig[])
        assert.deepEqual(
          { ...migrated(each), version: undefined },
          { ...each, version: undefined },
          file,
        );
    }
  });
});
