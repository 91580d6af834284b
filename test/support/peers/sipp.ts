/** SIPp with a scenario file, once, bounded in time. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { PeerProcess } from "./process.js";

export interface SippOptions {
  readonly scenario: string;
  /** `host:port` of the product when SIPp calls; absent = SIPp waits. */
  readonly target?: string;
  /** Our address and port, for example 127.0.62.50:5070. */
  readonly local: string;
  readonly service?: string;
  readonly transport?: "u1" | "t1";
  readonly calls?: number;
  /** Calls per second. */
  readonly rate?: number;
  readonly limitSeconds?: number;
  readonly extra?: readonly string[];
  readonly username?: string;
  readonly password?: string;
}

export interface SippResult {
  readonly ok: boolean;
  /** What went wrong, or "". */
  readonly problem: string;
  readonly messages: string;
}

export class Sipp {
  readonly #folder = mkdtempSync(join(tmpdir(), "sipp-"));
  readonly #process: PeerProcess;
  readonly #name: string;
  readonly #local: string;
  readonly #transport: "u1" | "t1";

  constructor(options: SippOptions) {
    const [address, port] = splitLast(options.local);
    this.#name = basename(options.scenario, ".xml");
    this.#local = options.local;
    this.#transport = options.transport ?? "u1";
    const text = readFileSync(options.scenario, "utf8");
    const seconds = Number(/Takes (\d+) s/.exec(text)?.[1] ?? 20);
    const limit = options.limitSeconds ?? seconds + 20;
    this.#process = PeerProcess.start(
      "sipp",
      // prettier-ignore
      [
        "-sf", options.scenario, "-i", address, "-p", port, "-mi", address, "-mp", String(20000 + (Number(port) % 1000) * 10),
        "-m", String(options.calls ?? 1), "-l", String(options.calls ?? 1), "-r", String(options.rate ?? 1),
        "-s", options.service ?? "alice", "-t", options.transport ?? "u1",
        "-timeout", `${limit}s`, "-timeout_error", "-recv_timeout", "45000", "-default_behaviors", "none", "-nostdin",
        "-trace_err", "-error_file", join(this.#folder, "errors"), "-trace_msg", "-message_file", join(this.#folder, "messages"),
        "-au", options.username ?? "test", "-ap", options.password ?? "secret", "-skip_rlimit",
        // A scenario that counts the peer's retransmissions itself says so.
        ...(text.includes("[nr]") ? ["-nr"] : []),
        ...(options.extra ?? []),
        ...(options.target === undefined ? [] : [options.target]),
      ],
      { cwd: dirname(dirname(dirname(options.scenario))), env: { TERM: "xterm" } },
    );
  }

  /** Waits until its socket is there, 10 s at most: what comes before that is refused. */
  async listening(): Promise<void> {
    const [address, port] = splitLast(this.#local);
    const hex = address.split(".").reverse();
    const entry = `${hex.map((part) => toHex(Number(part), 2)).join("")}:${toHex(Number(port), 4)} `;
    const table = this.#transport === "t1" ? "/proc/net/tcp" : "/proc/net/udp";
    if (address.includes("[") || !existsSync(table)) return sleep(400);
    for (let tries = 0; tries < 200 && this.#process.exitCode === undefined; tries++) {
      if (readFileSync(table, "latin1").includes(` ${entry}`)) return sleep(50);
      await sleep(50);
    }
  }

  /** Waits for its end; cleans up. */
  async result(): Promise<SippResult> {
    await this.#process.exited();
    const read = (file: string) =>
      existsSync(join(this.#folder, file)) ? readFileSync(join(this.#folder, file), "latin1") : "";
    const errors = read("errors");
    const messages = read("messages");
    rmSync(this.#folder, { recursive: true, force: true });
    const ok = this.#process.exitCode === 0;
    return {
      ok,
      problem: ok
        ? ""
        : `${this.#name}: exit ${this.#process.exitCode}: ${errors.slice(0, 1500)}\n${firstLines(messages)}`,
      messages,
    };
  }

  async stop(): Promise<void> {
    await this.#process.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** When each message went, and its first line: what tells where a scenario stopped. */
function firstLines(messages: string): string {
  const seen: string[] = [];
  let at = "";
  for (const line of messages.split("\n")) {
    const time = /(\d\d:\d\d:\d\d\.\d+)/.exec(line);
    if (line.startsWith("-----")) at = time?.[1] ?? "";
    else if (/ message (sent|received)/.test(line))
      at += ` ${line.replace(/^.*message /, "").slice(0, 20)}`;
    else if (/^SIP\/2\.0 |^[A-Z]+ .* SIP\/2\.0/.test(line)) seen.push(`${at} ${line.trim()}`);
    else if (/^CSeq:/i.test(line)) seen.push(`    ${line.trim()}`);
  }
  return seen.slice(-40).join("\n");
}

function splitLast(text: string): [string, string] {
  const at = text.lastIndexOf(":");
  return [text.slice(0, at), text.slice(at + 1)];
}

function toHex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}

function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
