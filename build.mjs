// Builds dist/: compiles lib/ and nodes/, then puts the editor templates, locales and icons beside
// the compiled node files, the only place where Node-RED looks for them. A build that fails leaves the last one alone.
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync, transformSync } from "esbuild";
import { buildSidebar } from "./nodes/sidebar/build.mjs";

const root = dirname(fileURLToPath(import.meta.url));
const at = (...parts) => join(root, ...parts);

const manifest = JSON.parse(readFileSync(at("package.json"), "utf8"));
const FROM_NPM = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies });
const TAKEN_IN = ["sdp-transform", "ws"];

const next = `dist.next-${process.pid}`;
const require = createRequire(import.meta.url);
const tsc = require.resolve("typescript/bin/tsc");
// Checks the types and writes the declarations, whose comments an editor shows.
const checked = spawnSync(
  process.execPath,
  [tsc, "-p", at("tsconfig.json"), "--outDir", at(next), "--emitDeclarationOnly"],
  { stdio: "inherit" },
);
try {
  if (checked.status !== 0) process.exit(checked.status ?? 1);
  bundle();
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
} finally {
  if (checked.status !== 0 || process.exitCode) rmSync(at(next), { recursive: true, force: true });
}
if (process.exitCode) process.exit();

prune(at(next, "lib", "index.d.ts"));
shorten(at(next, "lib"));
mkdirSync(at(next, "nodes"), { recursive: true });
for (const file of readdirSync(at("nodes"))) {
  if (file.endsWith(".html")) {
    writeFileSync(at(next, "nodes", file), smallTemplate(readFileSync(at("nodes", file), "utf8")));
  }
}
for (const folder of [
  ["nodes/locales", "nodes/locales"],
  ["icons", "nodes/icons"],
]) {
  if (existsSync(at(folder[0]))) cpSync(at(folder[0]), at(next, folder[1]), { recursive: true });
}
buildSidebar(at(next, "nodes/sidebar"));
writeFileSync(at(next, "THIRD-PARTY-LICENSES.txt"), TAKEN_IN.map(licenseOf).join("\n"));
rmSync(at("dist"), { recursive: true, force: true });
renameSync(at(next), at("dist"));

// One file for the library, one for the sound's worker thread and one for all nodes: a call from one of our files to another is
// then a plain call, not a look into the other's exports, and the package is smaller (docs/decisions/0019). With --maps
// there are source maps, by which `node --enable-source-maps` and a reader understand the places in a stack trace.
function bundle() {
  const common = {
    absWorkingDir: root,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    // Taken in: ws and sdp-transform. Left to npm: what is large, of WebAssembly and can be done without, and what ws
    // would use if somebody had compiled it.
    external: [...FROM_NPM, "bufferutil", "utf-8-validate", "tsx"],
    minify: true,
    sourcemap: process.argv.includes("--maps"),
    // Short enough for every editor and every search; shorter lines are more of them, and cost.
    lineLimit: 4000,
    logLevel: "warning",
  };
  const lib = (entry, file) =>
    buildSync({ ...common, entryPoints: [entry], outfile: join(next, "lib", file) });
  lib("lib/index.ts", "index.js");
  lib("lib/media/rtp/worker.ts", "rtp/worker.js");
  // What the benches look into beside the public face; not in the package.
  lib("bench/support/rooms.ts", "rooms.js");

  const nodes = readdirSync(at("nodes"))
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.replace(/\.ts$/, ""));
  buildSync({
    ...common,
    stdin: {
      contents: nodes
        .map((name) => `export { default as "${name}" } from "./${name}.js";`)
        .join("\n"),
      resolveDir: at("nodes"),
    },
    outfile: join(next, "nodes/shared/nodes.js"),
    external: ["*/lib/index.js"],
  });
  // Beside what was built of it, wherever the source asked from.
  const bundled = at(next, "nodes/shared/nodes.js");
  const text = readFileSync(bundled, "utf8");
  writeFileSync(
    bundled,
    text.replace(/require\("(?:\.\.\/)+lib\/index\.js"\)/g, 'require("../../lib/index.js")'),
  );
  for (const name of nodes) {
    writeFileSync(
      at(next, "nodes", `${name}.js`),
      `"use strict";\nmodule.exports = require("./shared/nodes.js")["${name}"];\n`,
    );
  }
}

function licenseOf(name) {
  const read = (file) => readFileSync(at("node_modules", name, file), "utf8");
  const { version } = JSON.parse(read("package.json"));
  return `${name} ${version}, part of lib/index.js:\n\n${read("LICENSE").trim()}\n`;
}

// The editor's templates without indentation, and their scripts without white space: every editor loads all of them.
function smallTemplate(html) {
  return html
    .split(/(<script type="text\/javascript">[^]*?<\/script>)/)
    .map((part) => {
      const code = /^<script type="text\/javascript">([^]*)<\/script>$/.exec(part)?.[1];
      if (code === undefined) return part.replace(/\s*\n\s*/g, "\n");
      const small = transformSync(code, {
        minifyWhitespace: true,
        charset: "utf8",
        lineLimit: 160,
      });
      return `<script type="text/javascript">\n${small.code.trim()}\n</script>`;
    })
    .join("");
}

// Comments of declarations: those that a user of the library meets stay, those of what lies behind are in the source.
function shorten(lib) {
  const OPEN = /^(?:user-agent\/options|session\/session-types)\./;
  for (const file of readdirSync(lib, { recursive: true })) {
    if (!file.endsWith(".d.ts") || OPEN.test(file)) continue;
    const text = readFileSync(join(lib, file), "utf8");
    writeFileSync(
      join(lib, file),
      text.replace(/^\s*\/\*\*[^]*?\*\/\n/gm, "").replace(/^ +/gm, ""),
    );
  }
}

// Only what the declarations of lib/index.ts lead to is of use to others; the rest would be half of the package.
function prune(start) {
  const kept = new Set();
  // Lines of a room's index.d.ts that somebody needs.
  const needed = new Map();
  const target = (file, path) => join(dirname(file), `${path}.d.ts`);
  const lines = (file) => readFileSync(file, "utf8").split("\n");
  const REEXPORT = /^export (?:type )?(?:\*|\{([^}]*)\}) from "(\.[^"]+)\.js";$/;
  const namesOf = (list) =>
    list.split(",").map(
      (name) =>
        name
          .trim()
          .replace(/^type /, "")
          .split(" as ")[0],
    );
  const declares = (file, name) =>
    new RegExp(
      `^export (?:declare |abstract )*(?:class|interface|type|const|function|enum|let) ${name}\\b`,
      "m",
    ).test(readFileSync(file, "utf8"));
  const keep = (file) => {
    if (kept.has(file)) return;
    kept.add(file);
    const text = readFileSync(file, "utf8");
    for (const [, list, path] of text.matchAll(
      /(?:import|export) (?:type )?\{([^}]*)\} from "(\.[^"]+)\.js"/g,
    )) {
      for (const name of namesOf(list)) need(target(file, path), name);
    }
    for (const [, path] of text.matchAll(/export (?:type )?\* from "(\.[^"]+)\.js"/g)) {
      keep(target(file, path));
    }
    for (const [, path, name] of text.matchAll(/import\("(\.[^"]+)\.js"\)\.(\w+)/g)) {
      need(target(file, path), name);
    }
  };
  const need = (file, name) => {
    if (!file.endsWith("index.d.ts")) return keep(file);
    const line = lines(file).find((each) => {
      const [, list, path] = REEXPORT.exec(each) ?? [];
      if (path === undefined) return false;
      return list === undefined ? declares(target(file, path), name) : namesOf(list).includes(name);
    });
    if (line === undefined) throw new Error(`${file}: nobody declares ${name}`);
    needed.set(file, (needed.get(file) ?? new Set()).add(line));
    keep(target(file, REEXPORT.exec(line)[2]));
  };
  keep(start);
  for (const [file, used] of needed) {
    kept.add(file);
    writeFileSync(
      file,
      `${lines(file)
        .filter((line) => used.has(line))
        .join("\n")}\n`,
    );
  }
  for (const name of readdirSync(at(next), { recursive: true })) {
    if (name.endsWith(".d.ts") && !kept.has(at(next, name))) rmSync(at(next, name));
  }
}
