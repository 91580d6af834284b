/**
 * One baresip per codec and our user agent: a tone each way, measured in both recordings (frequency, loudness, gaps),
 * with digits as telephone events of that codec's clock.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { EmbeddedMediaHandler } from "../../lib/media/index.js";
import type { Session, SessionEvent } from "../../lib/session/index.js";
import { UserAgent } from "../../lib/user-agent/index.js";
import { pause } from "../support/node-red.js";
import { Baresip } from "../support/peers/baresip.js";
import { heardTone } from "../support/peers/heard.js";
import { needs } from "../support/peers/process.js";
import { toneWav } from "../support/peers/wav.js";
import { freePort } from "../support/ports.js";

const CODECS = ["PCMU", "PCMA", "G722", "opus"] as const;
type Codec = (typeof CODECS)[number];
/** Hz; half of full scale. */
const OURS = { frequency: 500, level: 0.5 };
const THEIRS = { frequency: 900, level: 0.5 };

describe("codecs with baresip", function () {
  this.timeout(60_000);
  let userAgent: UserAgent;
  const phones = new Map<string, Baresip>();
  const events: [Session, SessionEvent][] = [];
  /** Of each codec what was recorded, there and here. */
  const outcomes = new Map<Codec, PromiseSettledResult<{ there: Buffer; here: Buffer }>>();

  before(async function () {
    needs(this, "baresip");
    userAgent = new UserAgent({
      transports: [{ protocol: "udp", address: "127.0.0.1", port: await freePort() }],
      mediaHandler: new EmbeddedMediaHandler({ portMin: 31_700, portMax: 31_749 }),
    });
    userAgent.on("sessionEvent", (session, event) => events.push([session, event]));
    await userAgent.start();
    for (const [index, codec] of CODECS.entries()) {
      const phone = new Baresip({
        name: codec.toLowerCase(),
        address: `127.0.64.${11 + index}`,
        answer: "auto",
        tone: THEIRS.frequency,
        rtpPort: 31_800 + 100 * index,
        codec,
      });
      phones.set(codec, phone);
    }
    await Promise.all([...phones.values()].map((phone) => phone.start()));
    // Side by side; each is judged by its test.
    const talks = CODECS.map((codec) => talk(codec));
    const settled = await Promise.allSettled(talks);
    CODECS.forEach((codec, index) => outcomes.set(codec, settled[index]));
  });

  after(async () => {
    await userAgent?.stop();
    for (const phone of phones.values()) await phone.dispose();
  });

  async function talk(codec: Codec): Promise<{ there: Buffer; here: Buffer }> {
    const phone = phones.get(codec);
    assert.ok(phone);
    const { options } = phone;
    const session = userAgent.invite({ targets: [`sip:${options.name}@${options.address}`] });
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
    const file = phone.recordings().at(-1);
    assert.ok(file && data);
    return { there: readFileSync(file), here: data };
  }

  for (const codec of CODECS) {
    it(`carries a tone each way and a digit by ${codec}`, () => {
      const outcome = outcomes.get(codec);
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
