/** A linphonec telephone (Debian linphone-cli) without sound card on a loopback address, driven by lines on its stdin. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pause } from "../node-red.js";
import { PeerProcess } from "./process.js";
import { toneWav } from "./wav.js";

export interface LinphoneOptions {
  readonly name: string;
  /** Its loopback address and port of SIP over UDP. */
  readonly address: string;
  readonly port: number;
  readonly registrar: {
    readonly address: string;
    readonly domain: string;
    readonly password: string;
  };
  readonly rtpPort: number;
  /** Calls without a description: the offer is the peer's, in its 200. Default false. */
  readonly delayedOffer?: boolean;
  /** Of its registration and so of everything else. Default udp. */
  readonly transport?: "udp" | "tcp" | "tls";
  /** Session interval that its calls ask for (RFC 4028), seconds, and who is to refresh it. Default: no session timers. */
  readonly sessionTimer?: { readonly seconds: number; readonly refresher: "uac" | "uas" };
  /** Answers with early media (183) before it is answered by hand. Default false. */
  readonly earlyMedia?: boolean;
  /** Frequency of the tone that it speaks, Hz. Default: silence. */
  readonly tone?: number;
  /** Registered for so many seconds at a time. Default 60. */
  readonly expires?: number;
  /** Calls at a time; the next one gets 486. Default 10. */
  readonly maxCalls?: number;
  /** SRTP with keys in the description, and whether calls without it are refused. Default: none. */
  readonly encryption?: "optional" | "required" | undefined;
  /** The only codec that it has. Default: those it has by default, opus first. */
  readonly codec?: keyof typeof CODECS | undefined;
  /** How its digits go, `both` at the same time. Default info. */
  readonly digits?: "rfc4733" | "info" | "both" | undefined;
}

/** Name, clock rate and channels of its codecs that stand in our way or are wanted, and the rate of their sound. */
const CODECS = {
  opus: ["opus", 48_000, 2, 48_000],
  PCMU: ["PCMU", 8_000, 1, 8_000],
  PCMA: ["PCMA", 8_000, 1, 8_000],
  G722: ["G722", 8_000, 1, 16_000],
} as const;
const OTHER_CODECS = [
  ["speex", 16_000, 1],
  ["speex", 8_000, 1],
  ["GSM", 8_000, 1],
  ["G729", 8_000, 1],
  ["speex", 32_000, 1],
] as const;

export class Linphone {
  readonly folder: string;
  #process: PeerProcess | undefined;

  constructor(readonly options: LinphoneOptions) {
    this.folder = mkdtempSync(join(tmpdir(), `linphone-${options.name}-`));
    for (const folder of [".local/share/linphone", ".config/linphone"])
      mkdirSync(join(this.folder, folder), { recursive: true });
    writeFileSync(join(this.folder, "rc"), settings(options));
  }

  get log(): string {
    return this.#process?.log ?? "";
  }

  /** Its own trace with its states and every SIP message. */
  get trace(): string {
    const file = join(this.folder, "trace");
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  /** Resolves when it is registered. It uses files in place of a sound card. */
  async start(): Promise<void> {
    const rc = join(this.folder, "rc");
    this.#process = PeerProcess.start(
      // Lines come as they are printed, not when a buffer is full.
      "stdbuf",
      ["-oL", "linphonec", "-c", rc, "-d", "5", "-l", join(this.folder, "trace")],
      { cwd: this.folder, env: { HOME: this.folder } },
    );
    await this.until(/\[LinphoneRegistrationProgress\] to \[LinphoneRegistrationOk\]/, 0, 40_000);
    await this.command("soundcard use files");
    const { tone, codec } = this.options;
    if (tone === undefined) return;
    const file = join(this.folder, "tone.wav");
    writeFileSync(file, toneWav(tone, 30, codec === undefined ? 8000 : CODECS[codec][3]));
    await this.command(`play ${file}`);
  }

  /** From the next call on, what it hears goes into that file. */
  async record(name: string): Promise<void> {
    await this.command(`record ${join(this.folder, name)}`);
  }

  /** The file of `record`. */
  recording(name: string): Buffer {
    return readFileSync(join(this.folder, name));
  }

  /** Takes itself out of the registrar's list. */
  async unregister(): Promise<void> {
    const from = this.trace.length;
    await this.command("unregister");
    await this.until(/to \[LinphoneRegistrationCleared\]/, from);
  }

  /** Without a word to anybody, as when its power fails. */
  async kill(): Promise<void> {
    await this.#process?.stop("SIGKILL");
  }

  /** A line as a person types it: call, answer, pause, resume, transfer, calls … @returns what it printed so far. */
  async command(line: string): Promise<string> {
    const before = this.log.length;
    this.#process?.process.stdin?.write(`${line}\n`);
    await pause(400);
    return this.log.slice(before);
  }

  /** Presses keys as a person does, one after the other. */
  async press(digits: string): Promise<void> {
    for (const digit of digits) await this.command(digit);
  }

  /** It calls, and is answered. */
  async talksTo(uri: string): Promise<void> {
    const from = this.trace.length;
    await this.command(`call ${uri}`);
    await this.until(/to LinphoneCallStreamsRunning/, from);
  }

  /** Its ids of the calls, in the order of its list. */
  async calls(): Promise<string[]> {
    const list = await this.command("calls");
    return [...list.matchAll(/^\s*(\d+)\s*\|/gm)].map((row) => row[1] ?? "");
  }

  /** Waits for text in its trace behind `from`, a length of `trace`: on its screen, many things that happen are not told. */
  async until(pattern: RegExp, from = 0, timeoutMs = 10_000): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (!pattern.test(this.trace.slice(from))) {
      if (Date.now() > end)
        throw new Error(`linphonec: ${String(pattern)} not seen: ${this.trace.slice(-1500)}`);
      await pause(50);
    }
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function settings(options: LinphoneOptions): string {
  const { name, address, port, registrar, rtpPort, delayedOffer = false } = options;
  const {
    transport = "udp",
    sessionTimer: timer,
    earlyMedia = false,
    maxCalls = 10,
    expires = 60,
  } = options;
  const { encryption, codec, digits = "info" } = options;
  const proxy = `${registrar.address}:${transport === "tls" ? 5061 : 5060};transport=${transport}`;
  const portOf = (protocol: string) => (protocol === transport ? port : 0);
  const timerLines =
    timer === undefined
      ? ""
      : `session_expires_enabled=1
session_expires_value=${timer.seconds}
session_expires_min_value=${Math.min(timer.seconds, 90)}
session_expires_refresher_value=${timer.refresher === "uas" ? 1 : 2}
`;
  return `[sip]
sdp_200_ack=${delayedOffer ? 1 : 0}
use_ipv6=0
bind_address=${address}
sip_port=${portOf("udp")}
sip_tcp_port=${portOf("tcp")}
sip_tls_port=${portOf("tls")}
guess_hostname=0
contact=sip:${name}@${address}:${port}
default_proxy=0
use_info=${digits === "rfc4733" ? 0 : 1}
use_rfc2833=${digits === "info" ? 0 : 1}
ipv6_migration_done=1
verify_server_certs=0
verify_server_cn=0
media_encryption=${encryption ? "srtp" : "none"}
media_encryption_mandatory=${encryption === "required" ? 1 : 0}
incoming_calls_early_media=${earlyMedia ? 1 : 0}
${timerLines}[net]
nat_policy_ref=
mtu=1300
[rtp]
audio_rtp_port=${rtpPort}
[sound]
playback_dev_id=
use_files=1
${codec === undefined ? "" : codecLines(codec)}[video]
capture=0
display=0
enabled=0
[auth_info_0]
username=${name}
passwd=${registrar.password}
realm=${registrar.domain}
[proxy_0]
reg_proxy=<sip:${proxy}>
reg_route=<sip:${proxy};lr>
reg_identity=sip:${name}@${registrar.domain}
reg_expires=${expires}
reg_sendregister=1
[misc]
max_calls=${maxCalls}
enable_basic_to_client_group_chat_room_migration=0
`;
}

function codecLines(wanted: keyof typeof CODECS): string {
  const codecs = [...Object.values(CODECS), ...OTHER_CODECS];
  return codecs
    .map(
      ([name, rate, channels], index) => `[audio_codec_${index}]
mime=${name}
rate=${rate}
channels=${channels}
enabled=${name === wanted ? 1 : 0}
`,
    )
    .join("");
}
