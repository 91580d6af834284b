/**
 * Two RTP sessions and a wire between them. Hard cases: loss across the wrap of the sequence number, forged and
 * repeated packets before and after the latch, packets in clear, keys that change, reports on one port or two.
 */
import assert from "node:assert/strict";
import { toneSource } from "../../../../lib/media/audio/tones.js";
import { RtpSession } from "../../../../lib/media/rtp/rtp-session.js";
import type { StreamSettings } from "../../../../lib/media/rtp/stream-settings.js";
import { SrtpProtection } from "../../../../lib/media/srtp/srtp-protection.js";
import type { SrtpSettings } from "../../../../lib/media/srtp/srtp-protection.js";
import { LoopSockets } from "../../../support/loop-sockets.js";
import { ManualClock } from "../../../support/manual-clock.js";
import { SeededRandom } from "../../../support/seeded-random.js";

const A_KEY = Buffer.alloc(30, 1).toString("base64");
const B_KEY = Buffer.alloc(30, 2).toString("base64");
const SUITE = "AES_CM_128_HMAC_SHA1_80";
const A_SRTP: SrtpSettings = {
  suite: SUITE,
  localKey: A_KEY,
  remoteKey: B_KEY,
  remoteKeyIdentifier: "",
};
const B_SRTP: SrtpSettings = { ...A_SRTP, localKey: B_KEY, remoteKey: A_KEY };
const A = "192.0.2.1";
const B = "192.0.2.2";

interface Side {
  readonly session: RtpSession;
  readonly digits: string[];
  /** Samples of the peer, and whether there was anything to hear. */
  readonly loud: boolean[];
  configure(change?: Partial<StreamSettings>): void;
}

function setUp(options: { srtp?: boolean; rtcpMux?: boolean } = {}) {
  const clock = new ManualClock();
  const wire = new LoopSockets();
  const side = (address: string, peer: string, srtp: SrtpSettings, seed: number): Side => {
    const digits: string[] = [];
    const loud: boolean[] = [];
    const session = new RtpSession({
      sockets: wire.open(address, 4000),
      clock,
      random: new SeededRandom(seed),
      mediaTimeoutMs: 0,
      events: {
        onDigit: (digit) => digits.push(digit),
        onPlaybackDone: () => undefined,
        onDigitsSent: () => undefined,
        onMediaTimeout: () => undefined,
        onError: (text) => assert.fail(text),
      },
    });
    session.listen({
      frame: (remote) => loud.push(remote.some((sample) => Math.abs(sample) > 500)),
    });
    const settings: StreamSettings = {
      address: peer,
      port: 4000,
      rtcpAddress: peer,
      rtcpPort: 4001,
      rtcpMux: options.rtcpMux ?? false,
      srtp: options.srtp === false ? undefined : srtp,
      signallingAddress: peer,
      send: { payloadType: 0, codec: "PCMU" },
      receive: [{ payloadType: 0, codec: "PCMU" }],
      eventPayloadType: 101,
      eventsReceived: [101],
      clockRate: 8000,
      ptime: 20,
      maySend: true,
      mayReceive: true,
    };
    const configure = (change: Partial<StreamSettings> = {}): void =>
      session.configure({ ...settings, ...change }, true);
    configure();
    return { session, digits, loud, configure };
  };
  const alice = side(A, B, A_SRTP, 1);
  const bob = side(B, A, B_SRTP, 2);
  const run = (ticks: number): void => {
    for (let i = 0; i < ticks; i++) {
      clock.advance(20);
      alice.session.tick(clock.now());
      bob.session.tick(clock.now());
    }
  };
  const playTone = (): void => {
    const source = toneSource("dial", Infinity, 8000);
    assert.ok(source);
    alice.session.play({ id: 1, source, background: false, settle: 0 });
  };
  return { clock, wire, alice, bob, run, playTone };
}

const fromAlice = (wire: LoopSockets): Buffer[] =>
  wire.sent.filter((p) => p.fromAddress === A && p.fromPort === 4000).map((p) => p.data);

describe("RTP sessions with SRTP", () => {
  it("hear each other, get digits, exchange reports; nothing readable is on the wire", async () => {
    const { wire, alice, bob, run, playTone } = setUp();
    playTone();
    alice.session.sendDigits({ id: 2, digits: "17#", method: "rfc4733", duration: 100, gap: 60 });
    run(600);
    assert.deepEqual(bob.digits, ["1", "7", "#"]);
    assert.ok(bob.loud.slice(-100).every(Boolean));
    for (const packet of fromAlice(wire))
      assert.ok([12 + 160 + 10, 12 + 4 + 10].includes(packet.length));
    const statistics = await alice.session.close();
    assert.equal(statistics.packetsReceived, 600);
    assert.equal(statistics.packetsRejected, 0);
    assert.ok((statistics.roundTrip ?? -1) >= 0);
  });

  it("go on over the wrap of the sequence number while one packet of five is lost", async () => {
    const { clock, wire, bob } = setUp();
    const phone = new SrtpProtection(A_SRTP);
    const packet = Buffer.alloc(172);
    packet.writeUInt32BE(0x8000_0000, 0);
    packet.writeUInt32BE(77, 8);
    for (let i = 0; i < 160; i++) packet[12 + i] = i % 20 < 10 ? 0x10 : 0x90;
    for (let number = 65_400; number < 65_700; number++) {
      packet.writeUInt16BE(number & 0xffff, 2);
      packet.writeUInt32BE(number * 160, 4);
      const sealed = phone.protectRtp(packet);
      clock.advance(20);
      if (number % 5 !== 0) wire.deliver(sealed, { address: A, port: 4000 }, `${B}:4000`);
      bob.session.tick(clock.now());
    }
    assert.ok(bob.loud.slice(-150).every(Boolean));
    const statistics = await bob.session.close();
    assert.equal(statistics.packetsReceived, 240);
    assert.equal(statistics.packetsLost, 59);
    assert.equal(statistics.packetsRejected, 0);
  });

  it("drop what is forged, repeated, cut, in clear or noise; it is counted, nothing latches, the call goes on", async () => {
    const { wire, alice, bob, run, playTone } = setUp();
    const stranger = { address: "203.0.113.9", port: 7000 };
    const clear = Buffer.alloc(172, 0x55);
    clear.writeUInt32BE(0x8000_0001, 0);
    for (let i = 0; i < 20; i++) {
      clear.writeUInt16BE(i, 2);
      wire.deliver(clear, stranger, `${B}:4000`);
      wire.deliver(clear, { address: A, port: 4000 }, `${B}:4000`);
    }
    const stun = Buffer.from("00010000" + "00".repeat(16), "hex");
    wire.deliver(stun, { address: A, port: 4000 }, `${B}:4000`);
    let hostile = 40;
    playTone();
    wire.filter = ({ data, fromAddress, toPort }) => {
      if (fromAddress !== A || toPort !== 4000) return [data];
      hostile += 3;
      const forged = Buffer.from(data);
      forged[20] ^= 0xff;
      return [forged, data.subarray(0, 30), data, data];
    };
    run(100);
    assert.ok(bob.loud.slice(-50).every(Boolean));
    // A digit in clear, from where the call is heard, is none.
    const digit = Buffer.from("80650001000000000000000901800320", "hex");
    wire.deliver(digit, { address: A, port: 4000 }, `${B}:4000`);
    wire.deliver(Buffer.from("80c90001deadbeef", "hex"), { address: A, port: 4001 }, `${B}:4001`);
    for (let length = 0; length < 40; length++) {
      wire.deliver(Buffer.alloc(length, 0x80), { address: A, port: 4000 }, `${B}:4000`);
    }
    run(20);
    assert.deepEqual(bob.digits, []);
    assert.ok(bob.loud.slice(-10).every(Boolean));
    const statistics = await bob.session.close();
    assert.ok((statistics.packetsRejected ?? 0) >= hostile);
    await alice.session.close();
  });

  it("go on when the keys change, when they are repeated, and when the call is in clear for a while", () => {
    const { alice, bob, run, playTone } = setUp();
    playTone();
    run(50);
    alice.configure();
    bob.configure();
    run(50);
    assert.ok(bob.loud.slice(-20).every(Boolean));
    const key = Buffer.alloc(30, 9).toString("base64");
    alice.configure({ srtp: { ...A_SRTP, localKey: key } });
    bob.configure({ srtp: { ...B_SRTP, remoteKey: key } });
    run(50);
    assert.ok(bob.loud.slice(-20).every(Boolean));
    alice.configure({ srtp: undefined });
    bob.configure({ srtp: undefined });
    run(50);
    assert.ok(bob.loud.slice(-20).every(Boolean));
    alice.configure();
    bob.configure();
    run(50);
    assert.ok(bob.loud.slice(-20).every(Boolean));
  });

  it("one without the key hears nothing", () => {
    const { bob, run, playTone } = setUp();
    bob.configure({ srtp: { ...B_SRTP, remoteKey: Buffer.alloc(30, 3).toString("base64") } });
    playTone();
    run(100);
    assert.ok(!bob.loud.some(Boolean));
  });
});

describe("reports of RTP sessions", () => {
  for (const srtp of [true, false]) {
    for (const rtcpMux of [true, false]) {
      it(`go to port ${rtcpMux ? 4000 : 4001}, ${srtp ? "encrypted" : "in clear"}, and are read there`, async () => {
        const { wire, alice, bob, run } = setUp({ srtp, rtcpMux });
        run(600);
        await alice.session.close();
        const statistics = await bob.session.close();
        assert.ok((statistics.roundTrip ?? -1) >= 0);
        const isReport = (data: Buffer): boolean => data[1] === 200 || data[1] === 201;
        const reports = wire.sent.filter(({ data }) => isReport(data));
        assert.ok(reports.length >= 4);
        for (const report of reports) {
          assert.equal(report.toPort, rtcpMux ? 4000 : 4001);
          assert.equal(report.fromPort, rtcpMux ? 4000 : 4001);
          assert.equal(report.data.length % 4, srtp ? 2 : 0);
        }
      });
    }
  }
});
