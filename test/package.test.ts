/** Holds the built package against what Node-RED and its flow library demand (scorecard rules included). */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";

const root = resolve(__dirname, "..");
const at = (...parts: string[]) => join(root, ...parts);
const read = (...parts: string[]) => readFileSync(at(...parts), "utf8");
const json = (...parts: string[]): Json => JSON.parse(read(...parts)) as Json;
type Json = Record<string, unknown>;

const manifest = json("package.json") as {
  name: string;
  version: string;
  license: string;
  keywords: string[];
  engines: { node: string };
  dependencies?: Record<string, string>;
  optionalDependencies: Record<string, string>;
  scripts: Record<string, string>;
  "node-red": {
    version: string;
    nodes: Record<string, string>;
    plugins: Record<string, string>;
  };
};
const sets = Object.entries(manifest["node-red"].nodes);
const examples = readdirSync(at("examples"), { recursive: true })
  .map(String)
  .filter((file) => file.endsWith(".json"));

/** All string leaves of a catalogue as dotted keys. */
function keysOf(value: unknown, prefix = ""): string[] {
  if (typeof value === "string") return [prefix];
  return Object.entries(value as Json).flatMap(([key, child]) =>
    keysOf(child, prefix ? `${prefix}.${key}` : key),
  );
}

describe("package", () => {
  it("has one set per node type, named like the type and its file", () => {
    assert.ok(sets.length >= 16, `${sets.length} sets`);
    for (const [set, path] of sets) {
      assert.equal(basename(path, ".js"), set);
      assert.ok(existsSync(at(path)), `${path} is not built`);
      assert.ok(existsSync(at(path.replace(/\.js$/, ".html"))), `${set} has no editor template`);
      const html = read(path.replace(/\.js$/, ".html"));
      assert.match(html, new RegExp(`registerType\\(\\s*["']${set}["']`), set);
      assert.match(html, new RegExp(`data-template-name=["']${set}["']`), set);
    }
  });

  it("has the sidebar with its script, style and texts beside it", () => {
    for (const [plugin, path] of Object.entries(manifest["node-red"].plugins)) {
      assert.ok(existsSync(at(path)), `${path} is not built`);
      const html = read(path.replace(/\.js$/, ".html"));
      assert.match(html, new RegExp(`registerPlugin\\(["']${plugin}["']`));
      assert.equal(html.match(/<\/script/g)?.length, 1, "a text ends the script");
      for (const language of ["en-US", "de"])
        assert.ok(existsSync(at(path, "../locales", language, `${plugin}.json`)), language);
    }
  });

  it("gives every node labels, help with headings, and an icon of its own", () => {
    for (const [set, path] of sets) {
      const folder = join(path, "..");
      assert.ok(existsSync(at(folder, "locales/en-US", `${set}.json`)), `${set} has no catalogue`);
      const help = read(folder, "locales/en-US", `${set}.html`);
      assert.match(help, new RegExp(`data-help-name=["']${set}["']`));
      const html = read(path.replace(/\.js$/, ".html"));
      if (!/category:\s*["']config["']/.test(html)) {
        assert.match(help, /<h3>Outputs<\/h3>/, `${set}: help has no Outputs`);
        assert.match(help, /<h3>Details<\/h3>/, `${set}: help has no Details`);
        const icon = /icon:\s*["']([^"']+)["']/.exec(html)?.[1];
        assert.ok(icon && existsSync(at(folder, "icons", icon)), `${set}: icon ${icon}`);
        assert.match(html, /outputLabels/, `${set}: ports without labels`);
      }
      assert.doesNotMatch(help, /\[!(NOTE|TIP|WARNING)\]/, set);
    }
  });

  it("uses only catalogue keys that exist", () => {
    const catalogues = new Map(
      sets.map(([set, path]) => [
        set,
        new Set(keysOf(json(path, "..", "locales/en-US", `${set}.json`))),
      ]),
    );
    const wrong: string[] = [];
    for (const [set, path] of sets) {
      const html = read(path.replace(/\.js$/, ".html"));
      for (const match of html.matchAll(/data-i18n="([^"]+)"/g)) {
        for (const part of match[1].split(";")) {
          const key = part.replace(/^\[[^\]]*\]/, "").trim();
          const [where, name] = key.includes(":") ? key.split(/:(.+)/) : [set, key];
          const catalogue = catalogues.get(where.replace(`${manifest.name}/`, ""));
          if (where?.startsWith("node-red")) continue;
          if (!catalogue?.has(name)) wrong.push(`${set}: ${key}`);
        }
      }
    }
    assert.deepEqual(wrong, []);
  });

  it("validates with two arguments wherever a validator may return a text", () => {
    for (const [set, path] of sets) {
      const html = read(path.replace(/\.js$/, ".html"));
      for (const match of html.matchAll(/validate:\s*function\s*\w*\s*\(([^)]*)\)/g))
        assert.equal(match[1].split(",").length, 2, `${set}: validate(${match[1]})`);
    }
  });

  it("shows every node in an example, each example explained by a comment and short", () => {
    assert.ok(examples.length >= 6);
    const used = new Set<string>();
    const own = new Set(sets.map(([set]) => set));
    for (const file of examples) {
      const nodes = JSON.parse(read("examples", file)) as { type: string; id: string }[];
      assert.ok(
        nodes.some((node) => node.type === "comment"),
        `${file} has no comment node`,
      );
      const visible = nodes.filter((node) => "x" in node);
      assert.ok(visible.length <= 25, `${file} has ${visible.length} nodes`);
      for (const node of nodes) {
        used.add(node.type);
        if (node.type.startsWith("sip-")) assert.ok(own.has(node.type), `${file}: ${node.type}`);
      }
      assert.equal(new Set(nodes.map((node) => node.id)).size, nodes.length, `${file}: ids repeat`);
    }
    assert.deepEqual(
      [...own].filter((type) => !used.has(type)),
      [],
    );
  });

  it("has at most six runtime dependencies, none with an install script, and can be installed without any", () => {
    assert.deepEqual(manifest.dependencies ?? {}, {});
    const names = Object.keys(manifest.optionalDependencies);
    assert.ok(names.length <= 6);
    for (const name of names) {
      const { scripts = {} } = json("node_modules", name, "package.json") as {
        scripts?: Record<string, string>;
      };
      for (const hook of ["preinstall", "install", "postinstall"])
        assert.equal(scripts[hook], undefined, `${name} ${hook}`);
    }
  });

  it("packs what Node-RED needs and nothing else, below 500 kB", () => {
    const packed = spawnSync("npm", ["pack", "--dry-run", "--json"], {
      cwd: root,
      encoding: "utf8",
    });
    const [info] = JSON.parse(packed.stdout) as [{ size: number; files: { path: string }[] }];
    const paths = info.files.map((file) => file.path);
    for (const [, path] of sets) assert.ok(paths.includes(path));
    for (const needed of ["LICENSE", "README.md", "package.json"])
      assert.ok(paths.includes(needed), needed);
    assert.ok(paths.some((path) => path.startsWith("dist/nodes/icons/")));
    assert.ok(paths.some((path) => path.startsWith("examples/")));
    assert.deepEqual(
      paths.filter((path) => /^(test|bench|lib|nodes|docs|icons|coverage)\//.test(path)),
      [],
    );
    assert.ok(info.size < 500_000, `${info.size} bytes`);
  });

  it("holds the libraries that it cannot do without, and their licences", () => {
    const licences = read("dist/THIRD-PARTY-LICENSES.txt");
    for (const name of ["ws", "sdp-transform"]) {
      assert.match(licences, new RegExp(`^${name} \\d+\\.\\d+`, "m"));
      for (const file of [
        "dist/lib/index.js",
        "dist/lib/rtp/worker.js",
        "dist/nodes/shared/nodes.js",
      ])
        assert.ok(!read(file).includes(`require("${name}")`), `${file} asks for ${name}`);
    }
  });

  it("passes the scorecard of the flow library", () => {
    const folder = mkdtempSync(join(tmpdir(), "scorecard-"));
    try {
      // The scorecard asks the library's catalogue over the network: answered here by an empty one.
      const preload = join(folder, "offline-catalogue.cjs");
      writeFileSync(preload, offlineCatalogue);
      const result = join(folder, "score.json");
      const run = spawnSync(
        process.execPath,
        [
          "--require",
          preload,
          at("node_modules/node-red-dev/bin/run"),
          "validate",
          "--path",
          root,
          "-o",
          result,
        ],
        {
          input: "",
          encoding: "utf8",
          timeout: 60_000,
        },
      );
      assert.ok(existsSync(result), `${run.stdout}${run.stderr}`);
      const score = JSON.parse(readFileSync(result, "utf8")) as Record<string, unknown>;
      const failed: string[] = [];
      const walk = (value: unknown, path: string): void => {
        if (typeof value !== "object" || value === null) return;
        if ("test" in value && value.test !== true)
          failed.push(`${path}: ${JSON.stringify(value)}`);
        for (const [key, child] of Object.entries(value)) walk(child, `${path}/${key}`);
      };
      walk(score, "");
      assert.deepEqual(failed, []);
      assert.doesNotMatch(JSON.stringify(score), /Unable to parse/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }).timeout(90_000);

  it("names neither a path of a machine nor a registry host in its lock file", () => {
    assert.doesNotMatch(read("package-lock.json"), /"resolved":\s*"https?:/);
  });
});

/** The scorecard fetches the catalogue with axios; whatever else it asks for goes through. */
const offlineCatalogue = `
const Module = require("node:module");
const load = Module._load;
let wrapped;
Module._load = function (request, ...rest) {
  const loaded = load.call(this, request, ...rest);
  if (request !== "axios") return loaded;
  wrapped ??= new Proxy(loaded, {
    get: (object, key) =>
      key === "get"
        ? (url, ...more) => (/catalogue/.test(url) ? Promise.resolve({ data: { modules: [] } }) : object.get(url, ...more))
        : object[key],
  });
  return wrapped;
};
`;
