/** What stands behind the test buttons, without a network: the table of reasons, a run's limit, whom one may call. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { SessionEvent } from "../../../lib/index.js";
import {
  forgetTargets,
  rememberTarget,
  suggestedTargets,
} from "../../../nodes/shared/recent-targets.js";
import { testReason, testReasons, type TestProblem } from "../../../nodes/shared/test-reasons.js";
import { TEST_LIMIT_MS, TestFailure, TestRun, TestRuns } from "../../../nodes/shared/test-run.js";
import { ManualClock } from "../../support/manual-clock.js";

const { reason: texts } = (
  JSON.parse(
    readFileSync(resolve(__dirname, "../../../nodes/locales/en-US/sip-stack.json"), "utf8"),
  ) as { test: { reason: Record<string, string> } }
).test;

describe("the reasons of a test", () => {
  const register = (statusCode: number, more: Partial<TestProblem> = {}): TestProblem => ({
    step: "register",
    statusCode,
    protocol: "tcp",
    hasPassword: true,
    ...more,
  });
  const cases: [TestProblem, string | undefined][] = [
    [register(401), "wrongPassword"],
    [register(407), "wrongPassword"],
    [register(401, { hasPassword: false }), "needsPassword"],
    [register(407, { hasPassword: false }), "needsPassword"],
    [register(403), "forbidden"],
    [register(404), "unknownUser"],
    [register(604), "unknownUser"],
    [register(405), "noRegistrar"],
    [register(501), "noRegistrar"],
    [register(405, { step: "options" }), "refused"],
    [register(408), "answered408"],
    [register(416), "scheme"],
    [register(420), "extension"],
    [register(421), "extension"],
    [register(423), "tooShort"],
    [register(439), "outbound"],
    [register(480), "wrongDomain"],
    [register(483), "wrongDomain"],
    [register(503), "serverTrouble"],
    [register(302), "elsewhere"],
    [register(499), "refused"],
    [register(0), "noAnswer"],
    [register(0, { protocol: "udp" }), "noAnswerUdp"],
    [{ step: "dns", code: "E_DNS" }, "unknownName"],
    [{ step: "dns", code: "E_ARGUMENT" }, "settings"],
    [{ step: "socket", code: "ECONNREFUSED", protocol: "tcp" }, "closed"],
    [{ step: "socket", code: "ECONNREFUSED", protocol: "udp" }, "closedUdp"],
    [{ step: "socket", code: "ENETUNREACH" }, "noRoute"],
    [{ step: "socket", code: "ETIMEDOUT" }, "silent"],
    [{ step: "socket", code: "EADDRINUSE" }, "taken"],
    [{ step: "socket", code: "EACCES" }, "forbiddenPort"],
    [{ step: "tls" }, "tls"],
    [{ step: "socket", code: "EWHATEVER" }, undefined],
  ];
  for (const [problem, key] of cases)
    it(`is ${key ?? "the error's own words"} for ${JSON.stringify(problem)}`, () => {
      assert.equal(testReason(problem), key);
    });

  it("has a case above for every row, and a text for every key", () => {
    const keys = new Set(cases.map(([, key]) => key));
    for (const { key } of testReasons) {
      assert.ok(keys.has(key), key);
      assert.equal(typeof texts[key], "string", key);
    }
  });
});

describe("a run of a test", () => {
  it("keeps its steps with their times, without line breaks or endless texts of a peer", async () => {
    const clock = new ManualClock();
    const run = new TestRun(clock);
    await run.step("dns", () => {
      clock.advance(12);
      return { text: `a\r\n${"b".repeat(5_000)}`, detail: "\u0000" };
    });
    const [step] = run.result().steps;
    assert.equal(step?.ms, 12);
    assert.doesNotMatch(`${step?.text}${step?.detail}`, /[\r\n\0]/);
    assert.ok((step?.text.length ?? 0) < 1_000);
    assert.equal(run.result().ok, true);
  });

  it("ends a wait after its limit, and never later than the limit of the whole", async () => {
    const clock = new ManualClock();
    const run = new TestRun(clock);
    const forever = new Promise<string>(() => undefined);
    const first = run.within(forever, 5_000, () => "late");
    clock.advance(5_000);
    assert.equal(await first, "late");
    const second = run.within(forever, 60_000, () => "late");
    clock.advance(TEST_LIMIT_MS - 5_000);
    assert.equal(await second, "late");
    assert.equal(run.left, 0);
  });

  it("is cancelled in the middle of a wait, and begins no further step", async () => {
    const run = new TestRun(new ManualClock());
    const wait = run.within(new Promise(() => undefined), 5_000, () => undefined);
    run.cancel();
    await assert.rejects(wait, TestFailure);
    await assert.rejects(run.step("tls", () => ({ text: "not to be seen" })));
    assert.doesNotMatch(JSON.stringify(run.result()), /not to be seen/);
  });

  it("is one at a time and node, and few at once", () => {
    const clock = new ManualClock();
    const runs = new TestRuns(2);
    assert.ok(runs.begin("a", clock));
    assert.equal(runs.begin("a", clock), undefined);
    assert.ok(runs.begin("b", clock));
    assert.equal(runs.begin("c", clock), undefined);
    runs.end("a");
    assert.ok(runs.begin("a", clock));
  });
});

describe("whom one may call", () => {
  const event = (name: string, uri: string, displayName?: string) =>
    ({ name, snapshot: { remote: { uri, displayName } } }) as unknown as SessionEvent;

  afterEach(forgetTargets);

  it("are at most 50 of the last callers and called, newest first, each once, no nonsense", () => {
    for (let i = 0; i < 200; i++)
      rememberTarget(event("incoming", `sip:${i}@example.com`, `N ${i}`));
    rememberTarget(event("inviting", "sip:150@example.com"));
    for (const uri of [
      "",
      "sip:anonymous@anonymous.invalid",
      `sip:${"x".repeat(300)}@h`,
      "sip:a b@h",
      "sip:<x>@h",
    ])
      rememberTarget(event("incoming", uri));
    rememberTarget(event("ended", "sip:never@example.com"));
    const targets = suggestedTargets([]);
    assert.equal(targets.length, 50);
    assert.deepEqual(targets[0], { uri: "sip:150@example.com", kind: "called" });
    assert.deepEqual(targets[1], { uri: "sip:199@example.com", name: "N 199", kind: "caller" });
    assert.equal(new Set(targets.map(({ uri }) => uri)).size, 50);
  });
});
