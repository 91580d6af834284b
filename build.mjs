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

const root = dirname(fileURLToPath(import.meta.url));
const at = (...parts) => join(root, ...parts);

const next = `dist.next-${process.pid}`;
const require = createRequire(import.meta.url);
const tsc = require.resolve("typescript/bin/tsc");
// Comments stay in the declarations, where an editor shows them, and not in what Node-RED loads.
const compile = (...options) =>
  spawnSync(process.execPath, [tsc, "-p", at("tsconfig.json"), "--outDir", at(next), ...options], {
    stdio: "inherit",
  }).status ?? 1;
const status =
  compile("--removeComments", "--declaration", "false") ||
  compile("--declaration", "--emitDeclarationOnly");
if (status !== 0) {
  rmSync(at(next), { recursive: true, force: true });
  process.exit(status);
}

prune(at(next, "lib", "index.d.ts"));
indentByTabs();

mkdirSync(at(next, "nodes"), { recursive: true });
for (const file of readdirSync(at("nodes"))) {
  if (file.endsWith(".html")) cpSync(at("nodes", file), at(next, "nodes", file));
}
for (const folder of [
  ["nodes/locales", "nodes/locales"],
  ["icons", "nodes/icons"],
]) {
  if (existsSync(at(folder[0]))) cpSync(at(folder[0]), at(next, folder[1]), { recursive: true });
}
rmSync(at("dist"), { recursive: true, force: true });
renameSync(at(next), at("dist"));

// A tab for every four spaces makes the package smaller; lines within a text of several lines stay as they are.
function indentByTabs() {
  const ts = require("typescript");
  for (const name of readdirSync(at(next), { recursive: true })) {
    if (!/\.(?:js|d\.ts)$/.test(name)) continue;
    const text = readFileSync(at(next, name), "utf8");
    const source = ts.createSourceFile(name, text, ts.ScriptTarget.ESNext);
    const fixed = new Set();
    const visit = (node) => {
      if (ts.isTemplateLiteralToken(node)) {
        const [first, last] = [node.getStart(source), node.getEnd()].map(
          (position) => source.getLineAndCharacterOfPosition(position).line,
        );
        for (let line = first + 1; line <= last; line++) fixed.add(line);
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
    const indented = text
      .split("\n")
      .map((line, number) =>
        fixed.has(number) ? line : line.replace(/^(?: {4})+/, (run) => "\t".repeat(run.length / 4)),
      );
    writeFileSync(at(next, name), indented.join("\n"));
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
