/** Kamailio with a configuration that the test writes itself, on one loopback address. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pause } from "../node-red.js";
import { PeerProcess } from "./process.js";

export interface KamailioProxyOptions {
  readonly address: string;
  /** Besides those that every proxy needs. */
  readonly modules?: readonly string[];
  /** `listen`, `modparam` and routes. */
  readonly script: string;
  /** Name → text, in its folder; `$FOLDER` in the script is that. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Record<string, string>;
}

const MODULES = [
  "kex",
  "corex",
  "tm",
  "tmx",
  "sl",
  "rr",
  "pv",
  "maxfwd",
  "textops",
  "siputils",
  "xlog",
];

/** What every proxy does with requests of a dialog and with CANCEL. */
export const IN_DIALOG = `
	if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
	if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
	if (!is_method("ACK") && t_precheck_trans()) { t_check_trans(); exit; }
	if (has_totag()) {
		if (loose_route()) { if (!t_relay()) sl_reply_error(); exit; }
		if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
		sl_send_reply("404", "Not here"); exit;
	}
`;

export class KamailioProxy {
  readonly folder = mkdtempSync(join(tmpdir(), "kamailio-proxy-"));
  #process: PeerProcess | undefined;

  constructor(readonly options: KamailioProxyOptions) {
    for (const [name, text] of Object.entries(options.files ?? {})) {
      writeFileSync(join(this.folder, name), text);
    }
    const modules = [...MODULES, ...(options.modules ?? [])].map(
      (name) => `loadmodule "${name}.so"`,
    );
    writeFileSync(
      join(this.folder, "kamailio.cfg"),
      `#!KAMAILIO
debug=1
log_stderror=yes
children=2
tcp_children=1
auto_aliases=no
tcp_accept_no_cl=yes
listen=udp:${options.address}:5060
listen=tcp:${options.address}:5060
${modules.join("\n")}
${options.script.replaceAll("$FOLDER", this.folder)}
`,
    );
  }

  get log(): string {
    return this.#process?.log ?? "";
  }

  async start(): Promise<this> {
    const { folder } = this;
    this.#process = PeerProcess.start(
      "kamailio",
      // prettier-ignore
      ["-f", join(folder, "kamailio.cfg"), "-DD", "-E", "-m", "32", "-M", "4", "-P", join(folder, "pid"), "-Y", folder, "-w", folder],
      { cwd: folder, ...(this.options.env === undefined ? {} : { env: this.options.env }) },
    );
    for (let i = 0; i < 100; i++) {
      if (this.#process.exitCode !== undefined || /CRITICAL|parse error/.test(this.log)) break;
      if (this.#isListening()) return this;
      await pause(50);
    }
    throw new Error(`kamailio does not listen: ${this.log.slice(-3000)}`);
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
    this.#process = undefined;
  }

  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #isListening(): boolean {
    const hex = this.options.address
      .split(".")
      .reverse()
      .map((part) => Number(part).toString(16).padStart(2, "0"))
      .join("")
      .toUpperCase();
    return readFileSync("/proc/net/tcp", "utf8").includes(`${hex}:13C4 00000000:0000 0A`);
  }
}
