/**
 * One baresip per codec and our user agent, packets of 20 ms, and some that call with packets of other lengths: a tone
 * each way, measured in both recordings (frequency, loudness, gaps), with digits as telephone events of that codec's clock.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { EmbeddedMediaHandler } from "../../lib/media/index.js";
import type { Session, SessionEvent } from "../../lib/session/index.js";
import { UserAgent } from "../../lib/user-agent/index.js";
import { onceMoreWhenDisturbed } from "../support/disturbance.js";
import { pause } from "../support/node-red.js";
import { Baresip } from "../support/peers/baresip.js";
import { heardTone } from "../support/peers/heard.js";
import { needs } from "../support/peers/process.js";
import { toneWav } from "../support/peers/wav.js";
import { freePort } from "../support/ports.js";

/** Codec, milliseconds of a packet, who calls. */
const CALLS = [
  ["PCMU", 20, "we"],
  ["PCMA", 20, "we"],
  ["G722", 20, "we"],
  ["opus", 20, "we"],
  ["PCMA", 10, "it"],
  ["PCMU", 30, "it"],
  ["G722", 40, "it"],
  ["opus", 60, "it"],
] as const;
type Call = (typeof CALLS)[number];
/** Hz; half of full scale. */
const OURS = { frequency: 500, level: 0.5 };
const THEIRS = { frequency: 900, level: 0.5 };

describe("codecs with baresip", function () {
  this.timeout(60_000);
  beforeEach(onceMoreWhenDisturbed);
  let userAgent: UserAgent;
  const phones: Baresip[] = [];
  const events: [Session, SessionEvent][] = [];
  const incoming: Session[] = [];
  /** Of each call what was recorded, there and here. */
  let outcomes: PromiseSettledResult<{ there: Buffer; here: Buffer }>[] = [];
  let port: number;

  before(async function () {
    needs(this, "baresip");
    port = await freePort();
    userAgent = new UserAgent({
      transports: [{ protocol: "udp", address: "127.0.0.1", port }],
      mediaHandler: new EmbeddedMediaHandler({ portMin: 31_700, portMax: 31_749 }),
    });
    userAgent.on("sessionEvent", (session, event) => events.push([session, event]));
    userAgent.onIncomingCall = (session) => {
      incoming.push(session);
      void session.accept();
      return true;
    };
    await userAgent.start();
    for (const [index, [codec, ptime]] of CALLS.entries()) {
      const phone = new Baresip({
        name: `${codec.toLowerCase()}${ptime}`,
        address: `127.0.64.${11 + index}`,
        answer: "auto",
        tone: THEIRS.frequency,
        rtpPort: 31_800 + 100 * index,
        codec,
        ptime,
      });
      phones.push(phone);
    }
    await Promise.all(phones.map((phone) => phone.start()));
    // Side by side; each is judged by its test.
    outcomes = await Promise.allSettled(CALLS.map((call, index) => talk(call, phones[index])));
  });

  after(async () => {
    await userAgent?.stop();
    for (const phone of phones) await phone.dispose();
  });

  /** The session of a call that we or the phone placed. */
  async function placed(caller: "we" | "it", phone: Baresip): Promise<Session> {
    const { options } = phone;
    if (caller === "we")
      return userAgent.invite({ targets: [`sip:${options.name}@${options.address}`] });
    await phone.command("dial", `sip:ours@127.0.0.1:${port}`);
    const from = () => incoming.find((one) => one.snapshot().remote.user === options.name);
    for (let i = 0; i < 100 && from() === undefined; i++) await pause(50);
    const session = from();
    assert.ok(session, "no call came");
    return session;
  }

  async function talk(
    [codec, ptime, caller]: Call,
    phone: Baresip,
  ): Promise<{ there: Buffer; here: Buffer }> {
    const session = await placed(caller, phone);
    const seen = (name: string) => events.some(([s, e]) => s === session && e.name === name);
    for (let i = 0; i < 200 && !seen("confirmed"); i++) await pause(50);
    assert.ok(seen("confirmed"), phone.log.slice(-600));
    const audio = session.audio;
    assert.ok(audio);
    const [media] = session.snapshot().media ?? [];
    assert.equal(media?.codec, codec);
    assert.equal(media.clockRate, codec === "opus" ? 48_000 : 8_000);
    const recording = await audio.record({ channels: "remote", maxDuration: 0, silence: 0 });
    const tone = toneWav(OURS.frequency, 3, 16_000, OURS.level);
    const playback = await audio.play({ kind: "buffer", data: tone });
    assert.equal(await playback.done, "completed");
    recording.stop();
    const { data } = await recording.done;
    await phone.press("7");
    for (let i = 0; i < 40 && !seen("dtmf"); i++) await pause(50);
    assert.ok(seen("dtmf"), "the digit did not come");
    await phone.command("hangup");
    await pause(700);
    const statistics = await session.mediaStatistics;
    const spacing = ((session.snapshot().duration ?? 0) * 1000) / (statistics?.packetsSent ?? 0);
    assert.ok(Math.abs(spacing / ptime - 1) < 0.1, `${spacing} ms in place of ${ptime}`);
    const file = phone.recordings().at(-1);
    assert.ok(file && data);
    return { there: readFileSync(file), here: data };
  }

  for (const [index, [codec, ptime, caller]] of CALLS.entries()) {
    it(`carries a tone each way and a digit by ${codec}, ${ptime} ms, ${caller} called`, () => {
      const outcome = outcomes.at(index);
      if (outcome?.status !== "fulfilled") throw outcome?.reason;
      const { there, here } = outcome.value;
      for (const [wav, tone] of [
        [there, OURS],
        [here, THEIRS],
      ] as const) {
        const heard = heardTone(wav, tone);
        const shown = JSON.stringify(heard);
        assert.ok(Math.abs(heard.frequency / tone.frequency - 1) < 0.01, shown);
        assert.ok(Math.abs(heard.decibels) < 1, shown);
        assert.ok(heard.gap <= 40, shown);
      }
    });
  }
});
