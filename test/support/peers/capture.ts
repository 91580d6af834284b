/** tshark on loopback: captures what two peers say and measures the RTP streams in it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pause } from "../node-red.js";
import { PeerProcess } from "./process.js";

export interface RtpStream {
  readonly source: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Name of the codec, as far as the capture tells. */
  readonly payload: string;
  readonly packets: number;
  readonly lost: number;
  /** Milliseconds between packets. */
  readonly meanDelta: number;
  readonly maxDelta: number;
  readonly meanJitter: number;
}

export class Capture {
  readonly #folder = mkdtempSync(join(tmpdir(), "capture-"));
  readonly file = join(this.#folder, "capture.pcapng");
  #process: PeerProcess | undefined;

  /** @param filter - capture filter; keep it to the ports of the test. */
  async start(filter: string): Promise<void> {
    this.#process = PeerProcess.start("tshark", ["-i", "lo", "-f", filter, "-w", this.file, "-q"]);
    await this.#process.until(/Capturing on/, 15_000);
    await pause(500);
  }

  async stop(): Promise<void> {
    await pause(500);
    await this.#process?.stop("SIGINT");
  }

  /** RTP streams, found by port pairs (`-o rtp.heuristic_rtp`). */
  streams(): RtpStream[] {
    const run = spawnSync(
      "tshark",
      [
        "-r",
        this.file,
        "-o",
        "rtp.heuristic_rtp:TRUE",
        "--enable-heuristic",
        "rtp_udp",
        "-q",
        "-z",
        "rtp,streams",
      ],
      { encoding: "utf8", maxBuffer: 16_000_000 },
    );
    return run.stdout
      .split("\n")
      .filter((line) => /0x[0-9a-f]{8}/i.test(line))
      .map(parseStream)
      .filter((stream) => stream !== undefined);
  }

  /** One line per SIP message: request line or status line. */
  ladder(): string[] {
    const run = spawnSync(
      "tshark",
      [
        "-r",
        this.file,
        "-Y",
        "sip",
        "-T",
        "fields",
        "-e",
        "ip.src",
        "-e",
        "ip.dst",
        "-e",
        "sip.Request-Line",
        "-e",
        "sip.Status-Line",
      ],
      { encoding: "utf8", maxBuffer: 16_000_000 },
    );
    return run.stdout.split("\n").filter(Boolean);
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Columns: start, end, source address, port, destination address, port, SSRC, payload, packets, lost (%), deltas, jitters. */
function parseStream(line: string): RtpStream | undefined {
  const match =
    /([\d.]+)\s+(\d+)\s+([\d.]+)\s+(\d+)\s+0x[0-9A-Fa-f]+\s+(.+?)\s+(\d+)\s+(-?\d+)\s+\((-?[\d.]+)%\)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)/.exec(
      line,
    );
  if (!match) return undefined;
  return {
    source: match[1] ?? "",
    sourcePort: Number(match[2]),
    destinationPort: Number(match[4]),
    payload: match[5] ?? "",
    packets: Number(match[6]),
    lost: Number(match[7]),
    meanDelta: Number(match[10]),
    maxDelta: Number(match[11]),
    meanJitter: Number(match[13]),
  };
}
