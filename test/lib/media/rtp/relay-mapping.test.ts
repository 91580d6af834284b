/** Numbers of another leg's packets in our stream. Hard cases: loss, order, wraps, another source, a new beginning. */
import assert from "node:assert/strict";
import { RelayMapping } from "../../../../lib/media/rtp/relay-mapping.js";

const CLOCK = 8000;

function relay(): {
  give(sequenceNumber: number, timestamp: number, ssrc?: number): string;
  interrupt(): void;
  skip(sequenceNumber: number): void;
} {
  const mapping = new RelayMapping();
  let next = { sequenceNumber: 65_534, timestamp: 0xffff_ff00 };
  return {
    give: (sequenceNumber, timestamp, ssrc = 7) => {
      const header = { sequenceNumber: sequenceNumber & 0xffff, timestamp: timestamp >>> 0, ssrc };
      if (!mapping.map(header, next, CLOCK)) return "late";
      const { begins, isNewest } = mapping;
      if (isNewest) {
        next = {
          sequenceNumber: (mapping.sequenceNumber + 1) & 0xffff,
          timestamp: (mapping.timestamp + 160) >>> 0,
        };
      }
      return `${mapping.sequenceNumber} ${mapping.timestamp}${begins ? " begins" : ""}`;
    },
    interrupt: () => mapping.interrupt(),
    skip: (sequenceNumber) => mapping.skip({ sequenceNumber, ssrc: 7 }),
  };
}

describe("packets of another leg", () => {
  it("go on where our stream was, over both wraps", () => {
    const { give } = relay();
    assert.equal(give(100, 5000), "65534 4294967040 begins");
    assert.equal(give(101, 5160), "65535 4294967200");
    assert.equal(give(102, 5320), "0 64");
  });

  it("leave gaps and their order as they are, also over the wrap of the source", () => {
    const { give } = relay();
    give(65_534, 0);
    assert.equal(give(65_537, 480), "1 224");
    assert.equal(give(65_536, 320), "0 64");
    assert.equal(give(65_536, 320), "0 64");
    assert.equal(give(65_538, 640), "2 384");
  });

  it("leave no gap for those that are not passed on", () => {
    const { give, skip } = relay();
    give(10, 1600);
    skip(11);
    skip(12);
    skip(12);
    assert.equal(give(13, 2080).split(" ")[0], "65535");
    assert.equal(give(15, 2400).split(" ")[0], "1");
    skip(9);
    assert.equal(give(14, 2240).split(" ")[0], "0");
  });

  it("from before the stretch are too late: their numbers are taken", () => {
    const { give, interrupt } = relay();
    give(10, 1600);
    give(11, 1760);
    interrupt();
    assert.match(give(13, 2080), /^0 .*begins$/);
    assert.equal(give(12, 1920), "late");
    assert.equal(give(14, 2240).split(" ")[0], "1");
    assert.equal(give(12, 1920), "late");
  });

  it("of another source begin a stretch right behind the last packet", () => {
    const { give } = relay();
    give(10, 1600, 1);
    assert.equal(give(40_000, 9, 2), "65535 4294967200 begins");
    assert.equal(give(11, 1760, 1), "0 64 begins");
  });

  it("that begin anew begin a stretch: timestamps, numbers, both ways", () => {
    const { give } = relay();
    give(10, 1600);
    assert.equal(give(11, 1600 + 100_000), "65535 4294967200 begins");
    assert.equal(give(12, 5), "0 64 begins");
    assert.equal(give(9_000, 165), "1 224 begins");
    assert.equal(give(100, 325), "2 384 begins");
  });
});
