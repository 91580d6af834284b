/**
 * The embedded handler over real sockets on loopback. Time is real here, because the sound is made by a thread of its
 * own; each case lasts a second or two.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { InvalidArgumentError, MediaError, SystemClock } from "../../../lib/foundation/index.js";
import { EmbeddedMediaHandler } from "../../../lib/media/index.js";
import type { EmbeddedMediaHandlerOptions } from "../../../lib/media/index.js";
import { createRtpWorker } from "../../../lib/media/worker-client.js";
import { opus } from "../../../lib/media/codec/opus-codec.js";
import { readRtcp, writeRtcp } from "../../../lib/media/rtp/rtcp-packet.js";
import { WorkerPool } from "../../../lib/media/worker-pool.js";
import type {
  AudioControl,
  AudioSource,
  DigitEvent,
  MediaSession,
  Playback,
} from "../../../lib/session/media-handler.js";
import { onceMoreWhenDisturbed } from "../../support/disturbance.js";
import {
  pause,
  RtpPhone,
  toneAmplitude,
  toneFrequency,
  wavOfTone,
} from "../../support/rtp-phone.js";
import { ownPort } from "../../support/port-range.js";
import { SeededRandom } from "../../support/seeded-random.js";

interface Call {
  readonly session: MediaSession;
  readonly audio: AudioControl;
  readonly phone: RtpPhone;
  readonly digits: DigitEvent[];
  readonly errors: Error[];
  readonly timeouts: number[];
}

const RANGE = { portMin: 12_000, portMax: 20_999 };
/** Other phones on this machine do not send here. */
const HOLD = { direction: "sendonly" };

describe("EmbeddedMediaHandler on loopback", function () {
  this.timeout(30_000);
  beforeEach(onceMoreWhenDisturbed);
  const phones: RtpPhone[] = [];
  const handlers: EmbeddedMediaHandler[] = [];
  let handler: EmbeddedMediaHandler;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "rtp-"));
    handler = new EmbeddedMediaHandler(RANGE);
    await handler.start();
  });

  afterEach(async () => {
    await Promise.all(phones.splice(0).map((phone) => phone.close()));
    await Promise.all(handlers.splice(0).map((other) => other.close()));
  });

  after(async () => {
    await handler.close();
    rmSync(folder, { recursive: true });
  });

  async function newPhone(options?: Parameters<typeof RtpPhone.open>[0]): Promise<RtpPhone> {
    const phone = await RtpPhone.open(options);
    phones.push(phone);
    return phone;
  }

  function newHandler(options: EmbeddedMediaHandlerOptions): EmbeddedMediaHandler {
    const other = new EmbeddedMediaHandler({ ...RANGE, ...options });
    handlers.push(other);
    return other;
  }

  function newSession(from = handler): Omit<Call, "phone"> {
    const digits: DigitEvent[] = [];
    const errors: Error[] = [];
    const timeouts: number[] = [];
    const session = from.createSession({
      sessionId: "test",
      localAddress: "127.0.0.1",
      remoteAddress: "127.0.0.1",
      events: {
        onDigit: (event) => digits.push(event),
        onMediaTimeout: () => timeouts.push(performance.now()),
        onError: (error) => errors.push(error),
      },
    });
    assert.ok(session.audio);
    return { session, audio: session.audio, digits, errors, timeouts };
  }

  /** A phone calls, we answer. */
  async function call(
    options: {
      from?: EmbeddedMediaHandler;
      phone?: Parameters<typeof RtpPhone.open>[0];
      description?: Parameters<RtpPhone["description"]>[0];
    } = {},
  ): Promise<Call> {
    const phone = await newPhone(options.phone);
    const made = newSession(options.from);
    phone.connectTo(await made.session.answer(phone.description(options.description)));
    made.session.start();
    return { ...made, phone };
  }

  /** What was heard from the first sound to the last. */
  function sound(phone: RtpPhone): Int16Array {
    const heard = phone.samples();
    const loud = (sample: number): boolean => Math.abs(sample) > 500;
    return heard.slice(heard.findIndex(loud), heard.findLastIndex(loud) + 1);
  }

  describe("playing", () => {
    it("a WAV is heard from its first to its last sample in the first call with Opus, too", async () => {
      const other = newHandler({ workers: new WorkerPool({ mostWorkers: 1 }) });
      const phone = await newPhone();
      const { session, audio } = newSession(other);
      const description = phone
        .description()
        .replace(/RTP\/AVP .*/, "RTP/AVP 111")
        .replace(/a=rtpmap:0 .*/, "a=rtpmap:111 opus/48000/2")
        .replace(/a=(rtpmap|fmtp):101 .*\r\n/g, "");
      assert.match(await session.answer(description), /opus\/48000/);
      const wav = wavOfTone(440, 1000, { sampleRate: 48_000 });
      const playback = await audio.play({ kind: "buffer", data: wav });
      session.start();
      assert.equal(await playback.done, "completed");
      await phone.until(() => phone.packets.length >= 52);
      await session.close();
      const { packets } = phone;
      assert.ok(packets.every(({ marker }, index) => marker === (index === 0)));
      for (let i = 1; i < packets.length; i++) {
        assert.equal((packets[i].timestamp - packets[i - 1].timestamp) >>> 0, 960);
        assert.equal((packets[i].sequenceNumber - packets[i - 1].sequenceNumber) & 0xffff, 1);
      }
      await opus.load?.();
      const decoder = opus.createDecoder();
      await pause(0);
      const loud = packets.map(({ payload }) => {
        const samples = new Int16Array(9600);
        const count = decoder.decode(payload, 0, payload.length, samples);
        return samples.subarray(0, count).some((sample) => Math.abs(sample) > 3_000);
      });
      decoder.close();
      assert.ok(loud[0], "the first packet holds sound");
      const count = loud.lastIndexOf(true) + 1;
      assert.ok(count === 50 || count === 51, `${count} packets`);
    });

    for (const law of ["PCMU", "PCMA"] as const) {
      it(`a WAV of 440 Hz is heard as 440 Hz, 20 ms apart, nothing lost (${law})`, async () => {
        const { audio, session, phone } = await call({ phone: { law } });
        const playback = await audio.play({ kind: "buffer", data: wavOfTone(440, 1000) });
        assert.equal(await playback.done, "completed");
        await pause(60);
        const statistics = await session.close();
        const heard = sound(phone);
        assert.ok(Math.abs(heard.length - 8000) < 40, `${heard.length} samples`);
        assert.ok(Math.abs(toneFrequency(heard.slice(100, 7900)) - 440) < 2);
        assert.equal(phone.packetsLost, 0);
        const { packets } = phone;
        assert.equal(statistics?.packetsSent, packets.length);
        const span = packets[packets.length - 1].arrival - packets[0].arrival;
        assert.ok(Math.abs(span / (packets.length - 1) - 20) < 1, `${span} ms`);
        assert.ok(packets.every(({ marker }, index) => marker === (index === 0)));
        for (let i = 1; i < packets.length; i++) {
          assert.equal((packets[i].timestamp - packets[i - 1].timestamp) >>> 0, 160);
        }
      });
    }

    it("a stereo file of 44.1 kHz keeps its pitch", async () => {
      const path = join(folder, "tone.wav");
      writeFileSync(path, wavOfTone(440, 600, { sampleRate: 44_100, channels: 2 }));
      const { audio, phone, session } = await call();
      const playback = await audio.play({ kind: "file", path });
      assert.equal(await playback.done, "completed");
      await pause(40);
      await session.close();
      assert.ok(Math.abs(toneFrequency(sound(phone).slice(200, 4500)) - 440) < 2);
    });

    it("an MP3 is heard at its pitch, level and length, while a list goes on without a gap", async () => {
      const mp3 = readFileSync(join(__dirname, "../../fixtures/audio/tone-440.mp3"));
      const calls = await Promise.all([call(), call()]);
      const sources: AudioSource[] = [
        { kind: "buffer", data: mp3 },
        {
          kind: "list",
          sources: [
            { kind: "buffer", data: mp3 },
            { kind: "tone", name: "silence/100" },
            { kind: "tone", name: "ring/uk/300" },
          ],
        },
      ];
      const playbacks = await Promise.all(calls.map(({ audio }, i) => audio.play(sources[i])));
      for (const { done } of playbacks) assert.equal(await done, "completed");
      await pause(60);
      const [one, list] = calls.map(({ phone }) => sound(phone));
      for (const { session } of calls) await session.close();
      assert.ok(Math.abs(one.length - 8000) < 80, `${one.length} samples`);
      assert.ok(Math.abs(list.length - 11_200) < 80, `${list.length} samples`);
      for (const heard of [one, list]) {
        const middle = heard.slice(400, 7600);
        assert.ok(Math.abs(toneFrequency(middle) / 440 - 1) < 0.01);
        const level = 20 * Math.log10(toneAmplitude(middle, 440) / 16_384);
        assert.ok(Math.abs(level) < 1, `${level} dB`);
      }
      for (const frequency of [400, 450]) {
        assert.ok(toneAmplitude(list.slice(9000, 10_600), frequency) > 3000, `${frequency} Hz`);
      }
    });

    it("goes on without a gap while the main thread is blocked for two seconds", async () => {
      const { audio, phone, session } = await call();
      const playback = await audio.play({ kind: "buffer", data: wavOfTone(440, 2500) });
      const end = performance.now() + 2000;
      while (performance.now() < end);
      assert.equal(await playback.done, "completed");
      await pause(60);
      await session.close();
      assert.equal(phone.packetsLost, 0);
      const heard = sound(phone);
      assert.ok(Math.abs(heard.length - 20_000) < 40, `${heard.length} samples`);
      // No silence was inserted anywhere.
      for (let at = 400; at + 400 < heard.length; at += 400) {
        assert.ok(toneAmplitude(heard.slice(at, at + 400), 440) > 8000, `at ${at}`);
      }
    });

    it("sends silence from the start, so that the way is open", async () => {
      const { phone, session } = await call();
      assert.ok(await phone.until(() => phone.packets.length >= 10));
      assert.ok(phone.samples().every((sample) => sample === 0));
      await session.close();
    });

    it("begins with start, not before, and waits for it", async () => {
      const phone = await newPhone();
      const { session, audio } = newSession();
      phone.connectTo(await session.answer(phone.description()));
      assert.ok(audio.ready);
      const playback = await audio.play({ kind: "tone", name: "beep" });
      await pause(400);
      assert.equal(phone.packets.length, 0);
      session.start();
      assert.equal(await playback.done, "completed");
      await pause(40);
      assert.ok(Math.abs(sound(phone).length - 2000) < 40);
      await session.close();
    });

    it("a newer source ends the older, a background goes on underneath, stop ends it", async () => {
      const { audio, phone, session } = await call();
      const music = await audio.play({ kind: "tone", name: "dial" }, { background: true });
      const first = await audio.play({ kind: "buffer", data: wavOfTone(1000, 5000) });
      await pause(200);
      const second = await audio.play({ kind: "buffer", data: wavOfTone(2000, 300) });
      assert.equal(await first.done, "stopped");
      assert.equal(await second.done, "completed");
      await pause(200);
      music.stop();
      assert.equal(await music.done, "stopped");
      await pause(60);
      const heard = phone.samples();
      const tail = heard.slice(-160);
      assert.ok(tail.every((sample) => sample === 0));
      for (const frequency of [425, 1000, 2000]) {
        let found = false;
        for (let at = 0; at + 800 <= heard.length && !found; at += 160) {
          found = toneAmplitude(heard.slice(at, at + 800), frequency) > 4000;
        }
        assert.ok(found, `${frequency} Hz was not heard`);
      }
      await session.close();
    });

    it("loops, settles, pauses and resumes", async () => {
      const { audio, phone, session } = await call();
      const started = performance.now();
      const playback = await audio.play(
        { kind: "buffer", data: wavOfTone(440, 200) },
        { loop: 3, settle: 300 },
      );
      await pause(500);
      playback.pause();
      await pause(300);
      playback.resume();
      assert.equal(await playback.done, "completed");
      const took = performance.now() - started;
      assert.ok(took > 1150 && took < 4000, `${took} ms`);
      await pause(40);
      const loud = phone.samples().filter((sample) => Math.abs(sample) > 500).length;
      assert.ok(loud > 4000 && loud <= 4800, `${loud} loud samples`);
      await session.close();
    });

    it("ends as stopped when the call ends", async () => {
      const { audio, session } = await call();
      const playbacks: Playback[] = [
        await audio.play({ kind: "tone", name: "ring" }),
        await audio.play({ kind: "tone", name: "dial" }, { background: true }),
      ];
      await session.close();
      assert.deepEqual(await Promise.all(playbacks.map(({ done }) => done)), [
        "stopped",
        "stopped",
      ]);
      await assert.rejects(audio.play({ kind: "tone", name: "ring" }), { rule: "no-media" });
      assert.equal(audio.ready, false);
    });

    it("is refused before anything is negotiated, and for what is no audio", async () => {
      const { audio, session } = newSession();
      assert.equal(audio.ready, false);
      await assert.rejects(audio.play({ kind: "tone", name: "ring" }), { rule: "no-media" });
      await session.offer();
      await assert.rejects(audio.play({ kind: "tone", name: "ring" }), { rule: "no-media" });
      const phone = await newPhone();
      await session.acceptAnswer(phone.description());
      await assert.rejects(audio.play({ kind: "tone", name: "yodel" }), /ring, busy/);
      await assert.rejects(audio.play({ kind: "file", path: join(folder, "no.wav") }), {
        rule: "no-file",
        message: /no\.wav.*no such file/,
      });
      await assert.rejects(audio.play({ kind: "buffer", data: Buffer.from("not audio") }), {
        rule: "unsupported-audio",
        message: /no sound of a known form.*Accepted is WAV/,
      });
      await session.close();
    });

    it("does not take the buffer away from its owner", async () => {
      const { audio, session } = await call();
      const data = wavOfTone(440, 100);
      const copy = Buffer.from(data);
      const playback = await audio.play({ kind: "buffer", data });
      await playback.done;
      assert.deepEqual(data, copy);
      await session.close();
    });

    it("honours the packet time of the peer", async () => {
      const { phone, session } = await call({ description: { extra: "a=ptime:40" } });
      assert.ok(await phone.until(() => phone.packets.length >= 10));
      assert.ok(phone.packets.every(({ payload }) => payload.length === 320));
      const [first, last] = [phone.packets[0], phone.packets[9]];
      assert.ok(Math.abs((last.arrival - first.arrival) / 9 - 40) < 8);
      await session.close();
    });
  });

  describe("digits", () => {
    it("are sent once each with gap and duration", async () => {
      const { audio, phone, session } = await call();
      const started = performance.now();
      await audio.sendDigits("159*#0AD", { method: "rfc4733", duration: 80, gap: 80 });
      const took = performance.now() - started;
      assert.ok(took > 8 * 80 + 7 * 80 && took < 6000, `${took} ms`);
      await pause(40);
      assert.equal(phone.digits(), "159*#0AD");
      const ends = phone.packets.filter(
        ({ payloadType, payload }) => payloadType === 101 && (payload[1] & 0x80) !== 0,
      );
      assert.equal(ends.length, 24);
      assert.ok(ends.every(({ payload }) => payload.readUInt16BE(2) === 640));
      await session.close();
    });

    it("of two requests are sent one after the other", async () => {
      const { audio, phone, session } = await call();
      const options = { method: "rfc4733", duration: 60, gap: 60 } as const;
      await Promise.all([audio.sendDigits("12", options), audio.sendDigits("34", options)]);
      await pause(40);
      assert.equal(phone.digits(), "1234");
      await session.close();
    });

    it("as tones are heard by a session whose peer takes no telephone events", async () => {
      const caller = newSession();
      const callee = newSession();
      const withoutEvents = (description: string): string =>
        description
          .replace(/^(m=audio .*) 110 101\r\n/m, "$1\r\n")
          .replace(/^a=(rtpmap|fmtp):(110|101) .*\r\n/gm, "");
      const offer = withoutEvents(await caller.session.offer());
      await caller.session.acceptAnswer(await callee.session.answer(offer));
      caller.session.start();
      callee.session.start();
      await caller.audio.sendDigits("5", { method: "inband", duration: 200, gap: 0 });
      while (callee.digits.length === 0) await pause(20);
      // A machine that stands still in mid-digit cuts it in two, so more than one is no fault here.
      assert.match(callee.digits.map(({ digit }) => digit).join(""), /^5+$/);
      assert.ok(
        callee.digits.every(({ method, duration }) => method === "inband" && duration > 50),
      );
      assert.deepEqual(caller.digits, []);
      await Promise.all([caller.session.close(), callee.session.close()]);
    });

    it("in band are heard as their two tones", async () => {
      const { audio, phone, session } = await call();
      await audio.sendDigits("5", { method: "inband", duration: 200, gap: 0 });
      await pause(60);
      const heard = sound(phone).slice(100, 1500);
      assert.ok(toneAmplitude(heard, 770) > 4000);
      assert.ok(toneAmplitude(heard, 1336) > 4000);
      await session.close();
    });

    it("all sixteen are received once each though packets are lost and doubled", async () => {
      const { phone, digits, session } = await call();
      phone.sendAudio();
      const text = "0123456789*#ABCD";
      for (const [index, digit] of [...text].entries()) {
        await phone.sendDigit(digit, {
          duration: 80,
          copies: index % 2 === 0 ? 2 : 1,
          // Sometimes the start, sometimes every end, sometimes the middle.
          lose: (packet) =>
            index % 3 === 0 ? packet === 0 : index % 3 === 1 ? packet >= 3 : packet === 1,
        });
        await pause(30);
      }
      assert.ok(await phone.until(() => digits.length >= 16, 2000));
      await pause(400);
      assert.equal(digits.map(({ digit }) => digit).join(""), text);
      assert.ok(digits.every(({ method, duration }) => method === "rfc4733" && duration > 0));
      await session.close();
    });

    it("that cannot be sent are refused with the reason", async () => {
      const { audio, phone, session } = await call();
      const options = { method: "rfc4733", duration: 60, gap: 60 } as const;
      await assert.rejects(audio.sendDigits("1x", options), InvalidArgumentError);
      await assert.rejects(audio.sendDigits("1\r\n", options), InvalidArgumentError);
      await assert.rejects(audio.sendDigits("1".repeat(300), options), InvalidArgumentError);
      await audio.sendDigits("", options);
      await session.answer(phone.description(HOLD));
      await assert.rejects(audio.sendDigits("1", options), { rule: "on-hold" });
      const plain = phone
        .description()
        .replace(/ 101\r/, "\r")
        .replace(/a=(rtpmap|fmtp):101.*\r\n/g, "");
      await session.answer(plain);
      await assert.rejects(audio.sendDigits("1", options), { rule: "no-telephone-event" });
      assert.equal(session.media[0].dtmf, "none");
      await session.close();
      await assert.rejects(audio.sendDigits("1", options), { rule: "no-media" });
    });

    it("under way are refused when the call ends", async () => {
      const { audio, session } = await call();
      const sending = audio.sendDigits("11111111", { method: "rfc4733", duration: 500, gap: 500 });
      const refused = assert.rejects(sending, { rule: "no-session" });
      await pause(50);
      await session.close();
      await refused;
    });
  });

  describe("whom it listens to", () => {
    it("stays with the first source; others are dropped and change nothing", async () => {
      const { session, phone, digits } = await call();
      const stranger = await newPhone();
      stranger.connectTo(session.localSdp ?? "");
      for (let i = 0; i < 5; i++) phone.sendAudio(440);
      await pause(50);
      for (let i = 0; i < 50; i++) stranger.sendAudio(440);
      await stranger.sendDigit("9");
      phone.sendAudio(440);
      await pause(100);
      const before = phone.packets.length;
      await pause(200);
      assert.ok(phone.packets.length > before + 5, "sound no longer goes to the phone");
      assert.equal(stranger.packets.length, 0);
      assert.deepEqual(digits, []);
      const statistics = await session.close();
      assert.equal(statistics?.packetsReceived, 6);
    });

    it("answers to where packets come from when that is not what was described", async () => {
      const { session, phone, digits } = await call({ description: { port: 9 } });
      phone.speak(440);
      assert.ok(await phone.until(() => phone.packets.length > 10));
      phone.hush();
      await phone.sendDigit("3");
      assert.ok(await phone.until(() => digits.length === 1));
      await session.close();
    });

    it("follows the peer to a new address after a re-offer", async () => {
      const { session, phone } = await call();
      phone.sendAudio();
      assert.ok(await phone.until(() => phone.packets.length > 3));
      const moved = await newPhone();
      moved.connectTo(await session.answer(moved.description()));
      assert.ok(await moved.until(() => moved.packets.length > 10));
      await pause(50);
      const before = phone.packets.length;
      await pause(100);
      assert.equal(phone.packets.length, before);
      assert.equal(moved.packets[0].ssrc, phone.packets[0].ssrc);
      await session.close();
    });

    it("survives 20,000 mutated packets on both ports, and still hears digits", async () => {
      const { session, phone, digits, errors } = await call();
      const random = new SeededRandom(20_000);
      const port = Number(/m=audio (\d+)/.exec(session.localSdp ?? "")?.[1]);
      phone.sendAudio();
      for (let round = 0; round < 20_000; round++) {
        const datagram = Buffer.alloc(Math.floor(random.next() * 60));
        for (let i = 0; i < datagram.length; i++) datagram[i] = Math.floor(random.next() * 256);
        if (datagram.length > 1 && random.next() < 0.8) {
          datagram[0] = 0x80 | (datagram[0] & 0x3f);
          datagram[1] = [0, 101, 200, 201, 203][round % 5];
        }
        phone.connect("127.0.0.1", port + (round % 2));
        phone.sendRaw(datagram);
        if (round % 200 === 0) await pause(1);
      }
      await pause(400);
      phone.connect("127.0.0.1", port);
      digits.length = 0;
      phone.ssrc = 4711;
      phone.sendAudio();
      phone.sendAudio();
      await phone.sendDigit("8");
      assert.ok(await phone.until(() => digits.some(({ digit }) => digit === "8")));
      assert.deepEqual(errors, []);
      assert.ok((await session.close())?.packetsSent);
    });
  });

  describe("hold", () => {
    it("of the peer stops our sound and lets what plays end in its time", async () => {
      const { session, phone, audio } = await call();
      phone.sendAudio();
      assert.ok(await phone.until(() => phone.packets.length > 3));
      const answer = await session.answer(phone.description(HOLD));
      assert.match(answer, /a=recvonly/);
      assert.equal(session.hold, "remote");
      const playback = await audio.play({ kind: "tone", name: "beep" });
      await pause(40);
      const before = phone.packets.length;
      assert.equal(await playback.done, "completed");
      assert.equal(phone.packets.length, before);
      await session.answer(phone.description());
      assert.ok(await phone.until(() => phone.packets.length > before + 5));
      assert.ok(phone.packets[before].marker);
      assert.equal(session.hold, "none");
      await session.close();
    });

    it("of ours keeps sending and hears no digits", async () => {
      const { session, phone, digits } = await call();
      session.start();
      assert.match(await session.offer(HOLD as { direction: "sendonly" }), /a=sendonly/);
      await session.acceptAnswer(phone.description({ direction: "recvonly" }));
      assert.equal(session.hold, "local");
      const before = phone.packets.length;
      await phone.sendDigit("1");
      assert.ok(await phone.until(() => phone.packets.length > before + 5));
      await pause(350);
      assert.deepEqual(digits, []);
      await session.close();
    });

    it("that is refused is taken back", async () => {
      const { session, phone } = await call();
      await session.offer(HOLD as { direction: "sendonly" });
      session.rollback();
      assert.equal(session.hold, "none");
      await session.answer(phone.description(HOLD));
      session.rollback();
      assert.equal(session.hold, "none");
      const before = phone.packets.length;
      assert.ok(await phone.until(() => phone.packets.length > before + 5));
      await session.close();
    });
  });

  describe("reports", () => {
    it("end with BYE on the port above, and count what was received", async () => {
      const phone = await newPhone();
      const reports = createSocket("udp4");
      await new Promise<void>((resolve) => reports.bind(0, "127.0.0.1", resolve));
      const received: Buffer[] = [];
      reports.on("message", (datagram) => received.push(datagram));
      const { session } = newSession();
      const extra = `a=rtcp:${reports.address().port} IN IP4 127.0.0.1`;
      phone.connectTo(await session.answer(phone.description({ extra })));
      session.start();
      for (let i = 0; i < 20; i++) phone.sendAudio();
      phone.sequenceNumber += 5;
      phone.sendAudio();
      assert.ok(await phone.until(() => phone.packets.length > 10));
      const statistics = await session.close();
      assert.equal(statistics?.packetsReceived, 21);
      assert.equal(statistics.packetsLost, 5);
      assert.ok(statistics.jitter >= 0);
      await pause(50);
      const packets = readRtcp(received[received.length - 1]) ?? [];
      assert.equal(packets.at(-1)?.type, "bye");
      const [report] = packets;
      assert.ok(report.type === "report");
      assert.equal(report.sender?.packetCount, statistics.packetsSent);
      assert.equal(report.blocks[0].cumulativeLost, 5);
      reports.close();
    });
  });

  describe("ports", () => {
    it("are even, described, and free again after each of 200 calls", async () => {
      const other = newHandler({ portMin: ownPort(0), portMax: ownPort(7) });
      for (let round = 0; round < 50; round++) {
        const phone = `v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n`;
        const sessions = await Promise.all(
          Array.from({ length: 4 }, async (_, i) => {
            const { session } = newSession(other);
            const text = i % 2 === 0 ? await session.answer(phone) : await session.offer();
            const port = Number(/m=audio (\d+)/.exec(text)?.[1]);
            assert.ok(port % 2 === 0 && port >= ownPort(0) && port <= ownPort(6));
            if (i === 0) session.start();
            return session;
          }),
        );
        const { session: fifth } = newSession(other);
        await assert.rejects(Promise.resolve(fifth.answer(phone)), (error) => {
          assert.ok(error instanceof MediaError);
          assert.equal(error.statusHint, 503);
          assert.match(error.message, /No free RTP port/);
          return true;
        });
        for (const session of [...sessions, fifth]) await session.close();
      }
      assert.equal(other.sessionCount, 0);
    });

    it("are free when a call ends while they are being opened", async () => {
      const other = newHandler({ portMin: ownPort(10), portMax: ownPort(11) });
      for (let round = 0; round < 20; round++) {
        const { session } = newSession(other);
        const offer = Promise.resolve(session.offer());
        const refused = assert.rejects(offer, { rule: "no-session" });
        await session.close();
        await refused;
      }
      const { session } = newSession(other);
      await session.offer();
      await session.close();
    });

    it("are free when the offer could not be answered and the call is closed", async () => {
      const other = newHandler({ portMin: ownPort(20), portMax: ownPort(21) });
      for (let round = 0; round < 20; round++) {
        const { session } = newSession(other);
        await assert.rejects(Promise.resolve(session.answer("v=0\r\nm=audio 9 RTP/SAVP 0\r\n")), {
          statusHint: 488,
        });
        await session.close();
        await session.close();
      }
    });

    it("are free when the handler was closed with calls open", async () => {
      const other = newHandler({ portMin: ownPort(30), portMax: ownPort(33) });
      const { session, audio } = await call({ from: other });
      const playback = await audio.play({ kind: "tone", name: "ring" });
      await newSession(other).session.offer();
      await other.close();
      assert.equal(await playback.done, "stopped");
      await session.close();
      const again = newHandler({ portMin: ownPort(30), portMax: ownPort(33) });
      await newSession(again).session.offer();
      await newSession(again).session.offer();
      await assert.rejects(Promise.resolve(newSession(other).session.offer()), MediaError);
    });

    it("must be a range that holds a pair", () => {
      for (const [portMin, portMax] of [
        [0, 10],
        [20_000, 10_000],
        [10_001, 10_002],
        [1, 70_000],
        [1.5, 9],
      ]) {
        assert.throws(() => new EmbeddedMediaHandler({ portMin, portMax }), InvalidArgumentError);
      }
    });
  });

  describe("addresses", () => {
    it("advertised stand in descriptions, while the socket is the local one's", async () => {
      const other = newHandler({ advertise: "203.0.113.7:5060" });
      const { session } = newSession(other);
      assert.match(await session.offer(), /c=IN IP4 203\.0\.113\.7\r\n/);
      await session.close();
    });

    it("that are not of this machine are described, and all interfaces are listened on", async () => {
      const other = newHandler({ address: "203.0.113.8" });
      const phone = await newPhone();
      const { session } = newSession(other);
      const answer = await session.answer(phone.description());
      assert.match(answer, /c=IN IP4 203\.0\.113\.8\r\n/);
      phone.connect("127.0.0.1", Number(/m=audio (\d+)/.exec(answer)?.[1]));
      session.start();
      assert.ok(await phone.until(() => phone.packets.length > 3));
      await session.close();
    });
  });

  it("shares its workers: when another handler is closed its calls end, ours go on", async () => {
    const workers = new WorkerPool({ mostWorkers: 1 });
    const ours = newHandler({ workers });
    const range = { portMin: ownPort(34), portMax: ownPort(35) };
    const other = newHandler({ workers, ...range });
    const stays = await call({ from: ours });
    const { audio, session } = await call({ from: other });
    const playback = await audio.play({ kind: "tone", name: "ring" });
    assert.equal(workers.workerCount, 1);
    await other.close();
    assert.equal(await playback.done, "stopped");
    await session.close();
    const before = stays.phone.packets.length;
    assert.ok(await stays.phone.until(() => stays.phone.packets.length > before + 5));
    // Its ports are free for whoever comes next.
    const next = newHandler({ workers, ...range });
    await newSession(next).session.offer();
    await ours.close();
    assert.deepEqual(stays.errors, []);
    assert.equal(workers.workerCount, 1);
    await next.close();
    assert.equal(workers.workerCount, 0);
  });

  it("tells that the peer is silent, and again when that goes on", async () => {
    const other = newHandler({ mediaTimeout: 200 });
    const { phone, session, timeouts } = await call({ from: other });
    assert.ok(await phone.until(() => timeouts.length === 1));
    assert.ok(await phone.until(() => timeouts.length === 2));
    assert.ok(timeouts[1] - timeouts[0] > 150, String(timeouts));
    await session.close();
  });

  it("takes reports of a peer that says nothing for a sign of life", async () => {
    const other = newHandler({ mediaTimeout: 300 });
    const { phone, session, timeouts } = await call({ from: other });
    for (let i = 0; i < 10; i++) {
      phone.sendRaw(
        writeRtcp({ ssrc: phone.ssrc, sender: undefined, blocks: [], canonicalName: "phone" }),
      );
      await pause(60);
    }
    assert.equal(timeouts.length, 0);
    await session.close();
  });

  it("outlives its worker: calls hear of it, their next exchange and new calls have sound", async () => {
    const workers: Worker[] = [];
    const other = newHandler({
      workers: new WorkerPool({
        createWorker: () => {
          const worker = createRtpWorker();
          workers.push(worker);
          return worker;
        },
      }),
    });
    const { session, audio, phone, errors } = await call({ from: other });
    const playback = await audio.play({ kind: "tone", name: "ring" });
    const digits = audio.sendDigits("111", { method: "rfc4733", duration: 500, gap: 500 });
    const refused = assert.rejects(digits, MediaError);
    await workers[0].terminate();
    assert.equal(await playback.done, "failed");
    await refused;
    assert.equal(errors.length, 1);
    const before = phone.packets.length;
    phone.connectTo(await session.answer(phone.description()));
    assert.ok(await phone.until(() => phone.packets.length > before + 5));
    const fresh = await call({ from: other });
    assert.ok(await fresh.phone.until(() => fresh.phone.packets.length > 5));
    assert.equal(workers.length, 2);
    await workers[1].terminate();
    assert.equal(await session.close(), undefined);
    await fresh.session.close();
    assert.equal(other.sessionCount, 0);
  });

  it("works with IPv6", async function () {
    const { session, audio } = newSession();
    const six = handler.createSession({
      sessionId: "six",
      localAddress: "::1",
      remoteAddress: "::1",
      events: {
        onDigit: () => undefined,
        onMediaTimeout: () => undefined,
        onError: () => undefined,
      },
    });
    const socket = createSocket("udp6");
    await new Promise<void>((resolve) => socket.bind(0, "::1", resolve));
    let packets = 0;
    socket.on("message", () => (packets += 1));
    const { port } = socket.address();
    const answer = await six.answer(
      `v=0\r\no=a 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 0:0:0:0:0:0:0:1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0\r\n`,
    );
    assert.match(answer, /c=IN IP6 ::1\r\n/);
    six.start();
    const end = new SystemClock().now() + 2000;
    while (packets < 5 && new SystemClock().now() < end) await pause(10);
    assert.ok(packets >= 5);
    await six.close();
    socket.close();
    await session.close();
    assert.equal(audio.ready, false);
  });
});
