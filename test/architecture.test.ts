/** Holds the tree against the dependency rule of docs/architecture.md: ranks, cycles, forbidden globals, file sizes. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";

const root = resolve(__dirname, "..");

/** What each room may import besides itself; "types" entries only with `import type`. */
const rooms: Record<
  string,
  { rooms: string[]; types?: string[]; node?: string[]; packages?: string[] }
> = {
  "lib/foundation": { rooms: [], node: ["node:crypto", "node:perf_hooks"] },
  // node:buffer only for isUtf8 and isAscii, which are pure.
  "lib/message": { rooms: ["lib/foundation"], node: ["node:buffer"] },
  "lib/sdp": { rooms: ["lib/foundation"], packages: ["sdp-transform"] },
  "lib/auth": { rooms: ["lib/foundation", "lib/message"], node: ["node:crypto"] },
  "lib/transport": {
    rooms: ["lib/foundation", "lib/message"],
    node: [
      "node:buffer",
      "node:dgram",
      "node:net",
      "node:tls",
      "node:dns",
      "node:dns/promises",
      "node:http",
      "node:https",
      "node:os",
      "node:stream",
    ],
    packages: ["ws"],
  },
  "lib/transaction": { rooms: ["lib/foundation", "lib/message"], types: ["lib/transport"] },
  "lib/dialog": {
    rooms: ["lib/foundation", "lib/message", "lib/transaction"],
    types: ["lib/transport"],
  },
  "lib/session": {
    rooms: [
      "lib/foundation",
      "lib/message",
      "lib/sdp",
      "lib/auth",
      "lib/transaction",
      "lib/dialog",
      "lib/subscription",
    ],
    types: ["lib/transport"],
  },
  "lib/subscription": {
    rooms: ["lib/foundation", "lib/message", "lib/transaction", "lib/dialog"],
    types: ["lib/transport", "lib/session"],
  },
  "lib/registration": {
    rooms: ["lib/foundation", "lib/message", "lib/auth", "lib/transaction", "lib/dialog"],
    types: ["lib/transport", "lib/session"],
  },
  "lib/media": {
    rooms: ["lib/foundation", "lib/sdp"],
    types: ["lib/session"],
    node: [
      "node:dgram",
      "node:net",
      "node:fs",
      "node:fs/promises",
      "node:path",
      "node:worker_threads",
      "node:url",
      "node:crypto",
      "node:perf_hooks",
      "node:os",
    ],
    packages: ["libopus-wasm", "mpg123-decoder"],
  },
  "lib/user-agent": {
    rooms: [
      "lib/foundation",
      "lib/message",
      "lib/sdp",
      "lib/auth",
      "lib/transport",
      "lib/transaction",
      "lib/dialog",
      "lib/session",
      "lib/subscription",
      "lib/registration",
      "lib/media",
    ],
  },
  lib: {
    rooms: [
      "lib/foundation",
      "lib/message",
      "lib/sdp",
      "lib/auth",
      "lib/transport",
      "lib/transaction",
      "lib/dialog",
      "lib/session",
      "lib/subscription",
      "lib/registration",
      "lib/media",
      "lib/user-agent",
    ],
  },
  "nodes/shared": {
    rooms: ["lib"],
    packages: ["node-red", "@types/node-red"],
    // node:vm only for the time limit of a regular expression.
    node: ["node:fs", "node:fs/promises", "node:path", "node:crypto", "node:os", "node:vm"],
  },
  // The editor's half of the sidebar runs in a browser and knows only the JSON of the admin endpoints.
  "nodes/sidebar": { rooms: [], packages: ["node-red"] },
  nodes: { rooms: ["lib", "nodes/shared"], packages: ["node-red"], node: ["node:path", "node:fs"] },
};

/** Protocol rooms: neither I/O nor time nor randomness of their own. */
const pure = [
  "message",
  "sdp",
  "auth",
  "transaction",
  "dialog",
  "session",
  "subscription",
  "registration",
  "user-agent",
].map((room) => `lib/${room}`);
const forbidden =
  /\b(setTimeout|setInterval|setImmediate|Date\.now|Math\.random|process\.(?!memory))\b|\bnew Date\(\)/;

interface SourceImport {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const slash = (path: string) => path.split(sep).join("/");
const files = ["lib", "nodes"].flatMap((top) =>
  readdirSync(join(root, top), { recursive: true })
    .map(String)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => slash(join(top, file))),
);
const roomOf = (file: string): string => {
  const parts = file.split("/");
  if (parts[0] === "lib") return parts.length > 2 ? `lib/${parts[1] ?? ""}` : "lib";
  return ["shared", "sidebar"].includes(parts[1] ?? "") ? `nodes/${parts[1] ?? ""}` : "nodes";
};
const withoutComments = (text: string) =>
  text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");

function importsOf(file: string): SourceImport[] {
  const text = withoutComments(readFileSync(join(root, file), "utf8"));
  const found: SourceImport[] = [];
  for (const match of text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"/g,
  ))
    found.push({ specifier: match[2], typeOnly: match[1] !== undefined });
  for (const match of text.matchAll(/\b(?:import|require)\(\s*"([^"]+)"\s*\)/g))
    found.push({ specifier: match[1], typeOnly: false });
  return found;
}

const target = (file: string, specifier: string) =>
  slash(relative(root, resolve(root, dirname(file), specifier))).replace(/\.js$/, ".ts");

describe("architecture", () => {
  it("lets every room import only what stands below it", () => {
    const wrong: string[] = [];
    for (const file of files) {
      const room = roomOf(file);
      const rule = rooms[room];
      if (!rule) {
        wrong.push(`${file}: unknown room ${room}`);
        continue;
      }
      for (const { specifier, typeOnly } of importsOf(file)) {
        if (specifier.startsWith(".")) {
          const other = roomOf(target(file, specifier));
          if (other === room || rule.rooms.includes(other)) continue;
          if (typeOnly && rule.types?.includes(other)) continue;
          wrong.push(`${file} imports ${specifier}`);
        } else if (specifier.startsWith("node:")) {
          if (typeOnly || rule.node?.includes(specifier)) continue;
          wrong.push(`${file} imports ${specifier}`);
        } else if (!typeOnly && !rule.packages?.includes(specifier)) {
          wrong.push(`${file} imports package ${specifier}`);
        }
      }
    }
    assert.deepEqual(wrong, []);
  });

  it("lets nodes see the library only through lib/index.ts", () => {
    const wrong: string[] = [];
    for (const file of files.filter((f) => f.startsWith("nodes/")))
      for (const { specifier } of importsOf(file))
        if (
          specifier.startsWith(".") &&
          target(file, specifier).startsWith("lib/") &&
          target(file, specifier) !== "lib/index.ts"
        )
          wrong.push(`${file} imports ${specifier}`);
    assert.deepEqual(wrong, []);
  });

  it("has no import circle, neither between files nor between rooms", () => {
    const graph = new Map<string, string[]>();
    const roomGraph = new Map<string, Set<string>>();
    for (const file of files) {
      const next: string[] = [];
      for (const { specifier, typeOnly } of importsOf(file)) {
        if (!specifier.startsWith(".") || typeOnly) continue;
        const other = target(file, specifier);
        next.push(other);
        if (roomOf(other) !== roomOf(file))
          roomGraph.set(
            roomOf(file),
            (roomGraph.get(roomOf(file)) ?? new Set()).add(roomOf(other)),
          );
      }
      graph.set(file, next);
    }
    assert.deepEqual(findCircle(graph), undefined);
    assert.deepEqual(findCircle(new Map([...roomGraph].map(([k, v]) => [k, [...v]]))), undefined);
  });

  it("keeps clock, randomness and environment out of the protocol rooms", () => {
    const wrong: string[] = [];
    for (const file of files.filter((f) => pure.includes(roomOf(f)))) {
      withoutComments(readFileSync(join(root, file), "utf8"))
        .split("\n")
        .forEach((line, index) => {
          if (forbidden.test(line)) wrong.push(`${file}:${index + 1} ${line.trim()}`);
        });
    }
    assert.deepEqual(wrong, []);
  });

  it("keeps every file one concept: below 600 lines, most below 400", () => {
    const sizes = files.map(
      (file) => [file, readFileSync(join(root, file), "utf8").split("\n").length] as const,
    );
    const long = sizes.filter(([, lines]) => lines > 400).sort((a, b) => b[1] - a[1]);
    if (long.length > 0)
      console.warn(`      longer than 400 lines: ${long.map(([f, n]) => `${f} ${n}`).join(", ")}`);
    assert.deepEqual(
      sizes.filter(([, lines]) => lines > 600),
      [],
    );
  });

  it("says in each file's first lines what the file is", () => {
    const silent = files.filter(
      (file) =>
        !/^(\/\*\*|\/\/)/.test(readFileSync(join(root, file), "utf8")) &&
        !file.endsWith("/index.ts"),
    );
    assert.deepEqual(silent, []);
  });

  it("switches neither the type checker nor the linter off", () => {
    const wrong = files.filter((file) =>
      /@ts-(ignore|expect-error|nocheck)|eslint-disable|\bas any\b|: any\b/.test(
        readFileSync(join(root, file), "utf8"),
      ),
    );
    assert.deepEqual(wrong, []);
  });
});

/** Depth-first search. @returns one circle as a list, or undefined. */
function findCircle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (at: string): string[] | undefined => {
    if (done.has(at)) return undefined;
    const start = path.indexOf(at);
    if (start >= 0) return [...path.slice(start), at];
    path.push(at);
    for (const next of graph.get(at) ?? []) {
      const circle = visit(next);
      if (circle) return circle;
    }
    path.pop();
    done.add(at);
    return undefined;
  };
  for (const at of graph.keys()) {
    const circle = visit(at);
    if (circle) return circle;
  }
  return undefined;
}
