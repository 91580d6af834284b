import assert from "node:assert/strict";
import { orderNaptr, orderSrv } from "../../../lib/transport/srv-order.js";
import type { SrvRecord } from "../../../lib/transport/transport.js";
import { SeededRandom } from "../../support/seeded-random.js";

function srv(name: string, priority: number, weight: number): SrvRecord {
  return { name, priority, weight, port: 5060 };
}

describe("the order of SRV records (RFC 2782)", () => {
  it("goes by priority, lowest first", () => {
    const records = [srv("c", 30, 0), srv("a", 10, 0), srv("b", 20, 100)];
    const names = orderSrv(records, new SeededRandom(5)).map((r) => r.name);
    assert.deepEqual(names, ["a", "b", "c"]);
  });

  it("draws by weight within a priority, and loses none", () => {
    const records = [srv("heavy", 1, 75), srv("light", 1, 25)];
    const random = new SeededRandom(7);
    let heavyFirst = 0;
    for (let i = 0; i < 2000; i++) {
      const order = orderSrv(records, random);
      assert.equal(order.length, 2);
      if (order[0]?.name === "heavy") heavyFirst++;
    }
    assert.ok(heavyFirst > 1400 && heavyFirst < 1600, String(heavyFirst));
  });

  it("draws weight 0 rarely, but does", () => {
    const records = [srv("heavy", 1, 9), srv("zero", 1, 0)];
    const random = new SeededRandom(9);
    let zeroFirst = 0;
    for (let i = 0; i < 2000; i++) if (orderSrv(records, random)[0]?.name === "zero") zeroFirst++;
    assert.ok(zeroFirst > 100 && zeroFirst < 320, String(zeroFirst));
  });

  it("copes with only zero weights", () => {
    const records = [srv("a", 1, 0), srv("b", 1, 0), srv("c", 1, 0)];
    const names = orderSrv(records, new SeededRandom(1)).map((r) => r.name);
    assert.deepEqual(names.sort(), ["a", "b", "c"]);
  });

  it("leaves the given list alone", () => {
    const records = Object.freeze([srv("b", 2, 0), srv("a", 1, 0)]);
    orderSrv(records, new SeededRandom(1));
    assert.equal(records[0]?.name, "b");
  });
});

describe("the order of NAPTR records (RFC 3403 §4.1)", () => {
  it("goes by order, then preference", () => {
    const base = { flags: "s", service: "", regexp: "", replacement: "" };
    const records = [
      { ...base, order: 20, preference: 1, service: "c" },
      { ...base, order: 10, preference: 50, service: "b" },
      { ...base, order: 10, preference: 10, service: "a" },
    ];
    assert.deepEqual(
      orderNaptr(records).map((r) => r.service),
      ["a", "b", "c"],
    );
  });
});
