/** Kamailio, and where wanted Redis and rtpengine, with the files of docs/scale-out/conf, and Node-RED instances behind. */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { NodeRed, pause } from "../node-red.js";
import { PeerProcess } from "../peers/process.js";
import { fleetFlow, STACK } from "./flow.js";
import { layOut, Places } from "./files.js";

export interface FleetOptions {
  /** First three bytes of the loopback addresses. */
  readonly base: string;
  /** At most 3. */
  readonly instances: number;
  /** Further properties of the stack of each instance. */
  readonly stack?: (places: Places) => Record<string, unknown>;
  /** Further properties of `sip-bridge`. */
  readonly bridge?: Record<string, unknown>;
  readonly redis?: boolean;
  readonly rtpengine?: boolean;
}

export interface Count {
  readonly count: Record<string, number>;
  readonly ended: {
    callId: string;
    cause?: string;
    duration?: number;
    /** Packets. */
    received?: number;
  }[];
}

/** The stack of instances that share their state and let rtpengine carry bridged calls. */
export const SHARING = {
  sharedState: "${SIP_SHARED_STATE}",
  media: "rtpengine",
  rtpengine: "${SIP_RTPENGINE}",
};

/** A part that has its own process. */
export type Part = "kamailio" | "redis" | "rtpengine" | `instance ${number}`;

export class Fleet {
  readonly instances = new Map<number, NodeRed>();
  readonly #engines = new Map<Part, PeerProcess>();

  private constructor(
    readonly places: Places,
    readonly folder: string,
    readonly options: FleetOptions,
  ) {}

  static async start(options: FleetOptions): Promise<Fleet> {
    const places = new Places(options.base);
    const fleet = new Fleet(places, layOut(places, options.instances), options);
    try {
      await fleet.#start();
    } catch (error) {
      await fleet.stop();
      throw error;
    }
    return fleet;
  }

  get kamailioLog(): string {
    return this.#engines.get("kamailio")?.log ?? "";
  }

  async #start(): Promise<void> {
    if (this.options.redis === true) await this.#redis();
    if (this.options.rtpengine === true) await this.#rtpengine();
    await this.#kamailio();
    const numbers = Array.from({ length: this.options.instances }, (_, index) => index + 1);
    await Promise.all(numbers.map((number) => this.launch(number)));
    await this.active(numbers.length);
  }

  async #kamailio(): Promise<void> {
    const { folder } = this;
    // prettier-ignore
    const program = PeerProcess.start("kamailio", ["-DD", "-E", "-f", join(folder, "kamailio.cfg"), "-Y", folder, "-P", join(folder, "pid"), "-w", folder, "-m", "128", "-M", "8"]);
    this.#engines.set("kamailio", program);
    await bound("tcp", this.places.kamailio, 5061, program);
  }

  async #redis(): Promise<void> {
    const { redis } = this.places;
    // prettier-ignore
    const program = PeerProcess.start("redis-server", [join(this.folder, "redis.conf"), "--bind", redis, "--dir", this.folder]);
    this.#engines.set("redis", program);
    await bound("tcp", redis, 6379, program);
  }

  async #rtpengine(): Promise<void> {
    const { rtpengine } = this.places;
    // prettier-ignore
    const program = PeerProcess.start("rtpengine", ["--foreground", "--log-stderr", `--config-file=${join(this.folder, "rtpengine.conf")}`, `--interface=${rtpengine}`, `--listen-ng=${rtpengine}:2223`, `--listen-http=${rtpengine}:2225`, `--pidfile=${join(this.folder, "rtpengine.pid")}`]);
    this.#engines.set("rtpengine", program);
    await bound("udp", rtpengine, 2223, program);
  }

  /** Starts an instance, also one that has been killed. */
  async launch(number: number): Promise<NodeRed> {
    const nodeRed = await NodeRed.start({
      flows: fleetFlow({
        stack: this.options.stack?.(this.places) ?? {},
        bridge: this.options.bridge,
      }),
      settings: { functionGlobalContext: {}, sipStackGraceSeconds: 20 },
      env: {
        SIP_INSTANCE: String(number),
        SIP_ADDRESS: this.places.instance(number),
        SIP_PROXY: this.places.kamailio,
        SIP_SHARED_STATE: this.places.sharedState,
        SIP_RTPENGINE: this.places.ng,
      },
    });
    this.instances.set(number, nodeRed);
    return nodeRed;
  }

  instance(number: number): NodeRed {
    const found = this.instances.get(number);
    if (found === undefined) throw new Error(`There is no instance ${number}`);
    return found;
  }

  /** As the loss of a machine. */
  async kill(number: number): Promise<void> {
    const nodeRed = this.instance(number);
    this.instances.delete(number);
    await nodeRed.kill();
    rmSync(nodeRed.userDir, { recursive: true, force: true });
  }

  /** No new calls from now on, those that are up go on; `POST sip/stacks/:id/drain`, or `DELETE` for the end of it. */
  async drain(number: number, method: "POST" | "DELETE" = "POST"): Promise<number> {
    const { status } = await fetch(`${this.instance(number).url}/sip/stacks/${STACK}/drain`, {
      method,
      signal: AbortSignal.timeout(10_000),
    });
    return status;
  }

  async count(number: number): Promise<Count> {
    const response = await fetch(`${this.instance(number).url}/count`, {
      signal: AbortSignal.timeout(10_000),
    });
    return (await response.json()) as Count;
  }

  /** Calls `name` by way of Kamailio from that instance. */
  async call(number: number, name: string): Promise<{ ok: boolean; status?: number }> {
    const response = await fetch(`${this.instance(number).url}/call/${name}`, {
      method: "POST",
      signal: AbortSignal.timeout(20_000),
    });
    return (await response.json()) as { ok: boolean; status?: number };
  }

  /** Calls that rtpengine carries, by its own figures. */
  async rtpengineSessions(): Promise<number | undefined> {
    if (!this.#engines.has("rtpengine")) return undefined;
    const response = await fetch(`http://${this.places.rtpengine}:2225/metrics`);
    return Number(/^rtpengine_sessions\{type="own"\} (\d+)/m.exec(await response.text())?.[1]);
  }

  /** Asks Kamailio itself. */
  kamcmd(...words: string[]): string {
    const { stdout, stderr } = spawnSync(
      "kamcmd",
      ["-s", `unix:${join(this.folder, "kamailio_ctl")}`, ...words],
      { encoding: "utf8", timeout: 5_000 },
    );
    return stdout + stderr;
  }

  /** Addresses that Kamailio sends new calls to. */
  targets(): string[] {
    const list = this.kamcmd("dispatcher.list");
    return [...list.matchAll(/URI: sip:([\d.]+):\d+\s+FLAGS: A/g)].map(
      ([, address]) => address ?? "",
    );
  }

  /** Waits until new calls go to so many instances. */
  async active(wanted: number, timeoutMs = 10_000): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (this.targets().length !== wanted) {
      if (Date.now() > end)
        throw new Error(
          `${wanted} instances should take calls, there are ${this.targets().join(", ")}; ${this.kamailioLog.slice(-1500)}`,
        );
      await pause(100);
    }
  }

  /** Process id of each part, the threads and children of which are its own. */
  processes(): Map<Part, number> {
    const found = new Map<Part, number>();
    for (const [part, { process }] of this.#engines) found.set(part, process.pid ?? 0);
    for (const [number, nodeRed] of this.instances)
      found.set(`instance ${number}`, nodeRed.process.pid ?? 0);
    return found;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.instances.values()].map((nodeRed) => nodeRed.stop()));
    await Promise.all([...this.#engines.values()].map((engine) => engine.stop()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function bound(
  protocol: "tcp" | "udp",
  address: string,
  port: number,
  program: PeerProcess,
): Promise<void> {
  const hex = address
    .split(".")
    .reverse()
    .map((part) => hexOf(Number(part), 2));
  const entry = ` ${hex.join("")}:${hexOf(port, 4)} 0`;
  for (let tries = 0; tries < 200; tries++) {
    if (readFileSync(`/proc/net/${protocol}`, "latin1").includes(entry)) return;
    if (program.exitCode !== undefined) break;
    await pause(50);
  }
  throw new Error(`${program.process.spawnfile} does not listen: ${program.log.slice(-2000)}`);
}

function hexOf(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}
