/**
 * The very files of docs/scale-out/conf in a folder of a test: only addresses, ports, folders and limits are other ones,
 * in the way that these files themselves name (site.cfg, lists of addresses, the command line of Redis and rtpengine).
 */
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectRoot } from "../node-red.js";
import { makeCertificates } from "../peers/kamailio.js";

export const CONFIGURATIONS = join(projectRoot, "docs/scale-out/conf");
/** As in the files. */
export const DOMAIN = "sip.example.com";
export const PHONE = { user: "alice", password: "change-me-1" };
const SHARED_STATE_PASSWORD = "change-me-3";

/** Who is where. `base` is the first three bytes of loopback addresses that nobody else uses. */
export class Places {
  readonly kamailio: string;
  readonly redis: string;
  readonly rtpengine: string;
  readonly sharedState: string;
  /** Control address of rtpengine. */
  readonly ng: string;
  /** Trunks: no password, no limit. */
  readonly callers: string;
  readonly watcher: string;
  readonly phone: string;
  readonly stranger: string;

  constructor(readonly base: string) {
    this.kamailio = this.at(1);
    this.redis = this.at(2);
    this.rtpengine = this.at(3);
    this.sharedState = `redis://sipflow:${SHARED_STATE_PASSWORD}@${this.redis}:6379`;
    this.ng = `udp://${this.rtpengine}:2223`;
    this.callers = this.at(50);
    this.watcher = this.at(51);
    this.phone = this.at(60);
    this.stranger = this.at(70);
  }

  /** From 1. */
  instance(number: number): string {
    return this.at(10 + number);
  }

  at(last: number): string {
    return `${this.base}.${last}`;
  }
}

/** Sets values of a `#!substdef` file; every name must be in it. */
export function withSite(text: string, values: Record<string, string>): string {
  for (const [name, value] of Object.entries(values)) {
    const line = new RegExp(`^#!substdef "!${name}!.*!g"$`, "m");
    if (!line.test(text)) throw new Error(`site.cfg has no ${name}`);
    text = text.replace(line, () => `#!substdef "!${name}!${value}!g"`);
  }
  return text;
}

/** @returns the folder: the caller removes it. */
export function layOut(places: Places, instances: number): string {
  const folder = mkdtempSync(join(tmpdir(), "fleet-"));
  cpSync(CONFIGURATIONS, folder, { recursive: true });
  const change = (file: string, how: (text: string) => string): void =>
    writeFileSync(join(folder, file), how(readFileSync(join(folder, file), "utf8")));
  change("site.cfg", (text) =>
    withSite(text, {
      SITE_ADDRESS: places.kamailio,
      SITE_WSS_PORT: "5443",
      SITE_PROMETHEUS: `${places.kamailio}:9494`,
      SITE_FOLDER: folder,
      SITE_RUN: folder,
      SITE_WORKERS: "2",
      SITE_BAN: "5",
    }),
  );
  change("dispatcher.list", (text) =>
    text
      .replace(/^1 sip:10\.0\.0\.1(\d)/gm, (_line, last: string) => {
        const isThere = Number(last) <= instances;
        return `${isThere ? "" : "# "}1 sip:${places.instance(Number(last))}`;
      })
      .trim()
      .concat("\n"),
  );
  change("trunks.list", (text) => {
    const lines = [places.callers, places.watcher].map((address) => `1 ${address} 32 0`);
    return text.replace(/^1 198\.51\.100\.20 32 0$/m, lines.join("\n"));
  });
  makeCertificates(folder, places.kamailio);
  return folder;
}
