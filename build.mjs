// Builds dist/: compiles lib/ and nodes/, then puts the editor templates, locales and icons beside
// the compiled node files, the only place where Node-RED looks for them.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
const at = (...parts) => join(root, ...parts);

rmSync(at("dist"), { recursive: true, force: true });
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
const compiled = spawnSync(process.execPath, [tsc, "-p", at("tsconfig.json")], {
  stdio: "inherit",
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

mkdirSync(at("dist/nodes"), { recursive: true });
for (const file of readdirSync(at("nodes"))) {
  if (file.endsWith(".html")) cpSync(at("nodes", file), at("dist/nodes", file));
}
for (const folder of [
  ["nodes/locales", "dist/nodes/locales"],
  ["icons", "dist/nodes/icons"],
]) {
  if (existsSync(at(folder[0]))) cpSync(at(folder[0]), at(folder[1]), { recursive: true });
}
