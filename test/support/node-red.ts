/**
 * A real Node-RED in a process of its own, on loopback, with this package installed the way a user's is.
 * NODE_RED_HOME chooses another Node-RED than the one in devDependencies.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { FlowNode } from "./flow-builder.js";
import { freePort } from "./ports.js";

export const projectRoot = resolve(__dirname, "../..");

/** Folder of the `node-red` package under test. */
export function nodeRedHome(): string {
  return process.env.NODE_RED_HOME ?? dirname(require.resolve("node-red/package.json"));
}

export interface NodeRedOptions {
  readonly flows?: readonly FlowNode[];
  /** `{nodeId: {password: …}}`. */
  readonly credentials?: Record<string, Record<string, string>>;
  /** Merged into settings.js (JSON values only). */
  readonly settings?: Record<string, unknown>;
  /** Put the built package into the user directory. Default true. */
  readonly withPackage?: boolean;
  readonly env?: Record<string, string>;
  /** Another Node and Node-RED than those of the run. */
  readonly program?: { readonly node: string; readonly home: string };
  /** adminAuth with the users `admin`, who may do everything, and `reader`; see `NodeRed.token`. Default false. */
  readonly withLogin?: boolean;
}

/** Of the users of `withLogin`. */
export const PASSWORD = "of the tests";

function adminAuth(): Record<string, unknown> {
  const fromNodeRed = createRequire(join(nodeRedHome(), "package.json"));
  const { hashSync } = fromNodeRed("bcryptjs") as {
    hashSync(text: string, rounds: number): string;
  };
  const password = hashSync(PASSWORD, 4);
  return {
    type: "credentials",
    users: [
      { username: "admin", password, permissions: "*" },
      { username: "reader", password, permissions: "read" },
    ],
  };
}

/** A test that waits for ever does not say for what. */
const soon = (ms: number): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(ms) });

export interface Captured {
  readonly at: number;
  // A message of a flow: its shape is what the tests assert.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly msg: any;
}

export class NodeRed {
  /** Everything that the process printed. */
  log = "";
  exitCode: number | null | undefined;
  /** With `withLogin`: sent by `deploy`. */
  #token: string | undefined;

  private constructor(
    readonly process: ChildProcess,
    readonly port: number,
    readonly userDir: string,
    /** `httpAdminRoot`: where the editor is, "" or "/admin". */
    readonly adminRoot: string,
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get adminUrl(): string {
    return this.url + this.adminRoot;
  }

  static async start(options: NodeRedOptions = {}): Promise<NodeRed> {
    const userDir = mkdtempSync(join(tmpdir(), "node-red-"));
    if (options.withPackage !== false) {
      if (!existsSync(join(projectRoot, "dist/nodes")))
        throw new Error("dist/ is missing: run npm run build first");
      mkdirSync(join(userDir, "node_modules/@sipflow"), { recursive: true });
      symlinkSync(projectRoot, join(userDir, "node_modules/@sipflow/node-red-sip"), "dir");
      writeFileSync(
        join(userDir, "package.json"),
        JSON.stringify({
          name: "test-user-dir",
          version: "0.0.1",
          private: true,
          dependencies: { "@sipflow/node-red-sip": "*" },
        }),
      );
    }
    writeFileSync(join(userDir, "flows.json"), JSON.stringify([]));
    const settings = {
      flowFile: "flows.json",
      uiHost: "127.0.0.1",
      credentialSecret: "test",
      telemetry: { enabled: false, updateNotification: false },
      runtimeState: { enabled: true, ui: true },
      externalModules: { palette: { allowInstall: true, allowUpload: true } },
      editorTheme: { tours: false, projects: { enabled: false }, palette: { catalogues: [] } },
      logging: { console: { level: "info", metrics: false, audit: false } },
      ...(options.withLogin === true ? { adminAuth: adminAuth() } : {}),
      ...options.settings,
    };
    const root = (options.settings?.httpAdminRoot ?? "") as string;
    let nodeRed: NodeRed | undefined;
    for (let attempt = 1; nodeRed === undefined; attempt++) {
      const port = await freePort();
      const text = JSON.stringify({ ...settings, uiPort: port });
      writeFileSync(join(userDir, "settings.js"), `module.exports = ${text};`);
      try {
        nodeRed = await NodeRed.#launch(userDir, port, options.env, root, options.program);
      } catch (error) {
        // Suites beside this one may have taken the port meanwhile.
        if (attempt >= 3 || !/port in use|EADDRINUSE/i.test(String(error))) throw error;
      }
    }
    if (options.withLogin === true) nodeRed.#token = await nodeRed.token("admin");
    if (options.flows) await nodeRed.deploy(options.flows, { credentials: options.credentials });
    return nodeRed;
  }

  /** Starts anew in the user directory of one that was killed. */
  static again(killed: NodeRed): Promise<NodeRed> {
    return NodeRed.#launch(killed.userDir, killed.port, {}, killed.adminRoot);
  }

  static async #launch(
    userDir: string,
    port: number,
    more: Record<string, string> | undefined,
    adminRoot: string,
    { node, home } = { node: process.execPath, home: nodeRedHome() },
  ): Promise<NodeRed> {
    const env = { ...process.env, ...more };
    delete env.NODE_V8_COVERAGE;
    const child = spawn(
      node,
      [join(home, "red.js"), "-u", userDir, "-s", join(userDir, "settings.js")],
      { stdio: ["ignore", "pipe", "pipe"], env },
    );
    const nodeRed = new NodeRed(child, port, userDir, adminRoot);
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (chunk: Buffer) => (nodeRed.log += chunk.toString("utf8")));
    child.on("exit", (code) => (nodeRed.exitCode = code));
    await nodeRed.#ready();
    return nodeRed;
  }

  async #ready(): Promise<void> {
    const end = Date.now() + 60_000;
    while (Date.now() < end) {
      if (this.exitCode !== undefined) throw new Error(`Node-RED ended: ${this.log.slice(-2000)}`);
      try {
        // Whoever has taken the port instead may never answer.
        const response = await fetch(`${this.adminUrl}/flows`, soon(3_000));
        const isUp = response.ok || response.status === 401;
        if (isUp && this.log.includes("Started flows")) return;
      } catch {
        // Not listening yet.
      }
      await pause(100);
    }
    throw new Error(`Node-RED did not start: ${this.log.slice(-2000)}`);
  }

  /** Logs in. @returns what the header `authorization: Bearer …` wants. */
  async token(username: "admin" | "reader"): Promise<string> {
    const response = await fetch(`${this.adminUrl}/auth/token`, {
      ...soon(20_000),
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        client_id: "node-red-admin",
        grant_type: "password",
        scope: "",
        username,
        password: PASSWORD,
      }),
    });
    const answer = (await response.json()) as { access_token?: string };
    if (answer.access_token === undefined) throw new Error(`login: ${response.status}`);
    return answer.access_token;
  }

  /** Deploys and waits until the flows have started. `mode`: full, nodes, flows or reload. */
  async deploy(
    flows: readonly FlowNode[],
    options: {
      mode?: "full" | "nodes" | "flows" | "reload" | undefined;
      credentials?: Record<string, Record<string, string>> | undefined;
    } = {},
  ): Promise<void> {
    const started = count(this.log, "Started");
    const nodes = flows.map((node) =>
      options.credentials?.[node.id]
        ? { ...node, credentials: options.credentials[node.id] }
        : node,
    );
    const response = await fetch(`${this.adminUrl}/flows`, {
      ...soon(20_000),
      method: "POST",
      headers: {
        "content-type": "application/json",
        "node-red-deployment-type": options.mode ?? "full",
        "node-red-api-version": "v2",
        ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
      },
      body: JSON.stringify({ flows: nodes }),
    });
    if (!response.ok) throw new Error(`deploy: ${response.status} ${await response.text()}`);
    await this.until(() => count(this.log, "Started") > started, 20_000, "flows to start");
    await pause(150);
  }

  /** Sends a message into `FlowBuilder.entry(name)`. */
  async inject(name: string, message: Record<string, unknown> = {}): Promise<void> {
    const response = await fetch(`${this.url}/test/${name}`, {
      ...soon(20_000),
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ message }),
    });
    if (!response.ok) throw new Error(`inject ${name}: ${response.status}`);
  }

  /** What the capture node `name` has seen so far. */
  async captured(name: string): Promise<Captured[]> {
    return (await this.allCaptured())[name] ?? [];
  }

  async allCaptured(): Promise<Record<string, Captured[]>> {
    const response = await fetch(`${this.url}/captured`, soon(10_000));
    return (await response.json()) as Record<string, Captured[]>;
  }

  async clearCaptured(): Promise<void> {
    await fetch(`${this.url}/captured`, { ...soon(10_000), method: "DELETE" });
  }

  /** Waits until capture node `name` holds at least `least` messages. */
  async waitFor(name: string, least = 1, timeoutMs = 10_000): Promise<Captured[]> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const all = await this.allCaptured();
      const seen = all[name] ?? [];
      if (seen.length >= least) return seen;
      if (Date.now() > end) {
        const got = Object.entries(all).map(([key, list]) => `${key}: ${list.length}`);
        throw new Error(
          `${name}: ${seen.length} of ${least} messages; captured: ${got.join(", ")}; log: ${this.log.slice(-1500)}`,
        );
      }
      await pause(50);
    }
  }

  async until(condition: () => boolean, timeoutMs: number, what: string): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (!condition()) {
      if (Date.now() > end)
        throw new Error(`timeout waiting for ${what}: ${this.log.slice(-1500)}`);
      await pause(50);
    }
  }

  /** As if the power failed; the user directory stays. */
  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    while (this.process.exitCode === null && this.process.signalCode === null) await pause(20);
  }

  /** SIGTERM, as a service manager does it; SIGKILL after 10 s. @returns milliseconds it took. */
  async stop(): Promise<number> {
    const start = Date.now();
    if (this.exitCode === undefined) {
      this.process.kill("SIGTERM");
      const end = Date.now() + 10_000;
      while (this.exitCode === undefined && Date.now() < end) await pause(20);
      if (this.exitCode === undefined) this.process.kill("SIGKILL");
    }
    const took = Date.now() - start;
    rmSync(this.userDir, { recursive: true, force: true });
    return took;
  }
}

/** Real time, for tests against real processes only. */
export function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}
