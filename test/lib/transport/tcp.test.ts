import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import type { SipRequest } from "../../../lib/message/index.js";
import type { Flow, FlowTarget } from "../../../lib/transport/index.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, responseText } from "../../support/sip-messages.js";
import type { RawClient, RecordingLayer } from "../../support/transport-bench.js";
import { quiet, TransportBench, until } from "../../support/transport-bench.js";

const TCP = { protocol: "tcp" } as const;
const VIA = "SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK1;rport";

describe("TCP (RFC 3261 §18)", () => {
  const bench = new TransportBench();
  afterEach(() => bench.end());

  /** Lets any server listen until the test ends. */
  async function serve(server: Server): Promise<FlowTarget> {
    server.on("connection", (socket) => bench.atEnd(() => void socket.destroy()));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    bench.atEnd(() => void server.close());
    return { ...TCP, address: "127.0.0.1", port: (server.address() as AddressInfo).port };
  }

  for (const address of ["127.0.0.1", "::1"]) {
    it(`carries messages both ways over ${address} on one connection`, async () => {
      const alice = await bench.layer([{ ...TCP, address }]);
      const bob = await bench.layer([{ ...TCP, address }]);
      const flow = await alice.connect(bob.target("tcp", address));
      assert.equal(flow.reliable, true);
      flow.send(requestText({ via: `SIP/2.0/TCP ${flow.sentBy};branch=z9hG4bK1;rport` }));
      const request = await bob.arrival();
      const back = await bob.responseFlow(request.message as SipRequest, request.flow);
      assert.equal(back, request.flow);
      back.send(responseText());
      assert.equal((await alice.arrival()).flow, flow);
    });
  }

  it("opens one connection for all who ask at once, and shares it afterwards", async () => {
    const alice = await bench.layer([TCP]);
    const bob = await bench.layer([TCP]);
    const flows = await Promise.all([1, 2, 3].map(() => alice.connect(bob.target("tcp"))));
    assert.equal(new Set(flows).size, 1);
    let synchronous: Flow | undefined;
    alice.layer.connect(bob.target("tcp"), (_error, flow) => (synchronous = flow));
    assert.equal(synchronous, flows[0]);
    assert.equal(alice.layer.counters().connections, 1);
    assert.deepEqual(
      alice.states.map((s) => [s.state, s.outgoing, s.port]),
      [["connected", true, bob.bound("tcp").port]],
    );
  });

  it("uses the connection of a peer for requests to that very end", async () => {
    const bob = await bench.layer([TCP]);
    const client = await bench.tcpClient(bob.bound("tcp").port);
    client.write(requestText({ via: VIA }));
    const { flow } = await bob.arrival();
    assert.equal(await bob.connect({ ...TCP, address: "127.0.0.1", port: client.port }), flow);
  });

  it("connects out without a TCP entry and shows the UDP port in its Contact", async () => {
    const alice = await bench.layer([{}]);
    const bob = await bench.layer([TCP]);
    const flow = await alice.connect(bob.target("tcp"));
    assert.equal(flow.sentBy, `127.0.0.1:${flow.localPort}`);
    assert.equal(flow.contactHost, `127.0.0.1:${alice.bound("udp").port}`);
    assert.equal(flow.contactProtocol, "udp");
  });

  it("connects from the address that it is bound to", async () => {
    const alice = await bench.layer([{ ...TCP, address: "127.0.0.2" }]);
    const bob = await bench.layer([TCP]);
    const flow = await alice.connect(bob.target("tcp"));
    flow.send(requestText({ via: VIA }));
    assert.equal((await bob.arrival()).message.source?.address, "127.0.0.2");
    assert.equal(flow.sentBy, `127.0.0.2:${alice.bound("tcp").port}`);
  });

  it("takes messages apart and together as the stream brings them (RFC 3261 §18.3)", async () => {
    const bob = await bench.layer([TCP]);
    const client = await bench.tcpClient(bob.bound("tcp").port);
    const one = requestText({ via: VIA, callId: "one", body: "OPTIONS sip:x SIP/2.0\r\n\r\n" });
    const two = requestText({ via: VIA, callId: "two" });
    client.write(`\r\n\r\n${one}${two}${one.slice(0, 50)}`);
    await bob.arrival(1);
    client.write(one.slice(50));
    await bob.arrival(2);
    assert.deepEqual(
      bob.arrivals.map((a) => a.message.callId),
      ["one", "two", "one"],
    );
  });

  it("answers a keep-alive of two line breaks with one (RFC 5626 §3.5.1)", async () => {
    const bob = await bench.layer([TCP]);
    const client = await bench.tcpClient(bob.bound("tcp").port);
    client.write("\r\n\r\n");
    await until(() => client.text === "\r\n", "the pong");
  });

  const broken: [string, string][] = [
    ["without Content-Length", requestText({ via: VIA }).replace(/Content-Length: 0\r\n/, "")],
    [
      "with a negative Content-Length",
      requestText({ via: VIA }).replace("Length: 0", "Length: -1"),
    ],
    [
      "with two different Content-Lengths",
      requestText({ via: VIA, headers: ["Content-Length: 5"] }),
    ],
    [
      "with too many headers",
      requestText({ via: VIA, headers: Array.from({ length: 3000 }, (_, i) => `X-${i}: 1`) }),
    ],
    ["with a line that has no end", `OPTIONS sip:${"x".repeat(200_000)}`],
    ["that are none", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
  ];
  for (const [name, text] of broken) {
    it(`reports and closes on messages ${name}`, async () => {
      const bob = await bench.layer([TCP]);
      const client = await bench.tcpClient(bob.bound("tcp").port);
      bob.answer = undefined;
      client.write(text);
      await until(() => client.closed, "the end of the connection");
      assert.ok(bob.layer.counters().malformed >= 1);
      await until(() => bob.layer.counters().connections === 0, "our end of it");
    });
  }

  it("lets the answer to an unframable request go out before it closes", async () => {
    const bob = await bench.layer([TCP]);
    const report = bob.onMalformed.bind(bob);
    bob.onMalformed = (error, request, flow) => {
      report(error, request, flow);
      flow.send(responseText(400));
    };
    const client = await bench.tcpClient(bob.bound("tcp").port);
    client.write(requestText({ via: VIA }).replace(/Content-Length: 0\r\n/, "") + "x".repeat(5000));
    await until(() => client.closed, "the end of the connection");
    assert.match(client.text, /^SIP\/2\.0 400 /);
    assert.equal(bob.malformed[0]?.request?.method, "OPTIONS");
  });

  it("survives resets in the middle of messages", async () => {
    const bob = await bench.layer([TCP]);
    for (let i = 0; i < 50; i++) {
      const client = await bench.tcpClient(bob.bound("tcp").port);
      client.write(requestText({ via: VIA }).slice(0, 60 + i));
      client.socket.resetAndDestroy();
    }
    await until(() => bob.layer.counters().connections === 0, "all closed");
    const client = await bench.tcpClient(bob.bound("tcp").port);
    client.write(requestText({ via: VIA }));
    await bob.arrival();
    assert.deepEqual(
      bob.states.map((s) => s.state),
      ["connected"],
      "connections without a message are no events",
    );
  });

  it("serves another peer of the same address beside 200 half-sent requests", async () => {
    const bob = await bench.layer([TCP]);
    const clients: RawClient[] = [];
    for (let i = 0; i < 200; i++) {
      const client = await bench.tcpClient(bob.bound("tcp").port);
      client.write("OPTIONS sip:");
      clients.push(client);
    }
    const good = await bench.tcpClient(bob.bound("tcp").port);
    good.write(requestText({ via: VIA }));
    const { flow } = await bob.arrival();
    flow.send(responseText());
    await until(() => good.text.startsWith("SIP/2.0 200"), "the answer");
    assert.ok(bob.layer.counters().connections <= 20);
    for (let i = 0; i < 30; i++) (await bench.tcpClient(bob.bound("tcp").port)).write("OPTIONS");
    await quiet();
    assert.equal(good.closed, false, "who has spoken is not thrown out");
    await until(() => clients[0]?.closed === true, "the end of the oldest");
  });

  it("refuses further connections when all of an address are in use", async () => {
    const tuning = { maxConnectionsPerAddress: 3 };
    const bob = await bench.layer([TCP], { tuning });
    for (let i = 0; i < 3; i++) {
      const client = await bench.tcpClient(bob.bound("tcp").port);
      client.write(requestText({ via: VIA }));
      await bob.arrival(i);
    }
    const fourth = await bench.tcpClient(bob.bound("tcp").port);
    await until(() => fourth.closed, "the refusal");
    assert.equal(bob.layer.counters().connections, 3);
  });

  it("caps all connections together", async () => {
    const tuning = { maxConnections: 4, maxConnectionsPerAddress: 100 };
    const bob = await bench.layer([TCP], { tuning });
    const clients: RawClient[] = [];
    for (let i = 0; i < 10; i++) clients.push(await bench.tcpClient(bob.bound("tcp").port));
    await until(() => clients.filter((c) => c.closed).length === 6, "the oldest leave");
    assert.deepEqual(
      clients.map((c) => c.closed),
      [true, true, true, true, true, true, false, false, false, false],
    );
  });

  describe("in time", () => {
    async function pair(clock: ManualClock): Promise<[RecordingLayer, RecordingLayer, Flow]> {
      const alice = await bench.layer([TCP], { clock });
      const bob = await bench.layer([TCP], { clock });
      return [alice, bob, await alice.connect(bob.target("tcp"))];
    }

    it("closes a connection that brings no whole message within 30 s", async () => {
      const clock = new ManualClock();
      const bob = await bench.layer([TCP], { clock });
      const client = await bench.tcpClient(bob.bound("tcp").port);
      client.write("OPTIONS sip:bob\r\n");
      await until(() => bob.layer.counters().connections === 1, "the connection");
      clock.advance(28_000);
      await quiet();
      assert.equal(client.closed, false);
      clock.advance(4_000);
      await until(() => client.closed, "the end");
    });

    it("closes a connection without messages after ten minutes, with the reason `idle`", async () => {
      const clock = new ManualClock();
      const [alice, bob, flow] = await pair(clock);
      const reasons: string[] = [];
      flow.onClosed((reason) => reasons.push(reason));
      flow.send(requestText({ via: VIA }));
      await bob.arrival();
      clock.advance(500_000);
      flow.send(requestText({ via: VIA }));
      await bob.arrival(1);
      clock.advance(590_000);
      assert.equal(flow.isOpen, true);
      clock.advance(15_000);
      assert.equal(flow.isOpen, false);
      await until(() => alice.states.length === 2, "the report");
      assert.deepEqual(reasons, ["idle"]);
      assert.equal(alice.states[1]?.reason, "idle");
      await until(() => bob.layer.counters().connections === 0, "the other end");
      assert.equal(clock.pendingTimers(), 0);
    });

    it("keeps a retained connection and pings its peer (RFC 5626 §4.4.1)", async () => {
      const clock = new ManualClock();
      // Here the clock runs faster than the network: answers may take their time.
      const tuning = { idleTimeoutMs: 60_000, pongTimeoutMs: 1e9 };
      const alice = await bench.layer([TCP], { clock, tuning });
      const pings: number[] = [];
      const server = createServer((socket) => {
        socket.on("data", () => {
          pings.push(clock.now());
          socket.write("\r\n");
        });
      });
      const flow = await alice.connect(await serve(server));
      const release = flow.retain?.();
      for (let i = 0; i < 50; i++) {
        clock.advance(8_000);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      assert.equal(flow.isOpen, true);
      await until(() => pings.length >= 3, "three pings");
      assert.ok(pings.length <= 4, String(pings));
      assert.ok(pings[0] !== undefined && pings[0] >= 96_000 && pings[0] <= 200_000);
      release?.();
      clock.advance(62_000);
      assert.equal(flow.isOpen, false);
    });

    it("pings as often as the shortest interval that somebody asks for (Flow-Timer)", async () => {
      const clock = new ManualClock();
      const alice = await bench.layer([TCP], { clock, tuning: { pongTimeoutMs: 1e9 } });
      let pings = 0;
      const server = createServer((socket) => {
        socket.on("data", () => {
          pings++;
          socket.write("\r\n");
        });
      });
      const flow = await alice.connect(await serve(server));
      const releases = [flow.retain?.(), flow.retain?.({ intervalMs: 10_000 })];
      for (let i = 0; i < 30; i++) {
        clock.advance(2_000);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      await until(() => pings >= 4, "four pings in a minute");
      assert.ok(pings <= 8, String(pings));
      for (const release of releases) release?.();
    });

    it("gives up a peer that promised to answer keep-alives and never does (RFC 5626 §4.4.1)", async () => {
      const clock = new ManualClock();
      const alice = await bench.layer([TCP], { clock });
      const target = await serve(createServer((socket) => socket.resume()));
      const flow = await alice.connect(target);
      flow.retain?.({ pongExpected: true });
      clock.advance(95_000);
      assert.equal(flow.isOpen, true);
      clock.advance(40_000);
      assert.equal(flow.isOpen, false);
    });

    it("gives up a peer that stops to answer keep-alives", async () => {
      const clock = new ManualClock();
      const alice = await bench.layer([TCP], { clock });
      let answering = true;
      const server = createServer((socket) => {
        // The message behind the answer shows the test that the answer has arrived.
        socket.on("data", () => answering && socket.write(`\r\n${requestText({ via: VIA })}`));
      });
      const flow = await alice.connect(await serve(server));
      flow.retain?.();
      clock.advance(122_000);
      await alice.arrival();
      assert.equal(flow.isOpen, true);
      answering = false;
      clock.advance(120_000);
      clock.advance(14_000);
      assert.equal(flow.isOpen, false);
      await until(() => alice.states.length === 2, "the report");
      assert.equal(alice.states[1]?.reason, "no answer to keep-alive");
    });

    it("gives up a connection over which nothing at all came while a request waited in vain", async () => {
      const clock = new ManualClock();
      const alice = await bench.layer([TCP], { clock });
      const server = createServer((socket) => {
        socket.once("data", () => socket.write(requestText({ via: VIA })));
      });
      const flow = await alice.connect(await serve(server));
      clock.advance(20_000);
      flow.send("\r\n\r\n");
      await alice.arrival();
      clock.advance(12_000);
      flow.unanswered?.(32_000);
      assert.equal(flow.isOpen, true);
      clock.advance(20_000);
      flow.unanswered?.(32_000);
      assert.equal(flow.isOpen, false);
      assert.equal(alice.states.at(-1)?.reason, "no answer to a request");
    });
  });

  it("cuts off a peer that does not read", async () => {
    const alice = await bench.layer([TCP]);
    const flow = await alice.connect(await serve(createServer((socket) => socket.pause())));
    const chunk = "x".repeat(256 * 1024);
    let sent = 0;
    while (flow.isOpen && sent < 200) {
      flow.send(chunk);
      sent++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(flow.isOpen, false);
    assert.equal(alice.states[1]?.reason, "peer does not read what is sent");
  });

  it("tells in words that a connection was refused", async () => {
    const alice = await bench.layer([TCP]);
    const error = await alice.connectError({ ...TCP, address: "127.0.0.1", port: 1 });
    assert.match(error.message, /tcp:127\.0\.0\.1:1 was refused: nothing listens there/);
    assert.deepEqual(alice.states, [
      {
        state: "disconnected",
        protocol: "tcp",
        address: "127.0.0.1",
        port: 1,
        reason: "ECONNREFUSED",
        outgoing: true,
      },
    ]);
  });

  it("reports a lost connection to its users and to those who send on it", async () => {
    const alice = await bench.layer([TCP]);
    const bob = await bench.layer([TCP]);
    const flow = await alice.connect(bob.target("tcp"));
    const reasons: string[] = [];
    flow.onClosed((reason) => reasons.push(reason));
    const silent = flow.onClosed(() => assert.fail("removed listeners are not called"));
    silent();
    await bob.layer.stop();
    await until(() => reasons.length === 1, "the news");
    assert.deepEqual(reasons, ["closed by peer"]);
    const errors: string[] = [];
    flow.send(requestText(), (error) => errors.push(error.message));
    assert.deepEqual(errors, []);
    await until(() => errors.length === 1, "the error");
    assert.match(errors[0] ?? "", /Closed by peer/);
    const late: string[] = [];
    flow.onClosed((reason) => late.push(reason));
    await until(() => late.length === 1, "the news for the late");
  });

  it("opens a new connection for the response when the old one is gone (RFC 3261 §18.2.2)", async () => {
    const bob = await bench.layer([TCP]);
    const carol = await bench.layer([TCP]);
    const client = await bench.tcpClient(bob.bound("tcp").port);
    const via = `SIP/2.0/TCP 10.9.9.9:${carol.bound("tcp").port};branch=z9hG4bK1`;
    client.write(requestText({ via }));
    const { message, flow } = await bob.arrival();
    client.socket.destroy();
    await until(() => !flow.isOpen, "the loss");
    (await bob.responseFlow(message as SipRequest, flow)).send(responseText());
    assert.equal((await carol.arrival()).message.kind, "response");
  });

  it("names a stack that has no TCP", async () => {
    const alice = await bench.layer([{ protocol: "ws", port: undefined }]);
    const error = await alice.connectError({ protocol: "tls", address: "127.0.0.1", port: 1 });
    assert.match(error.message, /has no TLS transport/);
  });

  it("stops with half-open connections, and leaves nothing", async () => {
    const bob = await bench.layer([TCP]);
    const client = await bench.tcpClient(bob.bound("tcp").port);
    client.write("OPTIONS");
    await until(() => bob.layer.counters().connections === 1, "the connection");
    await bob.layer.stop();
    await until(() => client.closed, "the end");
    assert.equal(bob.layer.counters().connections, 0);
  });
});
