/** Callers: SIPp for many calls, the library for those that are watched one by one. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EmbeddedMediaHandler, UserAgent, type Session } from "../../../lib/index.js";
import { pause, projectRoot } from "../node-red.js";
import { PeerProcess } from "../peers/process.js";
import { DOMAIN, PHONE } from "./files.js";
import type { Fleet } from "./fleet.js";

/** Calls that the flow ends; registrations of alice. */
export type Story = "ivr" | "register";

export interface Placed {
  readonly ok: number;
  readonly failed: number;
  readonly retransmissions: number;
  readonly seconds: number;
  /** What SIPp wrote down of calls that failed. */
  readonly problem: string;
}

export interface Run {
  readonly story: Story;
  readonly calls: number;
  readonly rate: number;
}

let runs = 0;

export class Calls {
  readonly #program: PeerProcess;
  readonly #statistics: string;
  readonly #errors: string;
  readonly #started = performance.now();

  constructor(fleet: Fleet, { story, calls, rate }: Run) {
    const name = `${story}-${++runs}`;
    this.#statistics = join(fleet.folder, `${name}.csv`);
    this.#errors = join(fleet.folder, `${name}.errors`);
    const { callers, kamailio } = fleet.places;
    const longest = Math.ceil(calls / rate + 40);
    // prettier-ignore
    this.#program = PeerProcess.start("sipp", [
      `${kamailio}:5060`, "-sf", join(projectRoot, `bench/fleet/scenarios/${story}.xml`), "-s", story,
      "-i", callers, "-p", String(7000 + (runs % 500)), "-key", "domain", DOMAIN,
      "-r", String(rate), "-m", String(calls), "-l", String(Math.ceil(rate * 10)), "-trace_stat", "-fd", "1", "-stf", this.#statistics, "-trace_err", "-error_file", this.#errors,
      "-au", PHONE.user, "-ap", PHONE.password, "-nostdin", "-timer_resol", "5", "-buff_size", "4000000", "-deadcall_wait", "500", "-timeout", `${longest}s`, "-recv_timeout", "20000", "-skip_rlimit",
    ], { env: { TERM: "xterm" } });
  }

  get pid(): number {
    return this.#program.process.pid ?? 0;
  }

  async result(): Promise<Placed> {
    await this.#program.exited();
    const seconds = (performance.now() - this.#started) / 1000;
    const lines = existsSync(this.#statistics)
      ? readFileSync(this.#statistics, "utf8").trim().split("\n")
      : [""];
    const heads = (lines[0] ?? "").split(";");
    const last = (lines.at(-1) ?? "").split(";");
    const number = (name: string): number =>
      Number.parseFloat(last[heads.indexOf(name)] ?? "") || 0;
    const problem = existsSync(this.#errors)
      ? readFileSync(this.#errors, "latin1").slice(0, 1500)
      : this.#program.log.slice(-500);
    return {
      ok: number("SuccessfulCall(C)"),
      failed: number("FailedCall(C)"),
      retransmissions: number("Retransmissions(C)"),
      seconds,
      problem,
    };
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}

/** A caller that is watched: it comes from a trunk and knows which instance has its call. */
export class Watcher {
  readonly #agent: UserAgent;

  private constructor(agent: UserAgent) {
    this.#agent = agent;
  }

  static async start(fleet: Fleet): Promise<Watcher> {
    const { watcher, kamailio } = fleet.places;
    const agent = agentAt(watcher);
    await agent.start();
    agent.addAccount({
      id: "trunk",
      uri: `sip:watcher@${watcher}`,
      register: false,
      outboundProxy: `sip:${kamailio}:5060;lr`,
    });
    return new Watcher(agent);
  }

  call(user: string): WatchedCall {
    const to = `sip:${user}@${DOMAIN}`;
    return new WatchedCall(this.#agent.invite({ targets: [to], account: "trunk" }));
  }

  stop(): Promise<void> {
    return this.#agent.stop();
  }
}

/** A telephone that is registered at Kamailio as alice and answers. */
export class Telephone {
  readonly calls: WatchedCall[] = [];

  private constructor(readonly agent: UserAgent) {
    agent.onIncomingCall = (session) => {
      this.calls.push(new WatchedCall(session));
      void session.accept();
      return true;
    };
  }

  static async start(fleet: Fleet): Promise<Telephone> {
    const { phone, kamailio } = fleet.places;
    const agent = agentAt(phone);
    const telephone = new Telephone(agent);
    await agent.start();
    const registered = new Promise<void>((done, failed) =>
      agent.on("stackEvent", ({ name, statusCode }) => {
        if (name === "registered") done();
        if (name === "registration-failed") failed(new Error(`registration: ${statusCode}`));
      }),
    );
    agent.addAccount({
      id: "phone",
      uri: `sip:${PHONE.user}@${DOMAIN}`,
      password: PHONE.password,
      registrar: `sip:${DOMAIN}`,
      outboundProxy: `sip:${kamailio}:5060;lr`,
      expires: 300,
    });
    await registered;
    return telephone;
  }

  stop(): Promise<void> {
    return this.agent.stop();
  }
}

function agentAt(address: string): UserAgent {
  return new UserAgent({
    transports: [{ protocol: "udp", address, port: 5060 }],
    mediaHandler: new EmbeddedMediaHandler({ address, codecs: ["PCMU"] }),
    dnsServers: [`${address}:9`],
  });
}

export class WatchedCall {
  /** Milliseconds of the epoch. */
  answeredAt: number | undefined;
  endedAt: number | undefined;
  cause: string | undefined;
  /** When frames of 100 ms came that were not silent, after `talk`. */
  readonly heardAt: number[] = [];
  readonly startedAt = Date.now();

  constructor(readonly session: Session) {
    session.on("event", ({ name, snapshot }) => {
      if (name === "answered") this.answeredAt ??= Date.now();
      if (name !== "ended" && name !== "failed") return;
      this.endedAt = Date.now();
      this.cause = snapshot.cause;
    });
  }

  get isUp(): boolean {
    return this.session.state === "established";
  }

  /** Address of the instance that answered. */
  get instance(): string {
    const { contact, uri } = this.session.snapshot().remote;
    return /@([\d.]+)/.exec(contact ?? uri)?.[1] ?? "";
  }

  /** Waits until it is answered or over. @returns is it up? */
  async settled(timeoutMs = 10_000): Promise<boolean> {
    const end = Date.now() + timeoutMs;
    while (this.answeredAt === undefined && this.endedAt === undefined && Date.now() < end)
      await pause(10);
    return this.isUp;
  }

  async over(timeoutMs: number): Promise<boolean> {
    const end = Date.now() + timeoutMs;
    while (this.endedAt === undefined && Date.now() < end) await pause(10);
    return this.endedAt !== undefined;
  }

  /** Says a tone for a minute, and listens. */
  async talk(): Promise<void> {
    const { audio } = this.session;
    if (audio === undefined) throw new Error("The call has no sound");
    const stream = await audio.stream(
      { format: "pcm16", sampleRate: 8000, frame: 100 },
      {
        onFrame: ({ data }) => {
          if (Math.max(...new Int16Array(data.buffer, data.byteOffset, data.length / 2)) > 3000)
            this.heardAt.push(Date.now());
        },
      },
    );
    const tone = Int16Array.from({ length: 8000 * 60 }, (_, at) => 12000 * Math.sin(at * 0.5));
    stream.send(Buffer.from(tone.buffer));
  }

  /** Hangs up. @returns did the other side take it? */
  async hangUp(): Promise<boolean> {
    await this.session.end();
    return this.cause === "local-bye";
  }
}
