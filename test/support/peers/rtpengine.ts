/**
 * rtpengine in user space on one loopback address: commands by the ng protocol at port 2223, RTP at 8220 to 8598,
 * recordings as pcap in its folder, keys reported to where it is told.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createSocket } from "node:dgram";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pause } from "../node-red.js";
import { PeerProcess } from "./process.js";

export interface RtpengineOptions {
  readonly address: string;
  /** `host:port` that keys are reported to. */
  readonly digits?: string;
}

export class Rtpengine {
  readonly folder = mkdtempSync(join(tmpdir(), "rtpengine-"));
  readonly url: string;
  #process: PeerProcess | undefined;

  constructor(readonly options: RtpengineOptions) {
    this.url = `udp://${options.address}:2223`;
  }

  get log(): string {
    return this.#process?.log ?? "";
  }

  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  async start(): Promise<void> {
    const { address, digits } = this.options;
    this.#process = PeerProcess.start("rtpengine", [
      "--config-file=none",
      "--table=-1",
      `--interface=${address}`,
      `--listen-ng=${address}:2223`,
      "--port-min=8220",
      "--port-max=8598",
      "--foreground",
      "--log-stderr",
      "--log-level=6",
      "--num-threads=2",
      "--media-num-threads=1",
      "--delete-delay=0",
      `--recording-dir=${this.folder}`,
      "--recording-method=pcap",
      ...(digits === undefined ? [] : [`--dtmf-log-dest=${digits}`]),
    ]);
    for (let i = 0; i < 100; i++) {
      if (this.#process.exitCode !== undefined) {
        throw new Error(`rtpengine ended: ${this.log.slice(-2000)}`);
      }
      if (await this.#answers()) return;
      await pause(30);
    }
    throw new Error(`rtpengine does not answer: ${this.log.slice(-2000)}`);
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.#process?.stop(signal);
    this.#process = undefined;
  }

  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = createSocket("udp4");
      const done = (answers: boolean): void => {
        clearTimeout(timer);
        socket.removeAllListeners();
        socket.on("error", () => undefined);
        socket.close();
        resolve(answers);
      };
      const timer = setTimeout(() => done(false), 100);
      socket.on("error", () => done(false));
      socket.on("message", () => done(true));
      socket.connect(2223, this.options.address, () => socket.send("1 d7:command4:pinge"));
    });
  }
}
