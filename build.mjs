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
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
const at = (...parts) => join(root, ...parts);

const next = `dist.next-${process.pid}`;
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
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

// Only what the declarations of lib/index.ts lead to is of use to others; the rest would fill half the package.
const declarations = new Set();
const follow = [at(next, "lib", "index.d.ts")];
for (let file = follow.pop(); file !== undefined; file = follow.pop()) {
  if (declarations.has(file)) continue;
  declarations.add(file);
  for (const [, path] of readFileSync(file, "utf8").matchAll(
    /(?:from|import\() ?"(\.[^"]+)\.js"/g,
  )) {
    follow.push(join(dirname(file), `${path}.d.ts`));
  }
}
for (const name of readdirSync(at(next), { recursive: true })) {
  if (name.endsWith(".d.ts") && !declarations.has(at(next, name))) rmSync(at(next, name));
}

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
