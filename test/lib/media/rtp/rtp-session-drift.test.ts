/** An hour of a call whose peer has another clock and loses packets: heard, recorded and played to. */
import assert from "node:assert/strict";
import { Recorder } from "../../../../lib/media/audio/recorder.js";
import { toneSource } from "../../../../lib/media/audio/tones.js";
import type { RecordingTarget } from "../../../../lib/media/audio/wav-writer.js";
import { pcmu } from "../../../../lib/media/codec/g711-codec.js";
import { PacketTicker } from "../../../../lib/media/rtp/packet-ticker.js";
import { writeRtpHeader } from "../../../../lib/media/rtp/rtp-packet.js";
import { RtpSession } from "../../../../lib/media/rtp/rtp-session.js";
import { LoopSockets } from "../../../support/loop-sockets.js";
import { ManualClock } from "../../../support/manual-clock.js";
import { SeededRandom } from "../../../support/seeded-random.js";

const FRAME = 160;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const BURST_MS = 200;
const US = "192.0.2.1";
const PEER = "192.0.2.2";

/** Notes where in the recording a burst begins, in milliseconds, instead of keeping it. */
class Listener implements RecordingTarget {
  readonly bursts: number[] = [];
  readonly failed = undefined;
  bytes = 44;
  #samples = 0;
  #quiet = Infinity;

  write(data: Buffer): void {
    this.bytes += data.length;
    for (let at = 0; at < data.length; at += 2) {
      if (Math.abs(data.readInt16LE(at)) < 2_000) this.#quiet += 1;
      else {
        if (this.#quiet > 8_000) this.bursts.push(this.#samples / 8);
        this.#quiet = 0;
      }
      this.#samples += 1;
    }
  }

  update(): void {
    // There is no header.
  }

  finish(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}

describe("RtpSession over an hour", () => {
  for (const ppm of [200, -200]) {
    it(`with a clock ${ppm} ppm off and 2 % of loss is recorded at its length, with no growing delay`, async function () {
      this.timeout(120_000);
      const clock = new ManualClock();
      const random = new SeededRandom(3551);
      const wire = new LoopSockets();
      let heardByPeer = 0;
      wire.filter = ({ fromPort }) => {
        if (fromPort === 4000) heardByPeer += 1;
        wire.sent.length = 0;
        return [];
      };
      const session = new RtpSession({
        sockets: wire.open(US, 4000),
        clock,
        random,
        mediaTimeoutMs: 0,
        events: {
          onDigit: () => assert.fail("a digit"),
          onPlaybackDone: () => undefined,
          onDigitsSent: () => undefined,
          onMediaTimeout: () => undefined,
          onError: (text) => assert.fail(text),
        },
      });
      const codec = { payloadType: 0, codec: "PCMU" };
      session.configure(
        {
          address: PEER,
          port: 5000,
          rtcpAddress: PEER,
          rtcpPort: 5001,
          rtcpMux: false,
          srtp: undefined,
          signallingAddress: PEER,
          send: codec,
          receive: [codec],
          eventPayloadType: 101,
          eventsReceived: [101],
          clockRate: 8000,
          ptime: 20,
          maySend: true,
          mayReceive: true,
        },
        true,
      );
      const source = toneSource("dial", Infinity, 8000);
      assert.ok(source);
      session.play({ id: 1, source, background: false, settle: 0 });
      const target = new Listener();
      const recorder = new Recorder({
        channels: "remote",
        sampleRate: 8000,
        maxDuration: 0,
        silence: 0,
        target,
        onEnd: () => assert.fail("it ended by itself"),
      });
      session.listen(recorder);
      const ticker = new PacketTicker(clock);
      ticker.add(session);

      const interval = 20 * (1 + ppm / 1_000_000);
      const packet = Buffer.alloc(12 + FRAME);
      const burst = new Int16Array(FRAME);
      for (let i = 0; i < FRAME; i++) burst[i] = 10_000 * Math.sin((2 * Math.PI * 1000 * i) / 8000);
      const encoder = pcmu.createEncoder();
      for (let number = 0; number * interval < HOUR_MS; number++) {
        // Never later than the next one: what is overtaken is another test.
        const arrival = number * interval + random.next() * 15;
        if (arrival > clock.now()) clock.advance(arrival - clock.now());
        const isLoud = (number * 20) % MINUTE_MS < BURST_MS;
        // A burst whose first packet is lost cannot be placed.
        if (random.next() < 0.02 && (number * 20) % MINUTE_MS !== 0) continue;
        if (isLoud) encoder.encode(burst, FRAME, packet, 12);
        else encoder.encodeSilence(FRAME, packet, 12);
        writeRtpHeader(packet, {
          marker: number === 0,
          payloadType: 0,
          sequenceNumber: number & 0xffff,
          timestamp: (number * FRAME) >>> 0,
          ssrc: 7,
        });
        wire.deliver(packet, { address: PEER, port: 5000 }, `${US}:4000`);
      }
      clock.advance(HOUR_MS - clock.now());
      ticker.remove(session);

      const { seconds } = await recorder.finish("stopped");
      assert.ok(Math.abs(seconds - HOUR_MS / 1000) <= 0.05, `${seconds} s`);
      assert.ok(Math.abs(heardByPeer - HOUR_MS / 20) <= 1, `${heardByPeer} packets`);
      const minute = MINUTE_MS * (interval / 20);
      assert.equal(target.bursts.length, Math.ceil(HOUR_MS / minute));
      const delays = target.bursts.map((at, number) => at - number * minute);
      assert.ok(Math.min(...delays) >= 0 && Math.max(...delays) < 120, delays.join());
      const { packetsLost } = await session.close();
      assert.ok(Math.abs(packetsLost / (HOUR_MS / 20) - 0.02) < 0.002, `${packetsLost} lost`);
    });
  }
});
