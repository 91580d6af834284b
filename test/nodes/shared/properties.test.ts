import assert from "node:assert/strict";
import { bodyFrom } from "../../../nodes/shared/bodies.js";
import {
  checkedHeader,
  headersOfObject,
  isHttpAnswer,
  mergeHeaders,
} from "../../../nodes/shared/header-input.js";
import { parseTargets } from "../../../nodes/shared/invite-targets.js";
import * as properties from "../../../nodes/shared/properties.js";
import { jsonCopy, readCarried, withoutUndefined } from "../../../nodes/shared/sip-fields.js";

const literal = { type: "str", literal: true };
const option = { type: "option", literal: false };

describe("properties", () => {
  const good: [string, properties.Property<unknown>, unknown, unknown][] = [
    ["seconds become milliseconds", properties.seconds(60), "1.5", 1500],
    ["numbers may be numbers", properties.milliseconds(0), 12.25, 12.25],
    ["a number as text may have spaces", properties.number(0), " 7 ", 7],
    ["a list is an array", properties.list, ["a", "b"], ["a", "b"]],
    ["a list is comma-separated", properties.list, " a, ,b ", ["a", "b"]],
    ["a flag of a flow file may be text", properties.flag(false), "true", true],
    ["loop may be a number of times", properties.loop, "3", 3],
    ["loop may be for ever", properties.loop, true, true],
    ["a status code in range", properties.statusCode(300, 699), "486", 486],
    ["a text may be a number", properties.text(), 42, "42"],
  ];
  for (const [name, property, value, expected] of good) {
    it(name, () => assert.deepEqual(property.parse(value, "x", literal), expected));
  }

  const bad: [string, properties.Property<unknown>, unknown][] = [
    ["hexadecimal", properties.number(0), "0x10"],
    ["an exponent", properties.number(0), "1e9"],
    ["a negative number", properties.number(0), -1],
    ["no number", properties.number(0), Number.NaN],
    ["an infinite number", properties.seconds(0), Number.POSITIVE_INFINITY],
    ["a number that is an object", properties.number(0), {}],
    ["a flag that is a number", properties.flag(false), 1],
    ["a word that is not offered", properties.choice(["a", "b"], "a"), "c"],
    ["a status code out of range", properties.statusCode(300, 699), 200],
    ["a broken status code", properties.statusCode(300, 699), 486.5],
    ["a text that is an object", properties.text(), {}],
    ["a list of objects", properties.list, [{}]],
    ["a loop of zero", properties.loop, 0],
  ];
  for (const [name, property, value] of bad) {
    it(`refuses ${name}`, () => {
      assert.throws(() => property.parse(value, "x", option), {
        rule: "bad-option",
        message: /"x"/,
      });
    });
  }

  it("a flag in msg.options must be a boolean", () => {
    assert.throws(() => properties.flag(false).parse("true", "x", option), { rule: "bad-option" });
  });

  for (const breaking of ["a\rb", "a\nb", "a\0b"]) {
    it(`refuses ${JSON.stringify(breaking)} in every text`, () => {
      for (const property of [properties.text(), properties.optionalText, properties.typedText()]) {
        assert.throws(() => property.parse(breaking, "x", option), { rule: "bad-text" });
      }
    });
  }
});

describe("headers of a flow", () => {
  it("merge without regard to case, replace and remove", () => {
    const own = [
      ["X-A", "1"],
      ["x-a", "2"],
      ["X-B", "3"],
      ["X-C", "4"],
    ] as const;
    const merged = mergeHeaders(own, { "x-A": ["5", "6"], "x-b": null, "X-D": 7 });
    assert.deepEqual(merged, [
      ["X-C", "4"],
      ["x-A", "5"],
      ["x-A", "6"],
      ["X-D", "7"],
    ]);
  });

  for (const name of [
    ..."Via From To Call-ID CSeq Max-Forwards Contact Route Record-Route Content-Length RSeq RAck".split(
      " ",
    ),
    "Authorization",
    "Proxy-Authorization",
    ..."v f t i m l".split(" "),
    "vIA",
  ]) {
    it(`refuses ${name}, even to remove it`, () => {
      assert.throws(() => checkedHeader(name, "x"), { rule: "bad-header" });
      assert.throws(() => headersOfObject({ [name]: null }), { rule: "bad-header" });
      assert.throws(() => headersOfObject({ [name]: [] }), { rule: "bad-header" });
    });
  }

  for (const name of ["", "a b", "a:", "a\r\n", "ä", "a\0"]) {
    it(`refuses the name ${JSON.stringify(name)}`, () => {
      assert.throws(() => checkedHeader(name, "x"), { rule: "bad-header" });
    });
  }

  it("knows what a core http request left behind", () => {
    assert.equal(isHttpAnswer({ "x-node-red-request-node": "1" }), true);
    assert.equal(isHttpAnswer({ via: "x" }), false);
    assert.equal(isHttpAnswer(null), false);
  });
});

describe("bodies", () => {
  it("are strings, Buffers, or JSON where the type says so", () => {
    assert.equal(bodyFrom("x", "text/plain"), "x");
    assert.deepEqual(bodyFrom(Buffer.from("x"), "image/png"), Buffer.from("x"));
    assert.equal(bodyFrom({ a: 1 }, "application/json"), '{"a":1}');
    assert.equal(bodyFrom([1], "application/vnd.x+JSON; charset=utf-8"), "[1]");
  });

  it("are refused otherwise", () => {
    const loop: Record<string, unknown> = {};
    loop["loop"] = loop;
    for (const [value, type] of [
      [5, "text/plain"],
      [undefined, "application/json"],
      [null, "text/plain"],
      [loop, "application/json"],
    ] as const) {
      assert.throws(() => bodyFrom(value, type), { rule: "bad-body" });
    }
  });
});

describe("targets", () => {
  it("are never split, and blanks are left out", () => {
    assert.deepEqual(parseTargets("a, b"), ["a, b"]);
    assert.deepEqual(parseTargets([" sip:a@b ", "", null, 200]), ["sip:a@b", "200"]);
  });

  for (const value of [undefined, "", [], [null]]) {
    it(`${JSON.stringify(value)} is nobody`, () => {
      assert.throws(() => parseTargets(value), { rule: "no-target" });
    });
  }

  it("have seconds of their own, as a number or as text", () => {
    const targets = ["1.5", 1.5, "", undefined].map((timeout) => ({ uri: "sip:a@b", timeout }));
    const parsed = parseTargets(targets);
    assert.deepEqual(
      parsed.map((target) => (typeof target === "string" ? target : target.timeoutMs)),
      [1500, 1500, undefined, undefined],
    );
  });

  it("are at most 32", () => {
    assert.throws(() => parseTargets(new Array(33).fill("sip:a@b")), { rule: "bad-target" });
  });

  for (const value of [
    { uri: 5 },
    [[]],
    { uri: "a", timeout: "x" },
    { uri: "a", account: 1 },
    true,
  ]) {
    it(`${JSON.stringify(value)} is none`, () => {
      assert.throws(() => parseTargets(value), { rule: "bad-target" });
    });
  }
});

describe("msg.sip", () => {
  it("is read field by field, whatever it is", () => {
    const nothing = {
      session: undefined,
      peer: undefined,
      request: undefined,
      subscription: undefined,
      data: undefined,
    };
    for (const sip of [undefined, null, 5, "x", [], { session: 5, peer: {}, data: [] }]) {
      assert.deepEqual(readCarried(sip, structuredClone), nothing);
    }
  });

  it("never gets a forbidden key", () => {
    const hostile = JSON.parse(
      '{"a":{"__proto__":{"x":1},"b":[{"constructor":2}]},"prototype":1}',
    ) as object;
    assert.equal(JSON.stringify(jsonCopy(hostile)), '{"a":{"b":[{}]}}');
    assert.equal(
      JSON.stringify(withoutUndefined(hostile)),
      '{"a":{"__proto__":{"x":1},"b":[{"constructor":2}]}}',
    );
  });
});
