/**
 * RTP, RTCP, telephone events and SRTP at a session that plays, records and listens: nothing throws, sound goes on being
 * asked for, and the packets that are sent stay sound.
 */
import assert from "node:assert/strict";
import { toneSource } from "../../lib/media/audio/tones.js";
import { writeRtcp } from "../../lib/media/rtp/rtcp-packet.js";
import { RtpSession } from "../../lib/media/rtp/rtp-session.js";
import type { StreamSettings } from "../../lib/media/rtp/stream-settings.js";
import { LoopSockets } from "../support/loop-sockets.js";
import { ManualClock } from "../support/manual-clock.js";
import { SeededRandom } from "../support/seeded-random.js";
import { type Layer, noted } from "./layer.js";
import type { Mutation } from "./mutation.js";

const US = "192.0.2.1";
const PEER = { address: "192.0.2.2", port: 4000 };
const PEER_RTCP = { address: "192.0.2.2", port: 4001 };
const KEY = Buffer.alloc(30, 1).toString("base64");

const SETTINGS: StreamSettings = {
  address: PEER.address,
  port: PEER.port,
  rtcpAddress: PEER_RTCP.address,
  rtcpPort: PEER_RTCP.port,
  rtcpMux: false,
  srtp: undefined,
  signallingAddress: PEER.address,
  send: { payloadType: 0, codec: "PCMU" },
  receive: [
    { payloadType: 0, codec: "PCMU" },
    { payloadType: 8, codec: "PCMA" },
    { payloadType: 9, codec: "G722" },
  ],
  eventPayloadType: 101,
  eventsReceived: [101],
  clockRate: 8000,
  ptime: 20,
  maySend: true,
  mayReceive: true,
};

class Line {
  readonly clock = new ManualClock();
  readonly #wire = new LoopSockets();
  readonly #session: RtpSession;
  #sequence = 1;

  constructor(settings: StreamSettings) {
    this.#session = new RtpSession({
      sockets: this.#wire.open(US, 4000),
      clock: this.clock,
      random: new SeededRandom(3),
      mediaTimeoutMs: 0,
      events: {
        onDigit: (digit) => assert.match(digit, /^[0-9A-D*#]$/),
        onPlaybackDone: () => undefined,
        onDigitsSent: () => undefined,
        onMediaTimeout: () => undefined,
        onError: (text) => assert.fail(text),
      },
    });
    this.#session.listen({ frame: (_remote, _local, count) => assert.ok(count > 0) });
    this.#session.configure(settings, true);
    const source = toneSource("dial", Infinity, 8000);
    assert.ok(source);
    this.#session.play({ id: 1, source, background: false, settle: 0 });
  }

  take(mutation: Mutation): void {
    const isRtcp = mutation.below(3) === 0;
    const sound = isRtcp ? this.#report(mutation) : this.#packet(mutation);
    const packet = noted(
      mutation.below(5) === 0 ? sound : mutation.of(sound, this.#packet(mutation)),
    );
    const to = isRtcp && mutation.below(2) === 0 ? 4001 : 4000;
    this.#wire.deliver(packet, to === 4000 ? PEER : PEER_RTCP, `${US}:${to}`);
    this.clock.advance(5);
    if (mutation.below(4) > 0) return;
    this.#wire.sent.length = 0;
    this.#session.tick(this.clock.now());
    for (const { data } of this.#wire.sent) assert.ok(data.length >= 8 && data.length < 1500);
  }

  async end(): Promise<void> {
    const { packetsLost, packetsReceived } = await this.#session.close();
    assert.ok(packetsLost >= 0 && packetsReceived >= 0);
    assert.equal(this.clock.pendingTimers(), 0);
  }

  #packet(mutation: Mutation): Buffer {
    const payloadType = mutation.pick([0, 0, 8, 9, 13, 101, 127]);
    const packet = Buffer.alloc(12 + (payloadType === 101 ? 4 : 160), 0x55);
    packet[0] = 0x80;
    packet[1] = payloadType;
    packet.writeUInt16BE(this.#sequence++ & 0xffff, 2);
    packet.writeUInt32BE((this.#sequence * 160) >>> 0, 4);
    packet.writeUInt32BE(mutation.pick([7, 7, 7, 8]), 8);
    if (payloadType === 101) packet.writeUInt32BE(0x010a0000 + mutation.below(0x10000), 12);
    return packet;
  }

  #report(mutation: Mutation): Buffer {
    return writeRtcp({
      ssrc: 7,
      sender: {
        ntpSeconds: mutation.below(2 ** 32),
        ntpFraction: 1,
        rtpTimestamp: 1,
        packetCount: 1,
        octetCount: 1,
      },
      blocks: [
        {
          ssrc: mutation.below(9),
          fractionLost: 0,
          cumulativeLost: mutation.below(100) - 50,
          highestSequence: 1,
          jitter: 1,
          lastSenderReport: mutation.below(2 ** 32),
          delaySinceLastSenderReport: 1,
        },
      ],
      canonicalName: "peer",
      bye: mutation.below(4) === 0,
    });
  }
}

export class PacketLayer implements Layer {
  readonly name = "packet";
  readonly share = 0.2;
  readonly #lines = [
    new Line(SETTINGS),
    new Line({ ...SETTINGS, rtcpMux: true }),
    new Line({
      ...SETTINGS,
      srtp: {
        suite: "AES_CM_128_HMAC_SHA1_80",
        localKey: KEY,
        remoteKey: KEY,
        remoteKeyIdentifier: "",
      },
    }),
  ];

  take(mutation: Mutation): void {
    mutation.pick(this.#lines).take(mutation);
  }

  async end(): Promise<void> {
    for (const line of this.#lines) await line.end();
  }
}
