import { strict as assert } from "node:assert";
import { describe, it } from "mocha";
import { ShortLivedMap } from "../../../lib/foundation/index.js";

describe("a map for values that come and go", () => {
  it("gives back what was put in, in order of insertion", () => {
    const map = new ShortLivedMap<string, { n: number }>();
    map.set("a", { n: 1 }).set("b", { n: 2 });
    assert.equal(map.size, 2);
    assert.deepEqual(map.get("a"), { n: 1 });
    assert.equal(map.has("b"), true);
    assert.deepEqual([...map.keys()], ["a", "b"]);
    assert.deepEqual([...map.values()], [{ n: 1 }, { n: 2 }]);
    assert.deepEqual([...map], [["a", { n: 1 }] as const, ["b", { n: 2 }] as const]);
    const seen: unknown[] = [];
    map.forEach((value, key, whole) => seen.push([key, value.n, whole === map]));
    assert.deepEqual(seen, [
      ["a", 1, true],
      ["b", 2, true],
    ]);
  });

  it("replaces a value in its place", () => {
    const map = new ShortLivedMap<string, { n: number }>();
    map.set("a", { n: 1 }).set("b", { n: 2 }).set("a", { n: 3 });
    assert.deepEqual(
      [...map.values()].map(({ n }) => n),
      [3, 2],
    );
  });

  it("forgets what was deleted, once", () => {
    const map = new ShortLivedMap<string, { n: number }>();
    map.set("a", { n: 1 });
    assert.equal(map.delete("a"), true);
    assert.equal(map.delete("a"), false);
    assert.equal(map.get("a"), undefined);
    assert.equal(map.has("a"), false);
    assert.equal(map.size, 0);
  });

  it("is walked while values leave and come", () => {
    const map = new ShortLivedMap<number, { n: number }>();
    for (let n = 0; n < 4; n++) map.set(n, { n });
    const seen: number[] = [];
    for (const [key, { n }] of map) {
      seen.push(n);
      map.delete(key);
      map.delete(2);
      if (key === 0) map.set(9, { n: 9 });
    }
    assert.deepEqual(seen, [0, 1, 3, 9]);
    assert.equal(map.size, 0);
  });
});
