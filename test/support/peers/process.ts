/** Child processes of tests: started with a log, ended by their own pid, never by name. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import type { Context } from "mocha";

export class PeerProcess {
  log = "";
  exitCode: number | null | undefined;
  readonly #exited: Promise<void>;

  constructor(readonly process: ChildProcess) {
    for (const stream of [process.stdout, process.stderr])
      stream?.on("data", (chunk: Buffer) => {
        // Enough to see what went wrong, bounded whatever the peer prints.
        if (this.log.length < 4_000_000) this.log += chunk.toString("latin1");
      });
    this.#exited = new Promise((done) => {
      process.once("exit", (code) => {
        this.exitCode = code;
        done();
      });
      process.once("error", (error) => {
        this.log += error.message;
        this.exitCode ??= 127;
        done();
      });
    });
  }

  static start(
    command: string,
    args: readonly string[],
    options: { cwd?: string; env?: Record<string, string> } = {},
  ): PeerProcess {
    const env = { ...process.env, ...options.env };
    delete env.NODE_V8_COVERAGE;
    return new PeerProcess(
      spawn(command, [...args], {
        cwd: options.cwd,
        env,
        // A controlling input that never ends: some peers stop at end of file.
        stdio: ["pipe", "pipe", "pipe"],
      }),
    );
  }

  exited(): Promise<void> {
    return this.#exited;
  }

  /** Waits until the log matches. Rejects with the log's end when it does not. */
  async until(pattern: RegExp, timeoutMs = 10_000): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (!pattern.test(this.log)) {
      if (this.exitCode !== undefined || Date.now() > end)
        throw new Error(
          `${this.process.spawnfile}: ${String(pattern)} not seen, exit ${this.exitCode}: ${this.log.slice(-1500)}`,
        );
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.exitCode !== undefined) return;
    this.process.kill(signal);
    const killer = setTimeout(() => this.process.kill("SIGKILL"), 5000);
    await this.#exited;
    clearTimeout(killer);
  }
}

/** Is a program on this machine? */
export function available(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

/** In a `before` hook: skips the suite loudly when a program is missing and could not be installed. */
export function needs(context: Context, ...programs: string[]): void {
  const missing = programs.filter((program) => !available(program));
  if (missing.length === 0) return;
  console.error(`      NOT TESTED: ${missing.join(", ")} missing on this machine`);
  context.skip();
}
