/**
 * Encrypted calls with foreign telephones: baresip that offers keys beside RTP/AVP and baresip and linphone that insist,
 * in both directions, against each of our settings. What the phone heard is measured in its recording; that we read what
 * it sent is seen by its digits and by the count of packets.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { EmbeddedMediaHandler } from "../../lib/media/index.js";
import type { SrtpMode } from "../../lib/media/index.js";
import type {
  MediaHandler,
  MediaStatistics,
  Session,
  SessionEvent,
} from "../../lib/session/index.js";
import { UserAgent } from "../../lib/user-agent/index.js";
import { onceMoreWhenDisturbed } from "../support/disturbance.js";
import { pause } from "../support/node-red.js";
import { Baresip } from "../support/peers/baresip.js";
import { readChannel } from "../support/peers/heard.js";
import { Kamailio } from "../support/peers/kamailio.js";
import { Linphone } from "../support/peers/linphone.js";
import { needs } from "../support/peers/process.js";
import { dominantFrequency, readWav, toneShare } from "../support/peers/wav.js";
import { freePort } from "../support/ports.js";

/** Our side: takes every call, and keeps what the media of each call told at its end. */
class Ours {
  readonly statistics: (MediaStatistics | undefined)[] = [];
  readonly events: [Session, SessionEvent][] = [];
  readonly incoming: Session[] = [];
  readonly userAgent: UserAgent;

  constructor(
    readonly port: number,
    srtp: SrtpMode,
    portMin: number,
  ) {
    const handler = new EmbeddedMediaHandler({ portMin, portMax: portMin + 49, srtp });
    const watched: MediaHandler = {
      contentType: handler.contentType,
      start: () => handler.start(),
      close: () => handler.close(),
      createSession: (context) => {
        const session = handler.createSession(context);
        const close = session.close.bind(session);
        session.close = async () => {
          const statistics = await close();
          this.statistics.push(statistics);
          return statistics;
        };
        return session;
      },
    };
    this.userAgent = new UserAgent({
      transports: [{ protocol: "udp", address: "127.0.0.1", port }],
      mediaHandler: watched,
    });
    this.userAgent.on("sessionEvent", (session, event) => this.events.push([session, event]));
    this.userAgent.onIncomingCall = (session) => {
      this.incoming.push(session);
      void session.accept();
      return true;
    };
  }

  async eventually<T>(what: string, find: () => T | undefined | false): Promise<T> {
    const end = Date.now() + 15_000;
    for (;;) {
      const found = find();
      if (found !== undefined && found !== false) return found;
      const seen = this.events.map(([, e]) => `${e.name} ${e.statusCode ?? ""}`).join("; ");
      if (Date.now() > end) assert.fail(`${what} not seen: ${seen}`);
      await pause(50);
    }
  }

  event(name: SessionEvent["name"]): Promise<[Session, SessionEvent]> {
    return this.eventually(name, () => this.events.find(([, e]) => e.name === name));
  }

  digits(): string {
    return this.events
      .filter(([, { name }]) => name === "dtmf")
      .map(([, { digit }]) => digit?.digit ?? "")
      .join("");
  }

  forget(): void {
    this.events.length = 0;
    this.incoming.length = 0;
    this.statistics.length = 0;
  }
}

describe("encrypted calls with telephones", function () {
  this.timeout(90_000);
  beforeEach(onceMoreWhenDisturbed);
  const proxy = "127.0.67.1";
  const ours: Partial<Record<SrtpMode, Ours>> = {};
  const phones: { dispose(): Promise<void> }[] = [];
  let polite: Baresip;
  let strict: Baresip;
  let plain: Baresip;
  let kamailio: Kamailio;
  let linphone: Linphone;
  let lenient: Linphone;

  before(async function () {
    needs(this, "kamailio", "baresip", "linphonec", "openssl");
    let portMin = 31_700;
    for (const mode of ["off", "optional", "required"] as const) {
      const side = new Ours(await freePort(), mode, portMin);
      portMin += 50;
      ours[mode] = side;
      await side.userAgent.start();
    }
    const phone = async (
      name: string,
      address: string,
      rtpPort: number,
      encryption?: "srtp" | "srtp-mand",
      codec?: "opus" | "G722",
    ) => {
      const made = new Baresip({
        name,
        address,
        answer: "auto",
        tone: 440,
        rtpPort,
        encryption,
        codec,
      });
      phones.push(made);
      await made.start();
      return made;
    };
    kamailio = new Kamailio({ address: proxy });
    await kamailio.start();
    const telephone = async (
      name: string,
      address: string,
      rtpPort: number,
      encryption: "optional" | "required",
    ) => {
      const made = new Linphone({
        name,
        address,
        port: await freePort(address),
        registrar: { address: proxy, domain: "sip.test", password: `${name}pw` },
        rtpPort,
        encryption,
        tone: 900,
      });
      phones.push(made);
      await made.start();
      await made.command("autoanswer enable");
      return made;
    };
    [polite, strict, plain, linphone, lenient] = await Promise.all([
      phone("polite", "127.0.67.11", 31_900, "srtp", "opus"),
      phone("strict", "127.0.67.12", 32_000, "srtp-mand", "G722"),
      phone("plain", "127.0.67.13", 32_100),
      telephone("alice", "127.0.67.21", 32_200, "required"),
      telephone("carol", "127.0.67.22", 32_300, "optional"),
    ]);
    // A linphone puts its registrar's domain into its Contact: calls with it go through Kamailio.
    for (const [mode, name] of [
      ["required", "nodered"],
      ["optional", "bob"],
    ] as const) {
      const account = side(mode).userAgent.addAccount({
        id: name,
        uri: `sip:${name}@sip.test`,
        password: `${name}pw`,
        register: true,
        registrar: `sip:${proxy}:5060`,
        outboundProxy: `sip:${proxy}:5060`,
      });
      assert.equal((await account.register()).ok, true);
    }
  });

  afterEach(() => {
    for (const side of Object.values(ours)) side.forget();
  });

  after(async () => {
    for (const side of Object.values(ours)) await side.userAgent.stop();
    for (const phone of phones) await phone.dispose();
    await kamailio?.dispose();
  });

  function side(mode: SrtpMode): Ours {
    const found = ours[mode];
    assert.ok(found);
    return found;
  }

  /** The phone's recording so far holds our tone of 425 Hz. */
  function heardOurTone(wav: Buffer): void {
    const { rate, samples } = readChannel(wav);
    const frequency = dominantFrequency(samples, rate);
    assert.ok(Math.abs(frequency - 425) < 5, `${frequency} Hz`);
  }

  /** linphone's recording holds both sides: there our tone has its share beside the other. */
  function holdsOurTone(wav: Buffer): void {
    const { rate, samples } = readWav(wav);
    const shares: number[] = [];
    for (let at = 0; at + rate / 4 <= samples.length; at += rate / 4) {
      shares.push(toneShare(samples.subarray(at, at + rate / 4), rate, 425));
    }
    assert.ok(Math.max(...shares) > 0.1, shares.map((share) => share.toFixed(2)).join(" "));
  }

  /** Plays for a while, takes digits where the phone can press them, hangs up; checks both directions. */
  async function talk(our: Ours, session: Session, encrypted: boolean, phone?: Baresip) {
    const [media] = session.snapshot().media ?? [];
    assert.equal(media?.srtp !== undefined, encrypted, JSON.stringify(media));
    await session.audio?.play({ kind: "tone", name: "dial" });
    if (phone) {
      await phone.press("28");
      await our.eventually("digits", () => our.digits() === "28");
    }
    await pause(1100);
    await session.end();
    await our.event("ended");
    const statistics = await our.eventually("statistics", () => our.statistics.at(-1));
    assert.ok(statistics.packetsReceived > 40, JSON.stringify(statistics));
    // baresip sends its last report, BYE, in clear.
    assert.ok((statistics.packetsRejected ?? 0) <= 1, JSON.stringify(statistics));
    return media?.srtp;
  }

  async function isCalledBy(phone: Baresip, mode: SrtpMode, encrypted: boolean) {
    const our = side(mode);
    await phone.command("dial", `sip:nodered@127.0.0.1:${our.port}`);
    const [session] = await our.event("confirmed");
    await talk(our, session, encrypted, phone);
    await pause(300);
    const file = phone.recordings().at(-1);
    assert.ok(file);
    heardOurTone(readFileSync(file));
  }

  async function calls(phone: Baresip, mode: SrtpMode, encrypted: boolean) {
    const our = side(mode);
    const session = our.userAgent.invite({
      targets: [`sip:${phone.options.name}@${phone.options.address}`],
    });
    await our.event("confirmed");
    await talk(our, session, encrypted, phone);
    await pause(300);
    const file = phone.recordings().at(-1);
    assert.ok(file);
    heardOurTone(readFileSync(file));
  }

  async function isRefused(phone: Baresip, mode: SrtpMode) {
    const our = side(mode);
    await phone.command("dial", `sip:nodered@127.0.0.1:${our.port}`);
    const [, event] = await our.event("failed");
    assert.equal(event.snapshot.cause, "incompatible-media");
    await phone.until(/488/);
  }

  it("optional: a baresip that offers keys beside RTP/AVP calls", () =>
    isCalledBy(polite, "optional", true));
  it("optional: calls that baresip", () => calls(polite, "optional", true));
  it("optional: a baresip that insists calls", () => isCalledBy(strict, "optional", true));
  it("optional: a baresip without keys calls in clear", () => isCalledBy(plain, "optional", false));
  it("optional: calls a baresip without SRTP in clear", () => calls(plain, "optional", false));
  it("required: a baresip that offers keys beside RTP/AVP calls", () =>
    isCalledBy(polite, "required", true));
  it("required: calls that baresip", () => calls(polite, "required", true));
  it("required: a baresip that insists calls", () => isCalledBy(strict, "required", true));
  it("required: calls a baresip that insists", () => calls(strict, "required", true));
  it("required: a baresip without SRTP is refused with 488", () => isRefused(plain, "required"));
  it("off: a baresip that insists is refused with 488", () => isRefused(strict, "off"));
  it("off: a baresip that offers keys beside RTP/AVP talks in clear", () =>
    isCalledBy(polite, "off", false));

  it("required: a linphone that insists is called, hears us, and we hold and resume", async () => {
    const our = side("required");
    await linphone.record("called.wav");
    const session = our.userAgent.invite({ targets: ["sip:alice@sip.test"], account: "nodered" });
    await our.event("confirmed");
    const hold = await session.reinvite({ action: "hold" });
    assert.equal(hold.ok, true);
    await pause(500);
    assert.equal((await session.reinvite({ action: "resume" })).ok, true);
    await talk(our, session, true);
    await pause(300);
    holdsOurTone(linphone.recording("called.wav"));
  });

  it("optional: a linphone that insists calls", async () => {
    const our = side("optional");
    await linphone.record("calling.wav");
    await linphone.talksTo("sip:bob@sip.test");
    const [session] = await our.event("confirmed");
    await talk(our, session, true);
    await pause(300);
    holdsOurTone(linphone.recording("calling.wav"));
  });

  it("required: a linphone that does not insist calls, and is encrypted", async () => {
    const our = side("required");
    await lenient.record("calling.wav");
    await lenient.talksTo("sip:nodered@sip.test");
    const [session] = await our.event("confirmed");
    await talk(our, session, true);
    await pause(300);
    holdsOurTone(lenient.recording("calling.wav"));
  });

  it("optional: a linphone that does not insist passes over keys beside RTP/AVP, the call is in clear", async () => {
    const our = side("optional");
    await lenient.record("called.wav");
    our.userAgent.invite({ targets: ["sip:carol@sip.test"], account: "bob" });
    const [session] = await our.event("confirmed");
    await talk(our, session, false);
    await pause(300);
    holdsOurTone(lenient.recording("called.wav"));
  });
});
