import assert from "node:assert/strict";
import { Connection } from "../../../lib/transport/connection.js";
import type { ConnectionOptions } from "../../../lib/transport/connection.js";
import { ConnectionPool } from "../../../lib/transport/connection-pool.js";
import type { AcceptedSocket, Opener } from "../../../lib/transport/connection-pool.js";
import { MessageReceiver } from "../../../lib/transport/message-receiver.js";
import { resolveSettings } from "../../../lib/transport/settings.js";
import type { TransportTuning } from "../../../lib/transport/settings.js";
import type { ConnectionState, FlowTarget } from "../../../lib/transport/index.js";
import { ManualClock } from "../../support/manual-clock.js";
import { SeededRandom } from "../../support/seeded-random.js";

/** A connection without a socket. */
class FakeConnection extends Connection {
  readonly actions: string[] = [];
  protected write(): void {
    this.actions.push("write");
  }
  protected queuedBytes(): number {
    return 0;
  }
  protected ping(): void {
    this.actions.push("ping");
  }
  protected finish(): void {
    this.actions.push("finish");
  }
  protected destroy(): void {
    this.actions.push("destroy");
  }
}

function setUp(tuning: Partial<TransportTuning> = {}) {
  const clock = new ManualClock();
  const settings = resolveSettings({ clock, random: new SeededRandom(1), tuning });
  const states: ConnectionState[] = [];
  const pool = new ConnectionPool(settings, (state) => states.push(state));
  const make = (target: FlowTarget, outgoing = true): FakeConnection => {
    const options: ConnectionOptions = {
      protocol: target.protocol,
      outgoing,
      localPort: 1,
      remoteAddress: target.address,
      remotePort: target.port,
      identity: {
        localAddress: "127.0.0.1",
        sentBy: "127.0.0.1:1",
        contactHost: "127.0.0.1:1",
        contactProtocol: target.protocol,
      },
      settings,
      receiver: new MessageReceiver(settings),
    };
    return new FakeConnection(options);
  };
  return { clock, states, pool, make };
}

const HOST: FlowTarget = { protocol: "tcp", address: "192.0.2.1", port: 5060 };

describe("the pool of connections", () => {
  it("gives up an attempt after ten seconds, tells everybody, and ignores what comes later", () => {
    const { clock, states, pool, make } = setUp();
    let finish: Parameters<Opener>[1] | undefined;
    let aborted = 0;
    const opener: Opener = (_target, done) => {
      finish = done;
      return () => aborted++;
    };
    const errors: string[] = [];
    for (let i = 0; i < 3; i++) {
      pool.connect(HOST, opener, (error) => errors.push(error?.message ?? "none"));
    }
    clock.advance(9_999);
    assert.deepEqual(errors, []);
    clock.advance(1);
    assert.equal(errors.length, 3);
    assert.match(errors[0] ?? "", /tcp:192\.0\.2\.1:5060 does not answer: .*timed out/);
    assert.equal(aborted, 1);
    assert.deepEqual(
      states.map((s) => [s.state, s.reason]),
      [["disconnected", "ETIMEDOUT"]],
    );
    const late = make(HOST);
    finish?.(undefined, late);
    assert.deepEqual(late.actions, ["destroy"]);
    assert.equal(pool.size, 0);
    assert.equal(clock.pendingTimers(), 0);
  });

  it("never shares a TLS connection between server names", () => {
    const { pool, make } = setUp();
    const opened: string[] = [];
    const opener: Opener = (target, done) => {
      opened.push(target.serverName ?? "-");
      done(undefined, make(target));
      return () => undefined;
    };
    const tls: FlowTarget = { protocol: "tls", address: "192.0.2.1", port: 5061 };
    for (const serverName of ["a.example", "b.example", undefined, "a.example", undefined]) {
      pool.connect({ ...tls, serverName }, opener, () => undefined);
    }
    assert.deepEqual(opened, ["a.example", "b.example", "-"]);
  });

  it("tells one waiting caller's fault to nobody else", () => {
    const { pool, make } = setUp();
    let finish: Parameters<Opener>[1] | undefined;
    const opener: Opener = (_target, done) => {
      finish = done;
      return () => undefined;
    };
    let second: unknown;
    pool.connect(HOST, opener, () => {
      throw new Error("boom");
    });
    pool.connect(HOST, opener, (_error, flow) => (second = flow));
    const connection = make(HOST);
    finish?.(undefined, connection);
    assert.equal(second, connection);
  });

  it("forgets a closing connection at once and opens another for the same target", () => {
    const { clock, pool, make } = setUp();
    const made: FakeConnection[] = [];
    const opener: Opener = (target, done) => {
      const connection = make(target);
      made.push(connection);
      done(undefined, connection);
      return () => undefined;
    };
    pool.connect(HOST, opener, () => undefined);
    made[0]?.close("idle");
    pool.connect(HOST, opener, () => undefined);
    assert.equal(made.length, 2);
    clock.advance(1_000);
    assert.deepEqual(made[0]?.actions, ["finish", "destroy"], "a flush has its time");
    assert.equal(pool.size, 1);
    pool.connect(HOST, opener, () => undefined);
    assert.equal(made.length, 2, "the second one is still found");
  });

  it("ends attempts and connections when it closes, and leaves no timer", async () => {
    const { clock, pool, make } = setUp();
    const errors: string[] = [];
    let connection: FakeConnection | undefined;
    pool.connect(
      HOST,
      (target, done) => {
        done(undefined, (connection = make(target)));
        return () => undefined;
      },
      () => undefined,
    );
    pool.connect(
      { ...HOST, port: 5070 },
      () => () => undefined,
      (error) => errors.push(error?.message ?? ""),
    );
    const closed = pool.closeAll("the SIP stack has stopped");
    assert.match(errors[0] ?? "", /has stopped/);
    assert.equal(connection?.isOpen, false);
    clock.advance(1_000);
    await closed;
    assert.equal(clock.pendingTimers(), 0);
  });

  it("throws out the oldest silent socket of the same address first, then of any", () => {
    const { pool } = setUp({ maxConnections: 4, maxConnectionsPerAddress: 2 });
    const evicted: string[] = [];
    const socket = (name: string, address: string): AcceptedSocket => ({
      address,
      spoken: false,
      evict: () => evicted.push(name),
    });
    const first = socket("first", "10.0.0.1");
    assert.ok(pool.admit(first));
    assert.ok(pool.admit(socket("second", "10.0.0.1")));
    first.spoken = true;
    assert.ok(pool.admit(socket("third", "10.0.0.1")));
    assert.deepEqual(evicted, ["second"]);
    assert.ok(pool.admit(socket("fourth", "10.0.0.2")));
    assert.ok(pool.admit(socket("fifth", "10.0.0.3")));
    assert.ok(pool.admit(socket("sixth", "10.0.0.4")));
    assert.deepEqual(evicted, ["second", "third"]);
    pool.release(first);
    assert.ok(pool.admit(socket("seventh", "10.0.0.5")));
    assert.deepEqual(evicted, ["second", "third"]);
  });

  it("refuses a socket when all others are in use", () => {
    const { pool } = setUp({ maxConnections: 1 });
    const used: AcceptedSocket = { address: "10.0.0.1", spoken: true, evict: () => undefined };
    assert.ok(pool.admit(used));
    const late: AcceptedSocket = { address: "10.0.0.2", spoken: false, evict: () => undefined };
    assert.equal(pool.admit(late), false);
    pool.release(used);
    pool.release(used);
    assert.ok(pool.admit(late));
  });
});
