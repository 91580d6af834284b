import assert from "node:assert/strict";
import { Player } from "../../../../lib/media/audio/player.js";
import { compactNtp, ntpTime, readRtcp, writeRtcp } from "../../../../lib/media/rtp/rtcp-packet.js";
import { RtcpReporter } from "../../../../lib/media/rtp/rtcp-reporter.js";
import { writeRtpHeader } from "../../../../lib/media/rtp/rtp-packet.js";
import { RtpReceiver } from "../../../../lib/media/rtp/rtp-receiver.js";
import { RtpSender } from "../../../../lib/media/rtp/rtp-sender.js";
import type { StreamSettings } from "../../../../lib/media/rtp/stream-settings.js";
import { SeededRandom } from "../../../support/seeded-random.js";

const SETTINGS: StreamSettings = {
  address: "192.0.2.1",
  port: 4000,
  rtcpAddress: "192.0.2.1",
  rtcpPort: 4001,
  rtcpMux: false,
  srtp: undefined,
  signallingAddress: "192.0.2.1",
  send: { payloadType: 0, codec: "PCMU" },
  receive: [{ payloadType: 0, codec: "PCMU" }],
  eventPayloadType: undefined,
  eventsReceived: [],
  clockRate: 8000,
  ptime: 20,
  maySend: true,
  mayReceive: true,
};
const WALL = Date.UTC(2026, 0, 1);

function setUp(seed = 1) {
  const sender = new RtpSender({
    ssrc: 11,
    sequenceNumber: 0,
    timestamp: 0,
    player: new Player(() => undefined),
    onDigitsSent: () => undefined,
  });
  const receiver = new RtpReceiver({ ownSsrc: 11, onDigit: () => undefined });
  sender.configure(SETTINGS);
  receiver.configure(SETTINGS, 0);
  const reporter = new RtcpReporter(sender, receiver, new SeededRandom(seed));
  return { sender, receiver, reporter };
}

function report(datagram: Buffer) {
  const [first] = readRtcp(datagram) ?? [];
  assert.ok(first.type === "report");
  return first;
}

describe("RtcpReporter", () => {
  it("reports every five seconds on average, varied by half, the first earlier", () => {
    for (const seed of [1, 2, 3]) {
      const { reporter } = setUp(seed);
      const times: number[] = [];
      for (let now = 0; now < 1_000_000; now += 20) if (reporter.due(now)) times.push(now);
      assert.ok(times[0] >= 1000 && times[0] <= 3200, String(times[0]));
      const gaps = times.slice(1).map((time, i) => time - times[i]);
      assert.ok(gaps.every((gap) => gap >= 2040 && gap <= 6180));
      assert.ok(new Set(gaps).size > 50);
    }
  });

  it("is a receiver report while nothing is sent, a sender report while something is", () => {
    const { sender, reporter } = setUp();
    assert.equal(report(reporter.report(0, WALL)).sender, undefined);
    sender.tick(true);
    sender.tick(true);
    const { sender: info } = report(reporter.report(0, WALL));
    assert.equal(info?.packetCount, 2);
    assert.equal(info.octetCount, 320);
    assert.equal(info.rtpTimestamp, 320);
    assert.equal(info.ntpSeconds, ntpTime(WALL).seconds);
    assert.equal(report(reporter.report(0, WALL)).sender, undefined);
  });

  it("tells about the source that is heard, with the time since its last report", () => {
    const { receiver, reporter } = setUp();
    const datagram = Buffer.alloc(172);
    writeRtpHeader(datagram, {
      marker: false,
      payloadType: 0,
      sequenceNumber: 5,
      timestamp: 0,
      ssrc: 22,
    });
    receiver.datagram(datagram, "192.0.2.1", 4000, 0);
    const time = ntpTime(WALL);
    const sender = {
      ntpSeconds: time.seconds,
      ntpFraction: time.fraction,
      rtpTimestamp: 0,
      packetCount: 1,
      octetCount: 160,
    };
    const theirs = writeRtcp({ ssrc: 22, sender, blocks: [], canonicalName: "x" });
    assert.ok(reporter.datagram(theirs, 1000, WALL));
    const [block] = report(reporter.report(3000, WALL)).blocks;
    assert.equal(block.ssrc, 22);
    assert.equal(block.lastSenderReport, compactNtp(time));
    assert.equal(block.delaySinceLastSenderReport, 2 * 65_536);
  });

  it("reckons the round trip from the peer's report", () => {
    const { reporter } = setUp();
    const block = {
      ssrc: 11,
      fractionLost: 0,
      cumulativeLost: 0,
      highestSequence: 0,
      jitter: 0,
      lastSenderReport: compactNtp(ntpTime(WALL)),
      delaySinceLastSenderReport: 65_536,
    };
    const theirs = writeRtcp({ ssrc: 22, sender: undefined, blocks: [block], canonicalName: "x" });
    assert.equal(reporter.roundTripMs, undefined);
    reporter.datagram(theirs, 0, WALL + 1080);
    assert.ok(Math.abs((reporter.roundTripMs ?? 0) - 80) < 1);
  });

  it("believes no round trip of another source, without a report, or of minutes", () => {
    const { reporter } = setUp();
    const base = {
      ssrc: 11,
      fractionLost: 0,
      cumulativeLost: 0,
      highestSequence: 0,
      jitter: 0,
      lastSenderReport: compactNtp(ntpTime(WALL)),
      delaySinceLastSenderReport: 0,
    };
    for (const block of [
      { ...base, ssrc: 12 },
      { ...base, lastSenderReport: 0 },
      { ...base, delaySinceLastSenderReport: 0x7fff_ffff },
      { ...base, lastSenderReport: 12_345 },
    ]) {
      const theirs = writeRtcp({ ssrc: 2, sender: undefined, blocks: [block], canonicalName: "x" });
      reporter.datagram(theirs, 0, WALL);
      assert.equal(reporter.roundTripMs, undefined);
    }
  });

  it("ends with BYE", () => {
    const { reporter } = setUp();
    const packets = readRtcp(reporter.report(0, WALL, true)) ?? [];
    assert.deepEqual(packets.at(-1), { type: "bye", sources: [11] });
  });

  it("survives 20,000 mutated compounds", () => {
    const random = new SeededRandom(1889);
    const { reporter } = setUp();
    const seed = writeRtcp({
      ssrc: 22,
      sender: { ntpSeconds: 1, ntpFraction: 2, rtpTimestamp: 3, packetCount: 4, octetCount: 5 },
      blocks: [
        {
          ssrc: 11,
          fractionLost: 0,
          cumulativeLost: 0,
          highestSequence: 0,
          jitter: 0,
          lastSenderReport: 1,
          delaySinceLastSenderReport: 1,
        },
      ],
      canonicalName: "abc",
      bye: true,
    });
    for (let round = 0; round < 20_000; round++) {
      const datagram = Buffer.from(seed);
      for (let change = 0; change < 4; change++) {
        datagram[Math.floor(random.next() * datagram.length)] = Math.floor(random.next() * 256);
      }
      const cut = random.next() < 0.5 ? Math.floor(random.next() * datagram.length) : seed.length;
      reporter.datagram(datagram.subarray(0, cut), round, WALL + round);
    }
    const { roundTripMs } = reporter;
    assert.ok(roundTripMs === undefined || roundTripMs < 60_000);
  });
});
