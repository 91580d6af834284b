/**
 * A baresip phone without sound card on a loopback address: plays a tone file, records what it hears, is driven over
 * its TCP control interfaces.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pause } from "../node-red.js";
import { toneWav } from "./wav.js";
import { PeerProcess } from "./process.js";

export interface BaresipOptions {
  readonly name: string;
  /** Its loopback address, for example 127.0.61.11. */
  readonly address: string;
  /** Without it the phone does not register. */
  readonly registrar?: {
    readonly address: string;
    readonly domain: string;
    readonly password: string;
  };
  readonly answer: "auto" | "manual";
  /** Frequency of the tone that it speaks, Hz. */
  readonly tone: number;
  /** First port of a range of 100 for RTP. */
  readonly rtpPort: number;
  /** The only codec that it has, PCMU by default. */
  readonly codec?: "PCMU" | "PCMA" | "G722" | "opus" | undefined;
  /** Milliseconds of sound in its packets, 20 by default; counts in its own offers. */
  readonly ptime?: 10 | 20 | 30 | 40 | 60 | undefined;
  /** Subscribes to the summary of its messages when it has registered. */
  readonly voicemail?: boolean | undefined;
  /** SRTP with keys in the description: offered beside RTP/AVP, or RTP/SAVP only. Default: none. */
  readonly encryption?: "srtp" | "srtp-mand" | undefined;
}

/** As its account settings name them. */
const CODECS = {
  PCMU: "PCMU/8000/1",
  PCMA: "PCMA/8000/1",
  G722: "G722/16000/1",
  opus: "opus/48000/2",
} as const;

const SAMPLE_RATES = { PCMU: 8_000, PCMA: 8_000, G722: 16_000, opus: 48_000 } as const;

export class Baresip {
  readonly folder: string;
  #process: PeerProcess | undefined;

  constructor(readonly options: BaresipOptions) {
    this.folder = mkdtempSync(join(tmpdir(), `baresip-${options.name}-`));
    mkdirSync(join(this.folder, "config"));
    mkdirSync(join(this.folder, "recordings"));
    const { registrar, name, encryption, codec = "PCMU", ptime = 20 } = options;
    // Its resampler changes the loudness, so the file has the rate of the codec already.
    const sampleRate = SAMPLE_RATES[codec];
    writeFileSync(join(this.folder, "tone.wav"), toneWav(options.tone, 30, sampleRate));
    const account = registrar
      ? `<sip:${name}@${registrar.domain}>;auth_user=${name};auth_pass=${registrar.password};outbound="sip:${registrar.address}:5060;transport=udp";regint=60`
      : `<sip:${name}@${options.address}>;regint=0`;
    const write = (file: string, text: string) =>
      writeFileSync(join(this.folder, "config", file), text);
    write(
      "accounts",
      `${account};answermode=${options.answer};audio_codecs=${CODECS[codec]}${encryption ? `;mediaenc=${encryption}` : ""};ptime=${ptime};mwi=${options.voicemail === true ? "yes" : "no"}\n`,
    );
    write("contacts", "");
    write("uuid", "76018f43-e9c5-0e3a-7327-3fc499a28f82");
    write(
      "config",
      `poll_method epoll
sip_listen ${options.address}:5060
net_interface ${options.address}
call_local_timeout 60
call_max_calls 4
audio_player aubridge,sink_${name}
audio_source aufile,${this.folder}/tone.wav
audio_alert aubridge,alert_${name}
ausrc_srate ${sampleRate}
auplay_srate ${sampleRate}
ausrc_channels 1
auplay_channels 1
rtp_ports ${options.rtpPort}-${options.rtpPort + 99}
rtp_stats yes
jitter_buffer_delay 5-10
cons_listen ${options.address}:5555
ctrl_tcp_listen ${options.address}:4444
snd_path ${this.folder}/recordings
module_path ${modulePath()}
module g711.so
module g722.so
module opus.so
module aufile.so
module ausine.so
module aubridge.so
module sndfile.so
module uuid.so
module srtp.so
module_tmp account.so
module_app contact.so
module_app menu.so
module_app debug_cmd.so
module_app ctrl_tcp.so
${options.voicemail === true ? "module_app mwi.so" : ""}
module cons.so
`,
    );
  }

  get log(): string {
    return this.#process?.log ?? "";
  }

  /** How many SUBSCRIBEs its log shows, repeats included. */
  get subscriptions(): number {
    return this.log.match(/^CSeq: \d+ SUBSCRIBE/gm)?.length ?? 0;
  }

  async start(): Promise<void> {
    this.#process = PeerProcess.start("baresip", ["-4", "-s", "-f", join(this.folder, "config")], {
      cwd: join(this.folder, "recordings"),
      env: { HOME: this.folder },
    });
    await this.#process.until(this.options.registrar ? /200 OK.*\[/ : /baresip is ready/i, 15_000);
    await pause(300);
  }

  /** A long command: dial, hangup, accept, hold, resume, transfer, listcalls … @returns its text. */
  command(command: string, params = ""): Promise<string> {
    const request = JSON.stringify({ command, params, token: "t" });
    return new Promise((resolve, reject) => {
      const socket = connect(4444, this.options.address, () =>
        socket.write(`${Buffer.byteLength(request)}:${request},`),
      );
      let answer = "";
      const timer = setTimeout(() => {
        socket.destroy();
        reject(new Error(`baresip ${command}: no answer: ${answer}`));
      }, 5000);
      socket.on("data", (chunk) => {
        answer += chunk.toString("utf8");
        if (!answer.includes('"response":true')) return;
        clearTimeout(timer);
        socket.end();
        resolve(answer);
      });
      socket.on("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
    });
  }

  /** Presses digits as a person does: key down, key up, a pause. */
  async press(digits: string): Promise<void> {
    const socket = connect(5555, this.options.address);
    await new Promise<void>((done, fail) => socket.once("connect", done).once("error", fail));
    for (const digit of digits) {
      socket.write(digit);
      await pause(120);
      socket.write("\u0004");
      await pause(120);
    }
    socket.end();
  }

  /** Files of what it heard (decoded) so far. */
  recordings(): string[] {
    const folder = join(this.folder, "recordings");
    return readdirSync(folder)
      .filter((file) => file.endsWith("-dec.wav"))
      .map((file) => join(folder, file));
  }

  async until(pattern: RegExp, timeoutMs = 10_000): Promise<void> {
    await this.#process?.until(pattern, timeoutMs);
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function modulePath(): string {
  return "/usr/lib/baresip/modules";
}
