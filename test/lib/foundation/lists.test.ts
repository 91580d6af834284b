import assert from "node:assert/strict";
import { LinkedList, listOf } from "../../../lib/foundation/index.js";

function drain<T>(list: LinkedList<T>): T[] {
  const items: T[] = [];
  for (let item = list.shift(); item !== undefined; item = list.shift()) items.push(item);
  return items;
}

describe("listOf", () => {
  it("makes a list that can grow", () => {
    const list = listOf("a");
    list.push("b");
    assert.deepEqual(list, ["a", "b"]);
  });
});

describe("LinkedList", () => {
  it("gives items in the order they came", () => {
    const list = new LinkedList<number>();
    for (const item of [1, 2, 3]) list.push(item);
    assert.deepEqual(drain(list), [1, 2, 3]);
    assert.equal(list.shift(), undefined);
    list.push(4);
    assert.deepEqual(drain(list), [4]);
  });

  for (const [title, removed, rest] of [
    ["the first", 1, [2, 3, 2, 4, 5]],
    ["one in the middle, and of two only the first", 2, [1, 3, 2, 4, 5]],
    ["the last", 4, [1, 2, 3, 2, 5]],
    ["one that is not there", 9, [1, 2, 3, 2, 4, 5]],
  ] as const) {
    it(`takes out ${title}, and still grows at its end`, () => {
      const list = new LinkedList<number>();
      for (const item of [1, 2, 3, 2, 4]) list.push(item);
      list.remove(removed);
      list.push(5);
      assert.deepEqual(drain(list), rest);
    });
  }

  it("lets an item be added and taken out while it is emptied", () => {
    const list = new LinkedList<number>();
    for (const item of [1, 2, 3]) list.push(item);
    const seen: number[] = [];
    for (let item = list.shift(); item !== undefined; item = list.shift()) {
      seen.push(item);
      if (item === 1) {
        list.remove(2);
        list.push(4);
      }
    }
    assert.deepEqual(seen, [1, 3, 4]);
  });
});
