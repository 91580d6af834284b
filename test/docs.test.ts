/** The documents: links lead somewhere, files that they name exist, their tables know every node, property and output. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const root = resolve(__dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const documents = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...[
    "docs",
    "docs/decisions",
    "docs/guides",
    "docs/operations",
    "docs/reference",
    "docs/scale-out",
  ].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".md"))
      .map((name) => join(folder, name)),
  ),
];
const types = readdirSync(join(root, "nodes"))
  .filter((file) => file.endsWith(".html"))
  .map((file) => file.replace(/\.html$/, ""));

/** Names of the properties in a template's `defaults`. */
function propertiesOf(type: string): string[] {
  const html = read(`nodes/${type}.html`);
  const defaults = html.slice(
    html.indexOf("defaults: {"),
    html.indexOf("\n    },", html.indexOf("defaults: {")),
  );
  return [...defaults.matchAll(/^ {6}(\w+): \{/gm)].map(([, name]) => name ?? "");
}

describe("documents", () => {
  it("link only to what exists", () => {
    const broken = documents.flatMap((document) =>
      [...read(document).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
        .map(([, target]) => target ?? "")
        .filter((target) => !existsSync(join(root, dirname(document), target)))
        .map((target) => `${document} → ${target}`),
    );
    assert.deepEqual(broken, []);
  });

  it("show pictures that are small, and keep none that nobody shows", () => {
    const all = documents.map(read).join("\n");
    for (const name of readdirSync(join(root, "docs/pictures"))) {
      assert.ok(statSync(join(root, "docs/pictures", name)).size < 60_000, name);
      assert.ok(all.includes(`pictures/${name}`), `${name} is in no document`);
    }
  });

  it("name only files that exist", () => {
    const missing = documents.flatMap((document) =>
      [...read(document).matchAll(/`((?:lib|nodes|test|docs|examples|bench)\/[\w./-]+)`/g)]
        .map(([, path]) => path ?? "")
        .filter((path) => !existsSync(join(root, path)))
        .map((path) => `${document}: ${path}`),
    );
    assert.deepEqual(missing, []);
  });

  it("name a test for every point of the checklist", () => {
    const rows = [
      ...read("docs/checklist.md").matchAll(/^\| (\d+) \| [^|]+ \| `([^`]+)` \| ([^|]+) \|$/gm),
    ];
    assert.deepEqual(
      rows.map(([, number]) => Number(number)),
      Array.from({ length: 26 }, (_, index) => index + 1),
    );
    for (const [, number, file, words] of rows) {
      assert.ok(read(file ?? "").includes(words ?? ""), `${number}: ${file} has no "${words}"`);
    }
  });

  it("list every flow node, all its properties and its outputs in docs/messages.md", () => {
    const text = read("docs/messages.md");
    const [, properties = "", outputs = ""] =
      /\| node \| properties and defaults \|([\s\S]*?)## Outputs([\s\S]*?)## Calls/.exec(text) ??
      [];
    for (const type of types.filter((name) => name !== "sip-stack" && name !== "sip-account")) {
      const row = properties.split("\n").find((line) => line.startsWith(`| \`${type}\``));
      assert.ok(row, `${type} has no row of properties`);
      for (const property of propertiesOf(type)) {
        if (property === "name" || property.endsWith("Type")) continue;
        assert.ok(row.includes(`\`${property}\``), `${type}: ${property} is not described`);
      }
      assert.ok(outputs.includes(`| \`${type}\` |`), `${type} has no outputs`);
    }
  });

  it("name only examples that exist, in the guides too", () => {
    const missing = documents.flatMap((document) =>
      [...read(document).matchAll(/\*([a-z]+) → ([^*]+)\*/g)]
        .map(([, folder, name]) => `examples/${folder ?? ""}/${name ?? ""}.json`)
        .filter((path) => !existsSync(join(root, path)))
        .map((path) => `${document}: ${path}`),
    );
    assert.deepEqual(missing, []);
  });

  it("name every example as the import menu does, and no other", () => {
    const [, section = ""] = /## Examples\n([\s\S]*?)\n## /.exec(read("README.md")) ?? [];
    const named = [...section.matchAll(/^\| (\w+) \| (.+?) \|/gm)]
      .filter(([, folder]) => folder !== "folder")
      .map(([, folder, name]) => `${folder ?? ""}/${name ?? ""}.json`);
    const examples = readdirSync(join(root, "examples"), { recursive: true })
      .map(String)
      .filter((file) => file.endsWith(".json"));
    assert.deepEqual(named.sort(), examples.sort());
  });
});
