/**
 * Groups in a real Redis: what its scripts do, and what is left when it restarts, stands still, is full, or a connection is
 * cut in the middle.
 */
import assert from "node:assert/strict";
import { SystemClock } from "../../lib/index.js";
import { type Group, openGroup } from "../../nodes/shared/fleet/index.js";
import { SharedGroup } from "../../nodes/shared/fleet/shared-group.js";
import { readRedisUrl, RedisStore } from "../../nodes/shared/fleet/redis-store.js";
import { pause } from "../support/node-red.js";
import { needsRedis, Redis } from "../support/peers/redis.js";
import { freePort } from "../support/ports.js";
import { TcpRelay } from "../support/tcp-relay.js";

const SECRET = "of-the-tests";

describe("A group in Redis", function () {
  this.timeout(40_000);
  let redis: Redis;
  let relay: TcpRelay;
  const groups: Group[] = [];
  const log: string[] = [];
  const write = (text: string): void => void log.push(text);
  const logger = { debug: write, info: write, warn: write, error: write };
  const clock = new SystemClock();

  before(async function () {
    needsRedis(this);
    const port = await freePort();
    redis = new Redis({ address: "127.0.0.1", port, password: SECRET });
    await redis.start();
    relay = await TcpRelay.start(port);
  });

  afterEach(async () => {
    await Promise.all(groups.splice(0).map((group) => group.close()));
    assert.equal(log.join("\n").includes(SECRET), false);
    log.length = 0;
  });

  after(async () => {
    relay?.stop();
    await redis?.dispose();
  });

  async function until(holds: () => boolean, ms = 8_000): Promise<void> {
    const end = Date.now() + ms;
    while (!holds()) {
      assert.ok(Date.now() < end, `${String(holds)} ${log.join("\n")}`);
      await pause(10);
    }
  }

  async function join(name: string, url = redis.url): Promise<Group> {
    const group = openGroup({ url, name, clock, logger });
    groups.push(group);
    await until(() => group.isConnected);
    return group;
  }

  function lease(group: Group): { log: string[]; readonly isHeld: boolean } {
    const log: string[] = [];
    const lease = group.lease("one", {
      onGained: () => log.push("gained"),
      onLost: () => log.push("lost"),
    });
    return {
      log,
      get isHeld() {
        return lease.isHeld;
      },
    };
  }

  it("shares records, claims, leases and texts with its members, and with no other group", async () => {
    const [a, b, other] = [await join("g1"), await join("g1"), await join("g2")];
    await until(() => a.members.size === 2 && b.members.size === 2);
    assert.equal(other.members.size, 1);
    const [first, second, third] = [lease(a), lease(b), lease(other)];
    await until(() => first.log.length + second.log.length === 1 && third.isHeld);
    const heard: string[] = [];
    for (const [name, group] of [
      ["a", a],
      ["b", b],
      ["other", other],
    ] as const) {
      group.subscribe("news", (text) => heard.push(`${name}: ${text}`));
    }
    a.publish("news", "ünï\r\ncode\0");
    a.put("call", "a b:c{d}", "välue\n", 60);
    await until(() => heard.length === 1);
    assert.deepEqual(heard, ["b: ünï\r\ncode\0"]);
    assert.deepEqual(await b.get("call", "a b:c{d}"), { holder: a.instance, value: "välue\n" });
    assert.equal(await b.claim("call", "a b:c{d}"), undefined);
    assert.equal(await other.get("call", "a b:c{d}"), undefined);
    assert.deepEqual(await b.heldBy("call", a.instance), ["a b:c{d}"]);
    await a.close();
    await until(() => b.members.size === 1 && second.isHeld);
    const claim = await b.claim("call", "a b:c{d}");
    assert.deepEqual(claim, { value: "välue\n", formerHolder: a.instance });
    assert.deepEqual(await b.heldBy("call", b.instance), ["a b:c{d}"]);
    b.put("call", "a b:c{d}", "", 60);
    b.remove("call", "a b:c{d}");
    await pause(50);
    assert.equal(await b.get("call", "a b:c{d}"), undefined);
    assert.deepEqual(await b.heldBy("call", b.instance), []);
  });

  it("lets 2,000 records be claimed by two members at once, each by one of them", async () => {
    const [a, b, c] = [await join("many"), await join("many"), await join("many")];
    for (let i = 0; i < 2_000; i++) a.put("call", `id-${i}`, "x".repeat(1_000), 60);
    let keys: string[] = [];
    await until(() => b.members.size === 3);
    for (let i = 0; i < 100 && keys.length < 2_000; i++) {
      await pause(20);
      keys = await b.heldBy("call", a.instance);
    }
    assert.equal(keys.length, 2_000);
    await a.close();
    const began = Date.now();
    let won = 0;
    for (let i = 0; i < keys.length; i += 100) {
      const some = keys.slice(i, i + 100);
      const claims = await Promise.all(
        some.flatMap((key) => [b.claim("call", key), c.claim("call", key)]),
      );
      won += claims.filter((claim) => claim !== undefined).length;
    }
    console.log(`      2,000 records claimed twice in ${Date.now() - began} ms`);
    assert.equal(won, 2_000);
  });

  it("goes on when Redis restarts empty: the holder stays, records come back, nobody is gone", async () => {
    const [a, b] = [await join("restart"), await join("restart")];
    const first = lease(a);
    await until(() => first.isHeld);
    const second = lease(b);
    const gone: string[] = [];
    for (const group of [a, b]) group.onMemberGone((one) => gone.push(one));
    a.put("call", "1", "value", 60);
    await until(() => b.members.size === 2);
    await redis.stop();
    await until(() => !a.isConnected && !b.isConnected);
    await assert.rejects(b.claim("call", "1"), { name: "SharedStateError" });
    await redis.start();
    await until(() => a.isConnected && b.isConnected && a.members.size === 2);
    await pause(1_500);
    assert.equal((await b.get("call", "1"))?.value, "value");
    assert.deepEqual([first.log, second.log, gone], [["gained"], [], []]);
  });

  it("waits for a Redis that stands still for 5 s, and rejects questions after one", async () => {
    const [a, b] = [await join("slow"), await join("slow")];
    const first = lease(a);
    await until(() => first.isHeld);
    const second = lease(b);
    redis.pause();
    const began = Date.now();
    try {
      await assert.rejects(a.get("call", "1"), { name: "SharedStateError" });
      assert.ok(Date.now() - began < 1_300);
      a.put("call", "1", "while it stood still", 60);
      await pause(5_000);
      assert.deepEqual([a.isConnected, first.isHeld], [false, true]);
    } finally {
      redis.resume();
    }
    await until(() => a.isConnected && b.isConnected);
    await pause(1_000);
    assert.equal((await b.get("call", "1"))?.value, "while it stood still");
    assert.deepEqual([first.log, second.log], [["gained"], []]);
  });

  it("survives a full Redis: says so, holds what it has, and writes when there is room", async () => {
    const port = await freePort();
    const full = new Redis({
      address: "127.0.0.1",
      port,
      settings: ["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"],
    });
    await full.start();
    try {
      const a = await join("full", full.url);
      const first = lease(a);
      await until(() => first.isHeld);
      for (let i = 0; i < 200; i++) a.put("call", `id-${i}`, "x".repeat(60_000), 60);
      await until(() => log.some((text) => text.includes("OOM")));
      assert.equal(first.isHeld, true);
      // Removing needs no room, and makes some.
      for (let i = 0; i < 199; i++) a.remove("call", `id-${i}`);
      await until(() => a.isConnected);
      await pause(2_500);
      assert.equal((await a.get("call", "id-199"))?.value.length, 60_000);
      assert.deepEqual(first.log, ["gained"]);
      await a.close();
    } finally {
      await full.dispose();
    }
  });

  it("asks again when a connection is cut in the middle, and loses nothing", async () => {
    const cutUrl = `redis://:${SECRET}@127.0.0.1:${relay.port}`;
    const [a, b] = [await join("cut", cutUrl), await join("cut")];
    const first = lease(a);
    await until(() => first.isHeld);
    for (let i = 0; i < 500; i++) a.put("call", `id-${i}`, "x".repeat(500), 60);
    const claims = Promise.allSettled([a.get("call", "id-1"), a.claim("call", "id-2")]);
    relay.cut("reset");
    await claims;
    await until(() => a.isConnected);
    await pause(1_500);
    assert.equal((await b.heldBy("call", a.instance)).length, 500);
    assert.deepEqual(first.log, ["gained"]);
  });

  it("gives the second of two processes with one name another name", async () => {
    const make = (): SharedGroup => {
      const group = new SharedGroup({
        clock,
        logger,
        instance: "twin",
        openStore: (events) => new RedisStore(readRedisUrl(redis.url), "twins", events),
      });
      groups.push(group);
      return group;
    };
    const a = make();
    await until(() => a.isConnected);
    const first = lease(a);
    await until(() => first.isHeld);
    await pause(1_200);
    const b = make();
    await until(() => b.instance !== a.instance && a.isConnected && b.isConnected);
    await until(() => a.members.size === 2 && b.members.size === 2);
    const second = lease(b);
    await pause(1_500);
    assert.equal([first, second].filter(({ isHeld }) => isHeld).length, 1);
  });

  it("says why it is not let in, without the password, and goes on trying", async () => {
    const group = openGroup({
      url: `redis://:${SECRET}x@127.0.0.1:${redis.port}/3`,
      name: "wrong",
      clock,
      logger,
    });
    groups.push(group);
    await until(() => log.some((text) => /WRONGPASS|invalid/i.test(text)));
    assert.equal(group.isConnected, false);
  });
});
