/**
 * Calls of embedded handlers joined over real sockets on loopback, in one worker and across two. Time is real here; each
 * case lasts a second or so.
 */
import assert from "node:assert/strict";
import type { Worker } from "node:worker_threads";
import { MediaError } from "../../../lib/foundation/index.js";
import { EmbeddedMediaHandler } from "../../../lib/media/index.js";
import { createRtpWorker } from "../../../lib/media/worker-client.js";
import { WorkerPool } from "../../../lib/media/worker-pool.js";
import type {
  AudioControl,
  MediaSession,
  RecordingResult,
} from "../../../lib/session/media-handler.js";
import { onceMoreWhenDisturbed } from "../../support/disturbance.js";
import { pause, RtpPhone, toneAmplitude, toneFrequency } from "../../support/rtp-phone.js";
import type { RtpPhoneOptions } from "../../support/rtp-phone.js";

interface Call {
  readonly session: MediaSession;
  readonly audio: AudioControl;
  readonly phone: RtpPhone;
  readonly digits: string[];
  readonly errors: Error[];
}

for (const place of ["in one worker", "across two workers"]) {
  describe(`EmbeddedAudio bridge ${place}`, function () {
    this.timeout(20_000);
    beforeEach(onceMoreWhenDisturbed);
    const phones: RtpPhone[] = [];
    const handlers: EmbeddedMediaHandler[] = [];
    const workers: Worker[] = [];

    beforeEach(async () => {
      for (let i = 0; i < (place === "in one worker" ? 1 : 2); i++) {
        const handler = new EmbeddedMediaHandler({
          portMin: 12_000,
          portMax: 20_999,
          workers: new WorkerPool({
            mostWorkers: 1,
            createWorker: () => {
              const worker = createRtpWorker();
              workers.push(worker);
              return worker;
            },
          }),
        });
        handlers.push(handler);
        await handler.start();
      }
    });

    afterEach(async () => {
      await Promise.all(phones.splice(0).map((phone) => phone.close()));
      await Promise.all(handlers.splice(0).map((handler) => handler.close()));
      workers.length = 0;
    });

    async function call(handler: EmbeddedMediaHandler, options?: RtpPhoneOptions): Promise<Call> {
      const phone = await RtpPhone.open(options);
      phones.push(phone);
      const digits: string[] = [];
      const errors: Error[] = [];
      const session = handler.createSession({
        sessionId: "test",
        localAddress: "127.0.0.1",
        remoteAddress: "127.0.0.1",
        events: {
          onDigit: ({ digit }) => digits.push(digit),
          onMediaTimeout: () => undefined,
          onError: (error) => errors.push(error),
        },
      });
      phone.connectTo(await session.answer(phone.description()));
      session.start();
      assert.ok(session.audio);
      return { session, audio: session.audio, phone, digits, errors };
    }
    const pair = async (
      first?: RtpPhoneOptions,
      second?: RtpPhoneOptions,
    ): Promise<[Call, Call]> => [
      await call(handlers[0], first),
      await call(handlers[handlers.length - 1], second),
    ];

    /** What the phone heard in its last half second is the tone, now or three seconds from now at the latest. */
    async function hears(phone: RtpPhone, hz: number): Promise<void> {
      const inTune = () => {
        const heard = phone.samples().slice(-4000);
        const level = 20 * Math.log10(toneAmplitude(heard, hz) / 8000);
        return Math.abs(toneFrequency(heard) - hz) < hz / 100 && Math.abs(level) < 1;
      };
      for (let tries = 0; tries < 30 && !inTune(); tries++) await pause(100);
      const heard = phone.samples().slice(-4000);
      assert.ok(
        inTune(),
        `${toneFrequency(heard)} Hz with an amplitude of ${toneAmplitude(heard, hz)}`,
      );
    }

    for (const law of ["PCMU", "PCMA"] as const) {
      it(`lets two phones hear each other (PCMU and ${law}), in one stream each, keys included`, async () => {
        const [a, b] = await pair({}, { law, eventPayloadType: 97 });
        const bridge = await a.audio.bridge(b.audio);
        a.phone.speak(440);
        b.phone.speak(600);
        await pause(900);
        await hears(b.phone, 440);
        await hears(a.phone, 600);
        await a.phone.sendDigit("5", { duration: 160 });
        assert.ok(await b.phone.until(() => b.phone.digits() === "5"));
        assert.ok(await a.phone.until(() => a.digits.length === 1));
        await pause(100);
        for (const { packets } of [a.phone, b.phone]) {
          assert.equal(new Set(packets.map(({ ssrc }) => ssrc)).size, 1);
        }
        assert.equal(b.phone.packetsLost, 0);
        bridge.stop();
        assert.equal(await bridge.done, "stopped");
        await pause(300);
        const before = b.phone.packets.length;
        await pause(200);
        assert.ok(
          b.phone
            .samples()
            .slice(-800)
            .every((sample) => Math.abs(sample) < 16),
        );
        assert.ok(b.phone.packets.length > before + 5);
      });
    }

    it("is covered by what is played, and comes back; what played before has ended", async () => {
      const [a, b] = await pair();
      const before = await b.audio.play({ kind: "tone", name: "ring" });
      await a.audio.bridge(b.audio);
      assert.equal(await before.done, "stopped");
      a.phone.speak(600);
      const over = await b.audio.play({ kind: "tone", name: "dial/us" }, { loop: true });
      await pause(700);
      assert.ok(toneAmplitude(b.phone.samples().slice(-4000), 600) < 500);
      over.stop();
      assert.equal(await over.done, "stopped");
      await pause(700);
      await hears(b.phone, 600);
      assert.equal(b.phone.packetsLost, 0);
    });

    it("is heard by a recording of either leg", async () => {
      const [a, b] = await pair();
      await a.audio.bridge(b.audio);
      a.phone.speak(440);
      b.phone.speak(600);
      const options = { channels: "stereo", maxDuration: 0, silence: 0 } as const;
      const recordings = await Promise.all([a.audio.record(options), b.audio.record(options)]);
      await pause(900);
      for (const recording of recordings) recording.stop();
      const results = await Promise.all(recordings.map(({ done }) => done));
      const channel = ({ data }: RecordingResult, offset: number): Int16Array => {
        assert.ok(data);
        const count = Math.floor((data.length - 44) / 4);
        const samples = Int16Array.from({ length: count }, (_, i) =>
          data.readInt16LE(44 + 4 * i + offset),
        );
        return samples.slice(-3000);
      };
      for (const [index, [left, right]] of [
        [440, 600],
        [600, 440],
      ].entries()) {
        assert.ok(Math.abs(toneFrequency(channel(results[index], 0)) - left) < 6);
        assert.ok(Math.abs(toneFrequency(channel(results[index], 2)) - right) < 6);
      }
      await hears(b.phone, 440);
    });

    it("moves over to a third call; the one left alone hears silence", async () => {
      const [a, b] = await pair();
      const c = await call(handlers[0]);
      const first = await a.audio.bridge(b.audio);
      const second = await a.audio.bridge(c.audio);
      assert.match(await first.done, /replaced|closed/);
      a.phone.speak(440);
      await pause(700);
      await hears(c.phone, 440);
      assert.ok(b.phone.samples().every((sample) => Math.abs(sample) < 16));
      first.stop();
      await a.session.close();
      assert.equal(await second.done, "closed");
      await c.session.close();
      await b.session.close();
    });

    it("ends when a worker is lost, and can be joined again", async () => {
      const [a, b] = await pair();
      const bridge = await a.audio.bridge(b.audio);
      await workers[workers.length - 1].terminate();
      assert.match(await bridge.done, /failed|closed/);
      assert.equal(b.errors.length, 1);
      for (const { session, phone } of [a, b]) {
        phone.connectTo(await session.answer(phone.description()));
      }
      await a.audio.bridge(b.audio);
      a.phone.speak(440);
      await pause(700);
      await hears(b.phone, 440);
    });

    it("is refused with itself, before sound was negotiated, after the end, and with others", async () => {
      const [a, b] = await pair();
      const refuses = (other: AudioControl, rule: string): Promise<void> =>
        assert.rejects(
          a.audio.bridge(other),
          (error) => error instanceof MediaError && error.rule === rule,
        );
      await refuses(a.audio, "no-bridge");
      await refuses({ ...b.audio, ready: true }, "no-bridge");
      await b.session.close();
      await refuses(b.audio, "no-media");
      await assert.rejects(b.audio.bridge(a.audio), MediaError);
    });

    it("survives both ends at once, a hundred times", async () => {
      for (let i = 0; i < 100; i++) {
        const [a, b] = await pair();
        const joined = a.audio.bridge(b.audio);
        if (i % 2 === 0) await joined;
        else joined.catch(() => undefined);
        await Promise.all([a.session.close(), b.session.close(), a.phone.close(), b.phone.close()]);
        phones.length = 0;
        await joined.then(
          ({ done }) => done,
          () => undefined,
        );
      }
      assert.deepEqual(
        handlers.map(({ sessionCount }) => sessionCount),
        handlers.map(() => 0),
      );
    });
  });
}
