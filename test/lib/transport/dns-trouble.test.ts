/**
 * DNS that is silent, broken, endless or hostile, over real sockets: every question ends in bounded time, with at most 20
 * targets or the words that name the host; nobody else waits meanwhile.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { TransportError } from "../../../lib/foundation/index.js";
import { SystemClock } from "../../../lib/foundation/index.js";
import { parseUri } from "../../../lib/message/index.js";
import { NodeDnsClient, Resolver } from "../../../lib/transport/index.js";
import type { FlowTarget } from "../../../lib/transport/index.js";
import { LookupGate } from "../../../lib/transport/lookup-gate.js";
import { DnsServer, type DnsRecord } from "../../support/dns-server.js";
import { ManualClock, settle } from "../../support/manual-clock.js";
import { SeededRandom } from "../../support/seeded-random.js";

interface Answer {
  readonly error: TransportError | undefined;
  readonly targets: readonly FlowTarget[];
  readonly ms: number;
}

describe("DNS in trouble", function () {
  this.timeout(20_000);
  let server: DnsServer;
  let resolver: Resolver;

  beforeEach(async () => {
    server = await new DnsServer().start();
    resolver = new Resolver({
      dns: new NodeDnsClient({ servers: [server.address] }),
      clock: new SystemClock(),
      random: new SeededRandom(1),
      times: { questionMs: 500 },
    });
  });
  afterEach(() => server.stop());

  function resolve(text: string): Promise<Answer> {
    const uri = parseUri(text);
    assert.ok(uri);
    const from = performance.now();
    return new Promise((done) => {
      resolver.resolve(uri, { protocols: ["udp", "tcp"], families: [4] }, (error, targets) =>
        done({ error, targets, ms: performance.now() - from }),
      );
    });
  }

  it("that says nothing ends after three deadlines: NAPTR, SRV and addresses", async () => {
    server.silent = true;
    const { error, ms } = await resolve("sip:bob@silent.test");
    assert.equal(error?.code, "E_DNS");
    assert.match(error.message, /silent\.test could not be looked up \(timeout\)/);
    assert.ok(ms < 4_000, `${ms} ms`);
  });

  it("that says nothing hinders neither addresses nor files", async () => {
    server.silent = true;
    const waiting = Array.from({ length: 20 }, (_, i) => resolve(`sip:bob@silent${i}.test:5060`));
    const byAddress = await resolve("sip:bob@192.0.2.1");
    assert.equal(byAddress.targets[0]?.address, "192.0.2.1");
    assert.ok(byAddress.ms < 50);
    const from = performance.now();
    await readFile(__filename);
    assert.ok(performance.now() - from < 400);
    for (const { error } of await Promise.all(waiting)) assert.equal(error?.code, "E_DNS");
  });

  for (const [name, failure] of [
    ["SERVFAIL", 2],
    ["REFUSED", 5],
    ["NOTIMP", 4],
  ] as const) {
    it(`that says ${name} ends at once`, async () => {
      server.failure = failure;
      const { error } = await resolve("sip:bob@broken.test");
      assert.equal(error?.code, "E_DNS");
      assert.match(error.message, /broken\.test/);
    });
  }

  it("whose aliases lead in a circle ends", async () => {
    server.zone.set("a.test", [{ type: "CNAME", name: "b.test" }]);
    server.zone.set("b.test", [{ type: "CNAME", name: "a.test" }]);
    const { error } = await resolve("sip:bob@a.test:5060");
    assert.equal(error?.code, "E_DNS");
  });

  it("with a thousand addresses gives 20 targets or a fault, not a thousand", async () => {
    const addresses: DnsRecord[] = Array.from({ length: 1_000 }, (_, i) => ({
      type: "A",
      address: `10.1.${i >> 8}.${i & 255}`,
    }));
    server.zone.set("many.test", addresses);
    const { error, targets, ms } = await resolve("sip:bob@many.test:5060");
    assert.ok(targets.length <= 20, String(targets.length));
    assert.ok(targets.length > 0 || error?.code === "E_DNS");
    assert.ok(ms < 4_000);
  });

  it("with a thousand SRV records looks few of their names up", async () => {
    const records: DnsRecord[] = Array.from({ length: 1_000 }, (_, i) => ({
      type: "SRV",
      priority: i,
      weight: 0,
      port: 5060,
      name: `host${i}.test`,
    }));
    server.zone.set("_sip._udp.many.test", records);
    for (let i = 0; i < 1_000; i++) {
      server.zone.set(`host${i}.test`, [{ type: "A", address: `10.2.${i >> 8}.${i & 255}` }]);
    }
    const { targets } = await resolve("sip:bob@many.test;transport=udp");
    assert.ok(targets.length <= 20);
    const lookedUp = server.asked.filter((question) => question.startsWith("A host"));
    assert.ok(lookedUp.length <= 20, String(lookedUp.length));
  });

  it("whose first SRV target does not exist goes on to the second", async () => {
    server.zone.set("_sip._udp.half.test", [
      { type: "SRV", priority: 1, weight: 0, port: 5060, name: "gone.test" },
      { type: "SRV", priority: 2, weight: 0, port: 5070, name: "here.test" },
    ]);
    server.zone.set("here.test", [{ type: "A", address: "10.3.0.1" }]);
    const { targets } = await resolve("sip:bob@half.test;transport=udp");
    assert.deepEqual(
      targets.map(({ address, port }) => [address, port]),
      [["10.3.0.1", 5070]],
    );
  });

  it("that is well again after a SERVFAIL is asked again after two seconds, SRV as well", async () => {
    const clock = new ManualClock();
    let fault: string | undefined = "ESERVFAIL";
    let asked = 0;
    const fail = (code: string) => Promise.reject(Object.assign(new Error(code), { code }));
    const careful = new Resolver({
      dns: {
        resolveNaptr: () => fail(fault ?? "ENODATA"),
        resolveSrv: () => {
          asked++;
          if (fault !== undefined) return fail(fault);
          return Promise.resolve([{ priority: 1, weight: 0, port: 5070, name: "10.5.0.1" }]);
        },
        resolve4: () => fail(fault ?? "ENODATA"),
        resolve6: () => fail("ENODATA"),
      },
      clock,
      random: new SeededRandom(1),
    });
    const uri = parseUri("sip:bob@well.test;transport=udp");
    assert.ok(uri);
    const found: number[] = [];
    const ask = async (): Promise<void> => {
      careful.resolve(uri, { protocols: ["udp"], families: [4] }, (_error, targets) =>
        found.push(targets.length),
      );
      await settle();
    };
    await ask();
    await ask();
    assert.equal(asked, 1);
    fault = undefined;
    clock.advance(2_100);
    await ask();
    assert.deepEqual([asked, found], [2, [0, 0, 1]]);
    // Silence is remembered for longer: each question costs seconds.
    fault = "ETIMEOUT";
    await ask();
    clock.advance(10_000);
    await ask();
    assert.equal(asked, 3);
  });

  it("that changes its mind is believed at the next question", async () => {
    server.zone.set("moves.test", [{ type: "A", address: "10.4.0.1" }]);
    assert.equal((await resolve("sip:bob@moves.test:5060")).targets[0]?.address, "10.4.0.1");
    server.zone.set("moves.test", [{ type: "A", address: "10.4.0.2" }]);
    assert.equal((await resolve("sip:bob@moves.test:5060")).targets[0]?.address, "10.4.0.2");
  });
});

describe("a question that is not answered", () => {
  it("is not asked again beside itself, until it counts as lost", async () => {
    const clock = new ManualClock();
    let asked = 0;
    let answer: (addresses: string[]) => void = () => undefined;
    const nothing = () => Promise.reject(Object.assign(new Error("none"), { code: "ENODATA" }));
    const resolver = new Resolver({
      dns: {
        resolveNaptr: nothing,
        resolveSrv: nothing,
        resolve6: nothing,
        resolve4: () => {
          asked++;
          return new Promise((resolve) => (answer = resolve));
        },
      },
      clock,
      random: new SeededRandom(1),
    });
    const uri = parseUri("sip:bob@slow.test:5060");
    assert.ok(uri);
    const outcomes: string[] = [];
    const begin = (): void =>
      resolver.resolve(uri, { protocols: ["udp"], families: [4] }, (error, targets) =>
        outcomes.push(error === undefined ? (targets[0]?.address ?? "") : "failed"),
      );
    const ask = async (): Promise<void> => {
      begin();
      await clock.advanceAsync(5_000);
    };
    await ask();
    await ask();
    await ask();
    assert.deepEqual([asked, outcomes], [1, ["failed", "failed", "failed"]]);
    answer(["10.0.0.1"]);
    await settle();
    begin();
    await settle();
    assert.equal(asked, 2);
    answer(["10.0.0.2"]);
    await clock.advanceAsync(5_000);
    assert.equal(outcomes.at(-1), "10.0.0.2");
    await ask();
    await clock.advanceAsync(61_000);
    await ask();
    assert.equal(asked, 4);
  });
});

describe("the system's resolver", () => {
  it("is asked for two names at a time; the others wait their turn", async () => {
    const underway: ((error: Error | null, addresses: string[]) => void)[] = [];
    const asked: string[] = [];
    const gate = new LookupGate((name, family, done) => {
      asked.push(`${name} ${family}`);
      underway.push(done);
    });
    const answers = ["a", "b", "c", "d"].map((name) =>
      gate.addresses(name, 4).catch((error: unknown) => [String(error)]),
    );
    assert.deepEqual(asked, ["a 4", "b 4"]);
    underway[1]?.(null, ["10.0.0.2"]);
    assert.deepEqual(asked, ["a 4", "b 4", "c 4"]);
    underway[0]?.(new Error("gone"), []);
    underway[2]?.(null, []);
    underway[3]?.(null, ["10.0.0.4"]);
    assert.deepEqual(await Promise.all(answers), [["Error: gone"], ["10.0.0.2"], [], ["10.0.0.4"]]);
  });
});
