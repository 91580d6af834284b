import assert from "node:assert/strict";
import { SampleQueue } from "../../../../lib/media/audio/sample-queue.js";
import { SeededRandom } from "../../../support/seeded-random.js";

const samples = (...values: number[]): Int16Array => Int16Array.from(values);

function taken(queue: SampleQueue, count: number): number[] {
  const target = new Int16Array(count);
  return [...target.subarray(0, queue.take(target, count))];
}

describe("SampleQueue", () => {
  it("gives what came in the order in which it came, and no more", () => {
    const queue = new SampleQueue(10);
    assert.deepEqual(taken(queue, 3), []);
    assert.equal(queue.push(samples(1, 2, 3)), 0);
    assert.equal(queue.push(samples(4)), 0);
    assert.deepEqual(taken(queue, 2), [1, 2]);
    assert.deepEqual(taken(queue, 9), [3, 4]);
    assert.equal(queue.length, 0);
  });

  it("drops the oldest of what is too much, even of one piece", () => {
    const queue = new SampleQueue(4);
    queue.push(samples(1, 2, 3));
    assert.equal(queue.push(samples(4, 5)), 1);
    assert.equal(queue.push(samples(6, 7, 8, 9, 10, 11)), 6);
    assert.deepEqual(taken(queue, 9), [8, 9, 10, 11]);
    assert.equal(queue.push(new Int16Array(0)), 0);
  });

  it("does what a list does, whatever is pushed, taken and cleared in any order", () => {
    const random = new SeededRandom(7);
    const queue = new SampleQueue(20_000);
    let list: number[] = [];
    let next = 0;
    for (let round = 0; round < 3000; round++) {
      const count = Math.floor(random.next() * (round % 50 === 0 ? 30_000 : 600));
      const act = random.next();
      if (act < 0.55) {
        const pushed = Array.from({ length: count }, () => next++ % 30_000);
        list.push(...pushed);
        const dropped = Math.max(0, list.length - 20_000);
        list = list.slice(dropped);
        assert.equal(queue.push(Int16Array.from(pushed)), dropped);
      } else if (act < 0.995) {
        assert.deepEqual(taken(queue, count), list.splice(0, count));
      } else {
        assert.equal(queue.clear(), list.length);
        list = [];
      }
      assert.equal(queue.length, list.length);
    }
  });
});
