import assert from "node:assert/strict";
import { compactNtp, ntpTime, readRtcp, writeRtcp } from "../../../../lib/media/rtp/rtcp-packet.js";
import type { ReportBlock } from "../../../../lib/media/rtp/rtcp-packet.js";

const BLOCK: ReportBlock = {
  ssrc: 0xcafe,
  fractionLost: 64,
  cumulativeLost: 1000,
  highestSequence: 0x1_ffff,
  jitter: 17,
  lastSenderReport: 0xabcd_ef01,
  delaySinceLastSenderReport: 65_536,
};
const SENDER = {
  ntpSeconds: 0xe000_0000,
  ntpFraction: 0x8000_0000,
  rtpTimestamp: 160,
  packetCount: 5,
  octetCount: 800,
};

describe("RTCP compounds", () => {
  it("read back as written: sender report, description, BYE", () => {
    const datagram = writeRtcp({
      ssrc: 42,
      sender: SENDER,
      blocks: [BLOCK],
      canonicalName: "abcdefgh",
      bye: true,
    });
    assert.equal(datagram.length % 4, 0);
    assert.deepEqual(readRtcp(datagram), [
      { type: "report", ssrc: 42, sender: SENDER, blocks: [BLOCK] },
      { type: "bye", sources: [42] },
    ]);
  });

  it("are receiver reports when nothing was sent", () => {
    const datagram = writeRtcp({ ssrc: 1, sender: undefined, blocks: [], canonicalName: "x" });
    assert.equal(datagram[1], 201);
    assert.deepEqual(readRtcp(datagram), [
      { type: "report", ssrc: 1, sender: undefined, blocks: [] },
    ]);
  });

  it("carry a source description whose length is right for every name", () => {
    for (let length = 0; length <= 260; length++) {
      const datagram = writeRtcp({
        ssrc: 1,
        sender: undefined,
        blocks: [],
        canonicalName: "n".repeat(length),
      });
      assert.equal(datagram[8 + 1], 202);
      assert.equal((datagram.readUInt16BE(8 + 2) + 1) * 4, datagram.length - 8);
      assert.equal(datagram[8 + 9], Math.min(length, 255));
      assert.equal(datagram[datagram.length - 1], 0);
    }
  });

  it("keep a negative loss and clamp one that does not fit", () => {
    for (const [lost, expected] of [
      [-3, -3],
      [0x80_0000, 0x7f_ffff],
      [-0x90_0000, -0x80_0000],
    ]) {
      const datagram = writeRtcp({
        ssrc: 1,
        sender: undefined,
        blocks: [{ ...BLOCK, cumulativeLost: lost }],
        canonicalName: "x",
      });
      const [report] = readRtcp(datagram) ?? [];
      assert.ok(report.type === "report");
      assert.equal(report.blocks[0].cumulativeLost, expected);
    }
  });

  const good = writeRtcp({ ssrc: 1, sender: SENDER, blocks: [BLOCK], canonicalName: "x" });
  const REFUSED: [string, Buffer][] = [
    ["nothing", Buffer.alloc(0)],
    ["three bytes", good.subarray(0, 3)],
    ["a length beyond the datagram", Buffer.from([0x80, 200, 0, 6, 0, 0, 0, 1])],
    ["another version", Buffer.from([0x40, 201, 0, 1, 0, 0, 0, 1])],
    ["a description first", Buffer.from([0x81, 202, 0, 1, 0, 0, 0, 1])],
  ];
  for (const [name, datagram] of REFUSED) {
    it(`are refused: ${name}`, () => assert.equal(readRtcp(datagram), undefined));
  }

  it("with a sender report shorter than a sender report give nothing", () => {
    assert.deepEqual(readRtcp(Buffer.from([0x80, 200, 0, 1, 0, 0, 0, 1])), []);
    assert.deepEqual(readRtcp(Buffer.from([0x80, 200, 0, 0])), []);
  });

  it("with more blocks announced than there are give those that are there", () => {
    const datagram = Buffer.from(good);
    datagram[0] = 0x80 | 31;
    const [report] = readRtcp(datagram) ?? [];
    assert.ok(report.type === "report" && report.blocks.length === 1);
  });

  it("with a BYE that names more sources than it has give those that it has", () => {
    const bye = Buffer.from([0x80 | 31, 203, 0, 1, 0, 0, 0, 9]);
    const packets = readRtcp(Buffer.concat([good, bye])) ?? [];
    assert.deepEqual(packets.at(-1), { type: "bye", sources: [9] });
  });
});

describe("NTP time", () => {
  it("counts from 1900", () => {
    assert.deepEqual(ntpTime(0), { seconds: 2_208_988_800, fraction: 0 });
    assert.deepEqual(ntpTime(1500), { seconds: 2_208_988_801, fraction: 0x8000_0000 });
  });

  it("is compacted to its middle 32 bits", () => {
    assert.equal(compactNtp({ seconds: 0xaaaa_bbbb, fraction: 0xcccc_dddd }), 0xbbbb_cccc);
  });
});
