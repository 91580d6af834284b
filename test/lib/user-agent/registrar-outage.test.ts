/**
 * A registrar that is gone for long or says no for ever: the attempts are few and never at the same distance, statuses
 * and events tell what is wrong once and in words, and the registration comes back by itself.
 * 1 gone for ten minutes, in every way  2 back again  3 refusals  4 connections that do not last  5 the clock
 */
import assert from "node:assert/strict";
import { SipRequest } from "../../../lib/message/index.js";
import type { AccountOptions } from "../../../lib/user-agent/index.js";
import type { DnsClient, TransportProtocol } from "../../../lib/transport/transport.js";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { ScriptedPeer } from "../../support/scripted-peer.js";

const MINUTE = 60_000;
const SERVER = "10.0.0.5";

async function setUp(protocol: TransportProtocol = "udp", change: Partial<AccountOptions> = {}) {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const state = { dnsFault: undefined as string | undefined, address: SERVER };
  const fault = (code: string) => Promise.reject(Object.assign(new Error(code), { code }));
  const dns: DnsClient = {
    resolveNaptr: () => fault(state.dnsFault ?? "ENODATA"),
    resolveSrv: () => fault(state.dnsFault ?? "ENODATA"),
    resolve4: () => {
      if (state.dnsFault === "silent") return new Promise(() => undefined);
      return state.dnsFault === undefined
        ? Promise.resolve([state.address])
        : fault(state.dnsFault);
    },
    resolve6: () => fault("ENODATA"),
  };
  const alice = new Person("alice", "10.0.0.1", network, clock, { protocols: [protocol], dns });
  const server = await new ScriptedPeer(network, {
    name: "server",
    address: SERVER,
    protocols: [protocol],
  }).start();
  const grant = (): void => {
    server.onRequest = (request) =>
      server.reply(request, 200, {
        headers: [
          [
            "Contact",
            `${request.headers.get("contact")};expires=${request.headers.get("expires")}`,
          ],
        ],
      });
  };
  grant();
  await alice.userAgent.start();
  const account = alice.userAgent.addAccount({
    id: "a",
    uri: "sip:alice@home.test",
    transport: protocol,
    expires: 60,
    ...change,
  });
  await clock.advanceAsync(20_000);
  assert.equal(account.registration.state, "registered");
  /** Times of the first packet of each REGISTER, or of each attempt to connect, since the last call. */
  const attempts: number[] = [];
  const seen = new Set<string>();
  network.rule((packet) => {
    if (packet.label !== "REGISTER" || packet.from !== "alice") return undefined;
    const key = /^cseq: .*$/im.exec(packet.text)?.[0] ?? "";
    if (!seen.has(key)) attempts.push(packet.at);
    seen.add(key);
    return undefined;
  });
  const { endpoint } = alice;
  const connect = endpoint.connect.bind(endpoint);
  endpoint.connect = (target, callback) => {
    if (
      target.protocol !== "udp" &&
      network.find(protocol, target.address, target.port) === undefined
    )
      attempts.push(clock.now());
    connect(target, callback);
  };
  const end = () => endAll(clock, [alice]);
  return { clock, network, alice, server, account, attempts, grant, state, end };
}

type Bench = Awaited<ReturnType<typeof setUp>>;

/** Times between attempts, milliseconds. */
const gapsOf = (times: readonly number[]): number[] =>
  times.slice(1).map((at, i) => at - (times[i] ?? 0));

const outages: Record<
  string,
  {
    protocol: TransportProtocol;
    begin(bench: Bench): void | Promise<void>;
    finish(bench: Bench): void | Promise<unknown>;
    cause: string;
    /** Attempts in ten minutes. */
    most: number;
    /** Told by `disconnected` alone (contract §5). */
    quiet?: boolean;
    /** No server is known whom an attempt could be sent to. */
    isNameless?: boolean;
  }
> = {
  "silent over UDP": {
    protocol: "udp",
    begin: ({ server }) => server.endpoint.stop(),
    finish: ({ server }) => server.start(),
    cause: "timeout",
    most: 12,
  },
  "refusing connections over TCP": {
    protocol: "tcp",
    begin: ({ server, network }) => {
      void server.endpoint.stop();
      network.closeConnections();
    },
    finish: ({ server }) => server.start(),
    cause: "transport-error",
    most: 40,
    quiet: true,
  },
  "not answering over TCP": {
    protocol: "tcp",
    begin: ({ server }) => {
      server.onRequest = () => undefined;
    },
    finish: ({ grant }) => grant(),
    cause: "timeout",
    most: 12,
  },
  "saying 503 without Retry-After": {
    protocol: "udp",
    begin: ({ server }) => {
      server.onRequest = (request) => server.reply(request, 503);
    },
    finish: ({ grant }) => grant(),
    cause: "unavailable",
    most: 8,
  },
  "saying 500": {
    protocol: "tcp",
    begin: ({ server }) => {
      server.onRequest = (request) => server.reply(request, 500);
    },
    finish: ({ grant }) => grant(),
    cause: "rejected",
    most: 8,
  },
  "not found by DNS (SERVFAIL)": {
    protocol: "udp",
    begin: ({ state }) => {
      state.dnsFault = "ESERVFAIL";
    },
    finish: ({ state }) => {
      state.dnsFault = undefined;
    },
    cause: "dns-error",
    most: 30,
    isNameless: true,
  },
  "not found by DNS (NXDOMAIN)": {
    protocol: "udp",
    begin: ({ state }) => {
      state.dnsFault = "ENOTFOUND";
    },
    finish: ({ state }) => {
      state.dnsFault = undefined;
    },
    cause: "dns-error",
    most: 30,
    isNameless: true,
  },
  "not found by DNS (silence)": {
    protocol: "udp",
    begin: ({ state }) => {
      state.dnsFault = "silent";
    },
    finish: ({ state }) => {
      state.dnsFault = undefined;
    },
    cause: "dns-error",
    most: 30,
    isNameless: true,
  },
};

describe("a registrar that is gone for ten minutes", () => {
  for (const [name, { protocol, begin, finish, cause, most, ...how }] of Object.entries(outages)) {
    it(`${name}: is told, looked for at most ${most} times with jitter, and found again`, async () => {
      const bench = await setUp(protocol);
      const { clock, alice, account, attempts } = bench;
      alice.stackEvents.length = 0;
      await begin(bench);
      await clock.advanceAsync(10 * MINUTE);
      const { registration } = account;
      assert.equal(registration.state === "failed" || registration.state === "registering", true);
      const failures = alice.stackEvents.filter(({ name }) => name === "registration-failed");
      if (how.quiet === true) {
        assert.equal(failures.length, 0);
        const lost = alice.stackEvents.filter(({ name }) => name === "disconnected");
        assert.ok(lost.length >= 1 && lost.length <= 2, String(lost.length));
      } else {
        assert.ok(failures.length >= 2);
        assert.deepEqual([...new Set(failures.map((event) => event.cause))], [cause]);
        assert.ok(failures.every(({ retryAfter }) => (retryAfter ?? 0) > 0));
      }
      const tries = how.isNameless === true ? failures.length : attempts.length;
      assert.ok(tries <= most, `${tries} attempts`);
      // The last five minutes: one in thirty seconds at most, and no two waits alike.
      const late = attempts.filter((at) => at > clock.now() - 5 * MINUTE);
      assert.ok(late.length <= 10, `${late.length} in the last five minutes`);
      const gaps = gapsOf(attempts).map(Math.round);
      assert.equal(new Set(gaps).size, gaps.length, "waits repeat themselves");
      alice.stackEvents.length = 0;
      await finish(bench);
      await clock.advanceAsync(5 * MINUTE + 5_000);
      assert.equal(account.registration.state, "registered");
      assert.ok(alice.heardOfStack().includes("registered"));
      await bench.end();
    });
  }

  for (const protocol of ["udp", "tcp"] as const) {
    it(`is found within 5 s of its return over ${protocol} by an account that asks it every 5 s`, async () => {
      const bench = await setUp(protocol, { keepAlive: 5 });
      const { clock, network, server, account } = bench;
      void server.endpoint.stop();
      network.closeConnections();
      await clock.advanceAsync(10 * MINUTE);
      assert.notEqual(account.registration.state, "registered");
      await server.start();
      await clock.advanceAsync(5_100);
      assert.equal(account.registration.state, "registered");
      await bench.end();
    });

    it(`is found within 5 s of its return over ${protocol} after half a minute, whatever the account says`, async () => {
      const bench = await setUp(protocol);
      const { clock, network, server, account } = bench;
      // The refresh that finds nobody.
      await clock.advanceAsync(30_000);
      void server.endpoint.stop();
      network.closeConnections();
      await clock.advanceAsync(30_000);
      await server.start();
      await clock.advanceAsync(5_100);
      assert.equal(account.registration.state, "registered");
      await bench.end();
    });
  }

  it("is found at once when the flow says so", async () => {
    const bench = await setUp("tcp");
    const { clock, network, server, account } = bench;
    void server.endpoint.stop();
    network.closeConnections();
    await clock.advanceAsync(10 * MINUTE);
    await server.start();
    const [outcome] = await Promise.all([account.register(), clock.advanceAsync(100)]);
    assert.equal(outcome.ok, true);
    await bench.end();
  });

  it("does not hinder calls to others", async () => {
    const bench = await setUp("udp");
    const { clock, network, alice, server, state } = bench;
    const bob = await new ScriptedPeer(network, { name: "bob", address: "10.0.0.2" }).start();
    bob.onRequest = (request) => bob.reply(request, 200);
    void server.endpoint.stop();
    state.dnsFault = "silent";
    await clock.advanceAsync(MINUTE);
    const asked = alice.userAgent.request({ method: "OPTIONS", to: "sip:bob@10.0.0.2" });
    const [outcome] = await Promise.all([asked, clock.advanceAsync(100)]);
    assert.equal(outcome.ok, true);
    await bench.end();
  });
});

describe("a registrar that says no for ever", () => {
  for (const [statusCode, most] of [
    [401, 2 * 5 + 2],
    [403, 6],
    [404, 6],
    [480, 9],
    [500, 9],
    [600, 9],
  ] as const) {
    it(`with ${statusCode} hears of us at most ${most} times in a quarter of an hour`, async () => {
      const bench = await setUp("udp", { password: "secret" });
      const { clock, server, attempts, account } = bench;
      server.onRequest = (request) =>
        server.reply(request, statusCode, {
          headers:
            statusCode === 401
              ? [["WWW-Authenticate", `Digest realm="r", nonce="n${clock.now()}"`]]
              : [],
        });
      await clock.advanceAsync(15 * MINUTE);
      assert.ok(attempts.length <= most, `${attempts.length} requests`);
      assert.equal(account.registration.state, "failed");
      assert.equal(account.registration.statusCode, statusCode);
      await bench.end();
    });
  }

  it("with 503 and Retry-After is left alone for that long, and asked once then", async () => {
    const bench = await setUp();
    const { clock, server, attempts, grant, account } = bench;
    server.onRequest = (request) =>
      server.reply(request, 503, { headers: [["Retry-After", "120"]] });
    await clock.advanceAsync(40_000);
    assert.equal(attempts.length, 1);
    assert.ok((account.registration.retryIn ?? 0) > 60);
    grant();
    await clock.advanceAsync(2 * MINUTE + 3_000);
    assert.equal(account.registration.state, "registered");
    assert.equal(
      attempts.filter((at) => at > (attempts[0] ?? 0) && at < (attempts[0] ?? 0) + 120_000).length,
      0,
    );
    await bench.end();
  });

  it("with 423 and a growing Min-Expires is no loop", async () => {
    const bench = await setUp();
    const { clock, server, attempts } = bench;
    let minimum = 60;
    server.onRequest = (request) =>
      server.reply(request, 423, { headers: [["Min-Expires", String((minimum += 60))]] });
    await clock.advanceAsync(10 * MINUTE);
    assert.ok(attempts.length <= 24, `${attempts.length} requests`);
    await bench.end();
  });
});

describe("a registrar that closes each connection after its answer", () => {
  it("is asked later and later, not every second", async () => {
    const bench = await setUp("tcp");
    const { clock, network, server, attempts } = bench;
    const { onRequest } = server;
    server.onRequest = (request) => {
      onRequest(request);
      clock.setTimer(5, () => network.closeConnections());
    };
    network.closeConnections();
    await clock.advanceAsync(10 * MINUTE);
    assert.ok(attempts.length <= 14, `${attempts.length} attempts`);
    await bench.end();
  });
});

describe("time that jumps", () => {
  it("forward in our sleep: the account registers within seconds of waking up", async () => {
    const bench = await setUp("tcp", { expires: 3600 });
    const { clock, attempts } = bench;
    clock.epoch += 60 * MINUTE;
    await clock.advanceAsync(20_500);
    assert.equal(attempts.length, 1);
    // Once: it is awake now.
    await clock.advanceAsync(40_000);
    assert.equal(attempts.length, 1);
    await bench.end();
  });

  it("by a little, or backward: nothing happens", async () => {
    const bench = await setUp();
    const { clock, attempts } = bench;
    clock.epoch += 5_000;
    await clock.advanceAsync(10_000);
    clock.epoch -= 60 * MINUTE;
    await clock.advanceAsync(15_000);
    assert.equal(attempts.length, 0);
    await bench.end();
  });

  it("over an hour in which the process was held: one REGISTER, then the usual rhythm", async () => {
    const bench = await setUp();
    const { clock, attempts, account } = bench;
    clock.stall(60 * MINUTE);
    await clock.advanceAsync(1_000);
    assert.equal(attempts.length, 1);
    assert.equal(account.registration.state, "registered");
    await clock.advanceAsync(MINUTE);
    assert.ok(attempts.length <= 3);
    await bench.end();
  });
});

describe("a machine that moves to another network", () => {
  for (const protocol of ["udp", "tcp"] as const) {
    it(`registers its new address over ${protocol} within 20 s`, async () => {
      const bench = await setUp(protocol, { expires: 3600 });
      const { clock, network, alice, server, attempts, account } = bench;
      alice.endpoint.moveTo("10.0.7.7");
      await clock.advanceAsync(21_000);
      assert.equal(account.registration.state, "registered");
      assert.match(server.last("REGISTER").headers.get("contact") ?? "", /10\.0\.7\.7/);
      assert.equal(attempts.length, 1);
      await clock.advanceAsync(60_000);
      assert.equal(attempts.length, 1);
      assert.ok(network.messages.length > 0);
      await bench.end();
    });
  }

  it("is registered soon after the network is back, however long it was away", async () => {
    const bench = await setUp("udp");
    const { clock, network, alice, account } = bench;
    let isGone = true;
    network.rule(({ from }) => (isGone && from === "alice" ? "fail" : undefined));
    await clock.advanceAsync(10 * MINUTE);
    assert.equal(account.registration.cause, "transport-error");
    isGone = false;
    alice.endpoint.addressVersion++;
    await clock.advanceAsync(21_000);
    assert.equal(account.registration.state, "registered");
    await bench.end();
  });

  it("does nothing about an address that it did not use", async () => {
    const bench = await setUp("udp", { expires: 3600 });
    const { clock, alice, attempts } = bench;
    alice.endpoint.addressVersion++;
    await clock.advanceAsync(60_000);
    assert.equal(attempts.length, 0);
    await bench.end();
  });
});

describe("a name that leads elsewhere now", () => {
  it("takes the registration along at the next refresh", async () => {
    const bench = await setUp();
    const { clock, network, state, account } = bench;
    const other = await new ScriptedPeer(network, { name: "other", address: "10.0.0.6" }).start();
    other.onRequest = (request) =>
      other.reply(request, 200, {
        headers: [
          [
            "Contact",
            `${request.headers.get("contact")};expires=${request.headers.get("expires")}`,
          ],
        ],
      });
    state.address = "10.0.0.6";
    await clock.advanceAsync(MINUTE);
    assert.ok(other.requests.length >= 1 && other.requests[0] instanceof SipRequest);
    assert.equal(account.registration.state, "registered");
    await bench.end();
  });
});
