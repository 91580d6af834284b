/** Whatever a flow sends into a node: exactly one output or one error for each input, and nothing thrown. */
import assert from "node:assert/strict";
import { randomInteger } from "../../lib/index.js";
import { NodeBench, stack, useNodeRed } from "../support/node-bench.js";
import { SeededRandom } from "../support/seeded-random.js";

const TYPES = [
  "accept",
  "progress",
  "reject",
  "bye",
  "refer",
  "session",
  "dtmf",
  "message",
  "invite",
  "register",
  "play",
  "gather",
];
const INPUTS = 60;

describe("hostile inputs", () => {
  useNodeRed();
  let bench: NodeBench;
  beforeEach(() => {
    bench = new NodeBench();
    bench.checksPlainData = false;
  });
  afterEach(() => bench.unload());

  for (const type of TYPES) {
    it(`sip-${type} answers every input once`, async () => {
      const random = new SeededRandom(TYPES.indexOf(type) + 1);
      const pick = <T>(values: readonly T[]): T => values[randomInteger(random, values.length)];
      await bench.load([
        stack(),
        { id: "in", type: "sip-incoming", stack: "stack" },
        { id: "act", type: `sip-${type}`, stack: "stack" },
      ]);
      const outputs = [1, 2, 3, 4].map((output) => `act:${output}`);
      for (let i = 0; i < INPUTS; i++) {
        const session = bench.userAgent.ring();
        assert.ok(session);
        await bench.settle(6);
        if (pick([true, false])) session.answer();
        await bench.settle(6);
        bench.clear();
        const junk = (): unknown =>
          pick<unknown>([
            undefined,
            null,
            "",
            "x\r\ny",
            "sip:a@b",
            "123",
            -1,
            Number.NaN,
            1e308,
            true,
            [],
            [[]],
            {},
            { uri: "sip:a@b" },
            Buffer.from("x"),
            JSON.parse('{"__proto__":{"a":1}}'),
            "9".repeat(5000),
            "tone:beep",
            "../../etc/passwd",
          ]);
        const msg: Record<string, unknown> = {};
        for (const name of ["payload", "options", "headers", "sdp", "control", "topic"]) {
          if (pick([true, false])) msg[name] = junk();
        }
        if (pick([true, true, false])) {
          const names = [
            "to",
            "statusCode",
            "reason",
            "loop",
            "min",
            "source",
            "method",
            "contacts",
            "account",
            "session",
          ];
          msg["options"] = Object.fromEntries(
            names.filter(() => pick([true, false, false])).map((name) => [name, junk()]),
          );
        }
        msg["sip"] = pick<unknown>([
          { session: session.id },
          { session: session.id, data: { a: junk() } },
          { session: session.id, request: "nobody", peer: junk() },
          { session: "gone", data: junk() },
          junk(),
        ]);
        await bench.input("act", msg);
        await new Promise((resolve) => setTimeout(resolve, 1));
        // What still waits is released by the end of the calls.
        for (const { session: placed } of bench.userAgent.invites) placed.close("timeout");
        session.close("remote-bye");
        await bench.settle(20);
        const left = bench.order().filter((from) => outputs.includes(from));
        const furtherMessages =
          type === "invite" ? bench.of("act:2").length + bench.of("act:4").length : 0;
        const failed = bench.of("caught").length;
        const seen = `input ${i}: ${JSON.stringify(msg)} → ${bench.order().join(" ")}`;
        // An option that names another session may have no end to wait for.
        assert.equal(left.length - furtherMessages + failed + silent(bench), 1, seen);
        assert.equal(bench.of("completed").length, 1 - failed, seen);
      }
    });
  }
});

/** Control words end with `done()` alone. */
function silent(bench: NodeBench): number {
  const done = bench.of("completed").length;
  const left = bench.order().filter((from) => /^act:[13]$|^act:2$|^act:4$/.test(from)).length;
  return done === 1 && left === 0 ? 1 : 0;
}
