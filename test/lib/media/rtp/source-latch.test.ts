import assert from "node:assert/strict";
import { SourceLatch } from "../../../../lib/media/rtp/source-latch.js";

const DESCRIBED = { address: "10.0.0.5", port: 4000 };
const SIGNALLING = "192.0.2.1";

function latch(): SourceLatch {
  const made = new SourceLatch();
  made.expect(DESCRIBED, SIGNALLING);
  return made;
}

describe("SourceLatch", () => {
  it("listens to nobody before a description came", () => {
    assert.equal(new SourceLatch().accepts("10.0.0.5", 4000, 1, 1), false);
  });

  it("takes the described address at once, and then only that one", () => {
    const source = latch();
    assert.ok(source.accepts("10.0.0.5", 4000, 1, 1));
    assert.deepEqual(source.latched, DESCRIBED);
    for (let i = 0; i < 100; i++) {
      assert.equal(source.accepts("10.0.0.5", 4001, 1, i), false);
      assert.equal(source.accepts(SIGNALLING, 4000, 1, i), false);
    }
    assert.ok(source.accepts("10.0.0.5", 4000, 2, 77));
  });

  const ROWS: [string, string, number][] = [
    ["the described host", "10.0.0.5", 2],
    ["the host of the signalling", SIGNALLING, 2],
    ["a stranger", "203.0.113.9", 4],
  ];
  for (const [name, address, wanted] of ROWS) {
    it(`takes another port of ${name} after ${wanted} packets in a row`, () => {
      const source = latch();
      for (let i = 1; i < wanted; i++) assert.equal(source.accepts(address, 9999, 5, i), false);
      assert.ok(source.accepts(address, 9999, 5, wanted));
      assert.deepEqual(source.latched, { address, port: 9999 });
      assert.equal(source.accepts("10.0.0.5", 4000, 1, 1), false);
    });
  }

  it("goes over the wrap of the sequence number", () => {
    const source = latch();
    assert.equal(source.accepts(SIGNALLING, 1, 5, 0xffff), false);
    assert.ok(source.accepts(SIGNALLING, 1, 5, 0));
  });

  it("does not count packets that are not in a row, or of several sources", () => {
    const source = latch();
    for (let i = 0; i < 1000; i++) {
      assert.equal(source.accepts("203.0.113.9", 9999, 5, i * 7), false);
      assert.equal(source.accepts("203.0.113.9", 9999, i, i), false);
      assert.equal(source.accepts("203.0.113.9", i, 5, i), false);
    }
    assert.equal(source.latched, undefined);
  });

  it("leaves the source of before to its last packets when the description changes", () => {
    const source = latch();
    source.accepts("10.0.0.5", 4000, 1, 1);
    source.expect({ address: "10.0.0.6", port: 6000 }, "10.0.0.5");
    for (let i = 2; i < 30; i++) assert.equal(source.accepts("10.0.0.5", 4000, 1, i), false);
    assert.ok(source.accepts("10.0.0.6", 6000, 7, 1));
    assert.equal(source.accepts("10.0.0.5", 4000, 1, 30), false);
  });

  it("knows the place of before by its description, when nothing had come from there yet", () => {
    const source = latch();
    source.expect({ address: "10.0.0.6", port: 6000 }, "10.0.0.5");
    for (let i = 2; i < 30; i++) assert.equal(source.accepts("10.0.0.5", 4000, 1, i), false);
    assert.ok(source.accepts("10.0.0.6", 6000, 7, 1));
  });

  it("takes it back when it goes on and nobody else speaks", () => {
    const source = latch();
    source.accepts("10.0.0.5", 4000, 1, 1);
    source.expect({ address: "10.0.0.6", port: 6000 }, SIGNALLING);
    let taken = 2;
    while (taken < 200 && !source.accepts("10.0.0.5", 4000, 1, taken)) taken++;
    assert.equal(taken, 51);
  });

  it("opens again when the description names another place, not when it is the same", () => {
    const source = latch();
    source.accepts("10.0.0.5", 4000, 1, 1);
    source.expect({ ...DESCRIBED }, SIGNALLING);
    assert.deepEqual(source.latched, DESCRIBED);
    source.expect({ address: "10.0.0.6", port: 4000 }, SIGNALLING);
    assert.equal(source.latched, undefined);
    assert.ok(source.accepts("10.0.0.6", 4000, 1, 2));
  });
});
