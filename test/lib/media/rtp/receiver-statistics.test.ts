import assert from "node:assert/strict";
import { ReceiverStatistics } from "../../../../lib/media/rtp/receiver-statistics.js";

/** Feeds packets 20 ms apart with the given sequence numbers. */
function received(sequence: number[], start = sequence[0]): ReceiverStatistics {
  const statistics = new ReceiverStatistics(1, start, 8000);
  for (const [index, number] of sequence.entries()) {
    statistics.packet(number & 0xffff, (index * 160) >>> 0, index * 20);
  }
  return statistics;
}

const run = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => (from + i) & 0xffff);

describe("ReceiverStatistics", () => {
  const CASES: [string, number[], number, number][] = [
    ["no loss", run(5, 10), 10, 0],
    ["no loss over the wrap", run(0xfffa, 12), 12, 0],
    ["a start at 0", run(0, 10), 10, 0],
    ["one lost", [1, 2, 4, 5], 4, 1],
    ["one lost at the wrap", [0xfffe, 0, 1], 3, 1],
    ["reordered", [1, 3, 2, 4], 4, 0],
    ["reordered over the wrap", [0xffff, 1, 0, 2], 4, 0],
    ["one doubled hides one lost", [1, 2, 2, 4], 4, 0],
    ["a stray far away does not count", [1, 2, 40_000, 3, 4], 4, 0],
    ["a restart after two in a row", [1, 2, 40_000, 40_001, 40_002], 4, 0],
    ["loss before a restart is kept", [1, 3, 40_000, 40_001, 40_003], 4, 2],
  ];
  for (const [name, sequence, count, lost] of CASES) {
    it(`counts ${name}`, () => {
      const statistics = received(sequence);
      assert.equal(statistics.received, count);
      assert.equal(statistics.lost, lost);
    });
  }

  it("reports the share lost since the last report", () => {
    const statistics = received([0, 1, 2, 4]);
    assert.equal(statistics.report(0, 0).fractionLost, Math.floor(256 / 5));
    for (const sequence of [5, 6, 7]) statistics.packet(sequence, sequence * 160, sequence * 20);
    const second = statistics.report(7, 8);
    assert.equal(second.fractionLost, 0);
    assert.equal(second.cumulativeLost, 1);
    assert.equal(second.highestSequence, 7);
    assert.equal(second.lastSenderReport, 7);
    assert.equal(second.delaySinceLastSenderReport, 8);
  });

  it("counts wraps into the extended highest number", () => {
    assert.equal(received(run(0xfff0, 0x20)).highest, 0x1_000f);
  });

  it("has no jitter for an even stream and the mean deviation for an uneven one", () => {
    assert.equal(received(run(0, 100)).jitterMs, 0);
    const statistics = new ReceiverStatistics(1, 0, 8000);
    for (let i = 0; i < 1000; i++) statistics.packet(i, i * 160, i * 20 + (i % 2) * 4);
    assert.ok(Math.abs(statistics.jitterMs - 4) < 0.05, String(statistics.jitterMs));
  });

  it("keeps jitter small when the timestamp wraps or the sender's clock jumps", () => {
    const statistics = new ReceiverStatistics(1, 0, 8000);
    for (let i = 0; i < 10; i++) statistics.packet(i, (0xffff_fe00 + i * 160) >>> 0, i * 20);
    assert.ok(statistics.jitterMs < 0.01);
    for (let i = 10; i < 20; i++) statistics.packet(i, 1_000_000_000 + i * 160, i * 20);
    assert.ok(statistics.jitterMs < 0.01);
  });

  it("leaves packets without a timestamp of their own out of the jitter", () => {
    const statistics = new ReceiverStatistics(1, 0, 8000);
    for (let i = 0; i < 50; i++) statistics.packet(i, i % 5 === 0 ? i * 160 : undefined, i * 20);
    assert.equal(statistics.jitterMs, 0);
    assert.equal(statistics.received, 50);
  });
});
