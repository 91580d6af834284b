/** A Redis server of its own on one loopback address: nothing on disk, ended by its own pid. */
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context } from "mocha";
import { needs, PeerProcess } from "./process.js";

export interface RedisOptions {
  /** Loopback, one per test file. */
  readonly address: string;
  /** Default 6379. */
  readonly port?: number;
  readonly password?: string;
  /** More settings of redis-server, `--name value …`. */
  readonly settings?: readonly string[];
}

export class Redis {
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "redis-"));
  #process: PeerProcess | undefined;

  constructor(readonly options: RedisOptions) {
    this.port = options.port ?? 6379;
  }

  /** For `sharedState`. */
  get url(): string {
    const { address, password } = this.options;
    return `redis://${password === undefined ? "" : `:${password}@`}${address}:${this.port}`;
  }

  async start(): Promise<void> {
    const { address, password, settings = [] } = this.options;
    const secret = password === undefined ? [] : ["--requirepass", password];
    // prettier-ignore
    const args = ["--bind", address, "--port", String(this.port), "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", this.#folder, ...secret, ...settings];
    this.#process = PeerProcess.start("redis-server", args);
    await this.#process.until(/Ready to accept connections/);
  }

  /** Ends it; what it held is lost. */
  async stop(): Promise<void> {
    await this.#process?.stop("SIGKILL");
    this.#process = undefined;
  }

  /** It stands still: connections stay open and nobody is answered. */
  pause(): void {
    this.#process?.process.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.process.kill("SIGCONT");
  }

  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** In a `before` hook: skips the suite loudly without redis-server or the optional package `@redis/client`. */
export function needsRedis(context: Context): void {
  needs(context, "redis-server");
  try {
    createRequire(__filename).resolve("@redis/client");
  } catch {
    console.error("      NOT TESTED: the optional package @redis/client is not installed");
    context.skip();
  }
}
