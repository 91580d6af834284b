/** What a stack with `sharedState` does with its group: registrations, statuses, limits, presence, settings, figures. */
import assert from "node:assert/strict";
import type { StackEvent } from "../../../lib/index.js";
import { replaceEnvironment } from "../../../nodes/shared/environment.js";
import { findEngine } from "../../../nodes/shared/engines.js";
import {
  SharedLimits,
  SharedPresence,
  SharedRegistrations,
} from "../../../nodes/shared/fleet/index.js";
import { metricsText } from "../../../nodes/shared/metrics.js";
import { type FakeGroup, FakeGroups } from "../../support/fake-group.js";
import { FakeAccount, type FakeUserAgent } from "../../support/fake-user-agent.js";
import { ManualClock } from "../../support/manual-clock.js";
import { account, type FlowEntry, NodeBench, stack, useNodeRed } from "../../support/node-bench.js";

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
const settle = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

describe("a stack that belongs to a group", () => {
  useNodeRed();
  let bench: NodeBench;
  let groups: FakeGroups;
  let group: FakeGroup;
  let names: string[];
  let restore: () => void;

  beforeEach(() => {
    bench = new NodeBench();
    groups = new FakeGroups();
    names = [];
    restore = replaceEnvironment({
      createGroup: ({ name, url }) => {
        names.push(`${name} ${url}`);
        return (group = groups.join("here"));
      },
    });
  });
  afterEach(async () => {
    await bench.unload();
    restore();
  });

  const load = (...nodes: FlowEntry[]): Promise<void> =>
    bench.load([stack({ sharedState: "redis://127.0.0.1" }), account(), ...nodes]);
  const ours = (): FakeAccount => {
    const found = bench.userAgent.accounts.get("account");
    assert.ok(found);
    return found;
  };
  /** Another instance that keeps the registration. */
  const other = (): FakeGroup => {
    const member = groups.join("there");
    member.lease("registration:account", { onGained: () => undefined, onLost: () => undefined });
    return member;
  };
  const happened = (userAgent: FakeUserAgent, event: Partial<StackEvent>): void =>
    userAgent.emit("stackEvent", { accountId: "account", ...event } as StackEvent);

  it("registers its accounts when it has their lease, and shares what the registrar said", async () => {
    await load();
    assert.deepEqual(names, ["stack redis://127.0.0.1"]);
    assert.equal(ours().options.register, false);
    assert.equal(ours().options.mayRegister?.(), true);
    assert.deepEqual(ours().calls, ["register"]);
    ours().learnt = { contact: "<sip:alice@10.0.0.1>", serviceRoute: ["<sip:edge;lr>"] };
    happened(bench.userAgent, { name: "registered", expires: 300 });
    assert.deepEqual(
      JSON.parse(groups.records.get("registration account")?.value ?? ""),
      ours().learnt,
    );
    happened(bench.userAgent, { name: "unregistered" });
    assert.equal(groups.records.has("registration account"), false);
  });

  it("stands by while another one registers, follows its route, and takes its place when it dies", async () => {
    const there = other();
    const facts = { contact: "<sip:alice@10.0.0.2>", serviceRoute: [] };
    there.put("registration", "account", JSON.stringify(facts), 60);
    await load({ id: "reg", type: "sip-register", account: "account" });
    assert.deepEqual(ours().calls, ["learn <sip:alice@10.0.0.2>"]);
    assert.equal(ours().options.mayRegister?.(), false);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const shown = bench.statuses("reg").at(-1);
    assert.deepEqual([shown?.fill, shown?.text], ["green", "standby (held by there)"]);
    await bench.input("reg", {});
    const [{ error }] = bench.of("caught");
    assert.equal(error.code, "E_STATE");
    assert.match(error.message, /there.*status/);
    groups.kill(there);
    await bench.settle();
    assert.deepEqual(ours().calls.slice(1), ["learn <sip:alice@10.0.0.2>", "register"]);
  });

  it("stands down when another one has taken it for dead", async () => {
    await load();
    const waiters = groups.leases.get("registration:account") ?? [];
    const there = other();
    groups.leases.set(
      "registration:account",
      [...(groups.leases.get("registration:account") ?? [])].reverse(),
    );
    waiters[0].onLost();
    assert.deepEqual(ours().calls, ["register", "stand down"]);
    assert.equal(ours().options.mayRegister?.(), false);
    await there.close();
  });

  it("hands its registrations over when it is drained, after they were taken back", async () => {
    await load();
    const there = other();
    ours().registration = { state: "unregistering" };
    findEngine("stack")?.drain.begin();
    await bench.settle();
    assert.equal(groups.leases.get("registration:account")?.[0]?.group, group);
    happened(bench.userAgent, { name: "unregistered" });
    await bench.settle();
    assert.equal(groups.leases.get("registration:account")?.[0]?.group, there);
    findEngine("stack")?.drain.end();
    await bench.settle();
    assert.deepEqual(ours().calls, ["register"]);
    assert.equal(groups.leases.get("registration:account")?.length, 2);
  });

  it("leaves accounts alone that register nowhere, and gives leases up with the account", async () => {
    await bench.load([
      stack({ sharedState: "redis://127.0.0.1" }),
      account({ register: false }, "quiet"),
      account(),
    ]);
    assert.deepEqual([...groups.leases.keys()], ["registration:account"]);
    assert.equal(bench.userAgent.accounts.get("quiet")?.options.mayRegister, undefined);
    await bench.deploy([stack({ sharedState: "redis://127.0.0.1" })]);
    assert.deepEqual(groups.leases.get("registration:account"), []);
  });

  it("says in status, list and figures whether the group is there", async () => {
    await load({ id: "reg", type: "sip-register", account: "account" });
    const engine = findEngine("stack");
    assert.ok(engine);
    assert.match(metricsText([engine]), /sip_group_connected\{[^}]*\} 1\n/);
    assert.match(metricsText([engine]), /sip_group_leases\{[^}]*\} 1\n/);
    group.setConnected(false);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const shown = bench.statuses("reg").at(-1);
    assert.equal(shown?.fill, "yellow");
    assert.match(shown?.text ?? "", /alone: shared state away/);
    assert.match(metricsText([engine]), /sip_group_connected\{[^}]*\} 0\n/);
  });

  it("names no group and no Redis without sharedState, and refuses what is no address without showing it", async () => {
    await bench.load([stack(), account()]);
    assert.deepEqual(names, []);
    assert.equal(findEngine("stack")?.group, undefined);
    assert.deepEqual(ours().calls, []);
    await bench.deploy([stack({ sharedState: "http://user:hidden-word@host" })]);
    const { problem = "" } = findEngine("stack") ?? {};
    assert.match(problem, /sharedState must be redis:/);
    assert.doesNotMatch(problem, /hidden-word/);
  });

  it("shares what sip-notify tells of a resource, and passes on what others tell", async () => {
    await load({ id: "n", type: "sip-notify", contentType: "text/plain" });
    const there = groups.join("there");
    const told: unknown[] = [];
    new SharedPresence(there, silent, (...news) => told.push(news));
    await bench.input("n", { payload: "busy", sip: { subscription: "s" } });
    const state = { contentType: "text/plain", body: "busy" };
    assert.deepEqual(told, [["presence", "desk@sip.test", state]]);
    const { lastState } = bench.userAgent.options;
    assert.deepEqual(await lastState?.("presence", "desk@sip.test"), state);
    assert.equal(await lastState?.("presence", "nobody@sip.test"), undefined);
    new SharedPresence(there, silent, () => undefined).told(
      { eventPackage: "presence", resource: "desk@sip.test" },
      { ...state, body: "free" },
    );
    assert.deepEqual(
      bench.userAgent.told.map((one) => one.state.body),
      ["free"],
    );
    for (const text of [
      "",
      "[]",
      "{}",
      '{"eventPackage":"a","resource":"b","contentType":"x\\r\\ny","body":""}',
    ])
      there.publish("presence", text);
    assert.equal(bench.userAgent.told.length, 1);
  });
});

describe("limits of accounts in a group", () => {
  it("are counted with what the others told within the last seconds", async () => {
    const clock = new ManualClock();
    const groups = new FakeGroups();
    const [a, b] = [groups.join("a"), groups.join("b")];
    const used = new Map([["x", { calls: 2, lastMinute: 5 }]]);
    const here = new SharedLimits(a, clock, () => new Map());
    const there = new SharedLimits(b, clock, () => used);
    assert.equal(here.others("x"), undefined);
    clock.advance(1_000);
    assert.deepEqual(here.others("x"), { calls: 2, lastMinute: 5 });
    assert.equal(there.others("x"), undefined, "not one's own");
    used.clear();
    clock.advance(1_000);
    assert.equal(here.others("x"), undefined);
    used.set("x", { calls: 1, lastMinute: 1 });
    clock.advance(1_000);
    groups.kill(b);
    assert.equal(here.others("x"), undefined, "the dead use nothing");
    for (const text of [
      "{",
      '{"instance":"a","usages":[["x",-1,2],[1],null,["y",1e99,0]]}',
      "null",
    ])
      a.hear("limits", text);
    assert.equal(here.others("x") ?? here.others("y"), undefined);
    here.close();
    there.close();
    await settle();
    assert.equal(clock.pendingTimers(), 0);
  });
});

describe("what a keeper of a registration reads in the group", () => {
  it("is left out when it is not what one of us has written", async () => {
    const groups = new FakeGroups();
    const [a, b] = [groups.join("a"), groups.join("b")];
    b.lease("registration:x", { onGained: () => undefined, onLost: () => undefined });
    const found = new FakeAccount({ id: "x", uri: "sip:x@sip.test" });
    const shared = new SharedRegistrations(a, { account: () => found }, silent, () => undefined);
    shared.enter("x");
    shared.open();
    for (const value of [
      "",
      "[]",
      '{"contact":1,"serviceRoute":[]}',
      '{"contact":"a\\nb","serviceRoute":[]}',
      '{"contact":"c"}',
    ]) {
      b.put("registration", "x", value, 60);
      b.publish("registration", "x");
      await settle();
    }
    assert.deepEqual(found.calls, []);
    a.setConnected(false);
    b.publish("registration", "x");
    await settle();
    a.setConnected(true);
    b.put("registration", "x", '{"contact":"<sip:y>","serviceRoute":[1,"<sip:z>"]}', 60);
    b.publish("registration", "x");
    await settle();
    assert.deepEqual([...new Set(found.calls)], ["learn <sip:y>"]);
    assert.equal(shared.standby("x"), "b");
    shared.close();
  });
});
