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
import { needs } from "../support/peers/process.js";
import { dominantFrequency, toneWav } from "../support/peers/wav.js";
import { freePort } from "../support/ports.js";
import { decibels, toneLevel } from "../support/signals.js";

const CODECS = ["PCMU", "PCMA", "G722", "opus"] as const;

/** What a WAV of 16 bits holds, the left channel of two. */
function read(file: Buffer): { rate: number; samples: Float64Array } {
  const channels = file.readUInt16LE(22);
  const start = file.indexOf("data", 12, "latin1") + 8;
  const count = Math.floor((file.length - start) / (2 * channels));
  return {
    rate: file.readUInt32LE(24),
    samples: Float64Array.from(
      { length: count },
      (_, i) => file.readInt16LE(start + 2 * channels * i) / 32_768,
    ),
  };
}

/**
 * A tone of half of full scale, once it has begun: its frequency, loudness at that frequency in dB against what was
 * sent, longest gap in ms.
 */
function judge(file: Buffer, frequency: number) {
  const { rate, samples } = read(file);
  const begin = samples.findIndex((sample) => Math.abs(sample) > 0.2);
  assert.ok(begin >= 0, "nothing was heard");
  // The first moments are those in which the peer's stream settles.
  const part = samples.subarray(begin + rate * 0.5, begin + rate * 2.5);
  assert.ok(part.length > rate, `${samples.length / rate} s were recorded`);
  let quiet = 0;
  let gap = 0;
  for (const sample of part) {
    quiet = Math.abs(sample) < 0.02 ? quiet + 1 : 0;
    gap = Math.max(gap, quiet);
  }
  return {
    frequency: dominantFrequency(part, rate),
    decibels: decibels(
      toneLevel(
        part.map((sample) => sample * 32_767),
        frequency,
        rate,
      ) / 0.5,
    ),
    gap: (gap * 1000) / rate,
  };
}

describe("codecs with baresip", function () {
  this.timeout(60_000);
  let userAgent: UserAgent;
  const phones = new Map<string, Baresip>();
  const events: [Session, SessionEvent][] = [];

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
        tone: 660,
        rtpPort: 31_800 + 100 * index,
        codec,
      });
      phones.set(codec, phone);
      await phone.start();
    }
  });

  after(async () => {
    await userAgent?.stop();
    for (const phone of phones.values()) await phone.dispose();
  });

  for (const codec of CODECS) {
    it(`carries a tone each way and a digit by ${codec}`, async () => {
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
      const playback = await audio.play({ kind: "buffer", data: toneWav(523, 3.5, 16_000) });
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
      const heard = { there: judge(readFileSync(file), 523), here: judge(data, 660) };
      const shown = JSON.stringify(heard);
      assert.ok(Math.abs(heard.there.frequency / 523 - 1) < 0.01, shown);
      assert.ok(Math.abs(heard.here.frequency / 660 - 1) < 0.01, shown);
      for (const { decibels: change, gap } of [heard.there, heard.here]) {
        assert.ok(Math.abs(change) < 1, shown);
        assert.ok(gap < 40, shown);
      }
    });
  }
});
