import assert from "node:assert/strict";
import { SocketTransportLayer } from "../../../lib/transport/index.js";
import { LocalAddresses } from "../../../lib/transport/local-address.js";
import { LocalIdentity } from "../../../lib/transport/local-identity.js";
import { MessageReceiver } from "../../../lib/transport/message-receiver.js";
import { resolveSettings } from "../../../lib/transport/settings.js";
import { DatagramTransport } from "../../../lib/transport/udp.js";
import type { SipRequest } from "../../../lib/message/index.js";
import { ManualClock } from "../../support/manual-clock.js";
import { SeededRandom } from "../../support/seeded-random.js";
import { requestText, responseText } from "../../support/sip-messages.js";
import { RecordingLayer, TransportBench, until } from "../../support/transport-bench.js";

describe("UDP (RFC 3261 §18)", () => {
  const bench = new TransportBench();
  afterEach(() => bench.end());

  for (const address of ["127.0.0.1", "::1"]) {
    it(`carries messages both ways over ${address}`, async () => {
      const alice = await bench.layer([{ address }]);
      const bob = await bench.layer([{ address }]);
      const flow = await alice.connect(bob.target("udp", address));
      flow.send(requestText({ via: `SIP/2.0/UDP ${flow.sentBy};branch=z9hG4bK1;rport` }));
      const request = await bob.arrival();
      assert.equal(request.message.source?.address, address);
      assert.equal(request.message.topVia.parameters.get("received"), address);
      const back = await bob.responseFlow(request.message as SipRequest, request.flow);
      assert.equal(back, request.flow, "the response returns on the flow of its request");
      back.send(responseText());
      assert.equal((await alice.arrival()).flow, flow, "flows are the same object both ways");
      assert.equal(flow.isOpen, true);
      assert.equal(flow.reliable, false);
    });
  }

  it("keeps IPv4 and IPv6 wildcard sockets apart on one port", async () => {
    const both = await bench.layer([{ address: "0.0.0.0" }]);
    const port = both.bound("udp").port;
    const six = await bench.layer([{ address: "::", port }]);
    const client = await bench.udpClient();
    client.socket.send(requestText(), port, "127.0.0.1");
    await both.arrival();
    assert.equal(six.arrivals.length, 0);
    const flow = await both.connect({ protocol: "udp", address: "127.0.0.1", port: client.port });
    assert.equal(flow.sentBy, `127.0.0.1:${port}`);
    assert.equal(flow.localAddress, "127.0.0.1");
  });

  it("calls back synchronously and shares flows", async () => {
    const alice = await bench.layer([{}]);
    const flows: unknown[] = [];
    for (let i = 0; i < 2; i++) {
      alice.layer.connect({ protocol: "udp", address: "127.0.0.1", port: 9 }, (_error, flow) =>
        flows.push(flow),
      );
    }
    assert.equal(flows.length, 2);
    assert.equal(flows[0], flows[1]);
  });

  const routed: [string, string, (port: number) => string][] = [
    ["to the source port when rport is asked", "source", () => "127.0.0.1:9;rport"],
    ["to the sent-by port without rport", "other", (port) => `127.0.0.1:${port}`],
    ["to received when sent-by is a lie", "other", (port) => `198.51.100.1:${port}`],
  ];
  for (const [name, receiver, sentBy] of routed) {
    it(`routes responses ${name} (RFC 3261 §18.2.2)`, async () => {
      const bob = await bench.layer([{}]);
      const source = await bench.udpClient();
      const other = await bench.udpClient();
      const via = `SIP/2.0/UDP ${sentBy(other.port)};branch=z9hG4bK1`;
      source.socket.send(requestText({ via }), bob.bound("udp").port, "127.0.0.1");
      const { message, flow } = await bob.arrival();
      (await bob.responseFlow(message as SipRequest, flow)).send(responseText());
      const expected = receiver === "source" ? source : other;
      await until(() => expected.received.length === 1, "the response");
      assert.equal(expected.received[0]?.port, bob.bound("udp").port, "it left from our port");
    });
  }

  it("routes responses to a maddr that is one host", async () => {
    const bob = await bench.layer([{ address: "0.0.0.0" }]);
    const source = await bench.udpClient();
    const other = await bench.udpClient("127.0.0.3");
    const via = `SIP/2.0/UDP 127.0.0.1:${other.port};maddr=127.0.0.3;branch=z9hG4bK1`;
    source.socket.send(requestText({ via }), bob.bound("udp").port, "127.0.0.1");
    const { message, flow } = await bob.arrival();
    (await bob.responseFlow(message as SipRequest, flow)).send(responseText());
    await until(() => other.received.length === 1, "the response");
  });

  it("ignores keep-alives and counts garbage without a word to its user", async () => {
    const bob = await bench.layer([{}]);
    const client = await bench.udpClient();
    const port = bob.bound("udp").port;
    for (const text of ["", "\r\n", "\r\n\r\n", "\0\0\0\0"]) {
      client.socket.send(text, port, "127.0.0.1");
    }
    for (const text of ["hello", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", "x".repeat(60_000)]) {
      client.socket.send(text, port, "127.0.0.1");
    }
    client.socket.send(requestText(), port, "127.0.0.1");
    await bob.arrival();
    assert.deepEqual(bob.layer.counters(), {
      received: 5,
      sent: 0,
      malformed: 4,
      dropped: 4,
      connections: 0,
    });
    assert.deepEqual(bob.malformed, []);
  });

  it("hands up a malformed request that can be answered, with its source filled in", async () => {
    const bob = await bench.layer([{}]);
    const client = await bench.udpClient();
    const text = requestText({ via: "SIP/2.0/UDP 10.9.9.9:1;rport;branch=z9hG4bK1" });
    client.socket.send(
      text.replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"),
      bob.bound("udp").port,
      "127.0.0.1",
    );
    await until(() => bob.malformed.length === 1, "the report");
    const { error, request } = bob.malformed[0] ?? assert.fail();
    assert.equal(error.statusHint, 400);
    assert.equal(request?.topVia.parameters.get("rport"), String(client.port));
  });

  it("survives thousands of mutated datagrams", async () => {
    const bob = await bench.layer([{}]);
    const client = await bench.udpClient();
    const random = new SeededRandom(20_261);
    const seed = Buffer.from(requestText({ via: 'SIP/2.0/UDP h:1;rport;x="a\\"b",SIP/2.0/TCP b' }));
    for (let i = 0; i < 3000; i++) {
      const data = Buffer.from(seed);
      for (let n = 0; n < 6; n++) {
        data[Math.floor(random.next() * data.length)] = Math.floor(random.next() * 256);
      }
      client.socket.send(data, bob.bound("udp").port, "127.0.0.1");
      if (i % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
    }
    client.socket.send(requestText({ callId: "alive" }), bob.bound("udp").port, "127.0.0.1");
    await until(() => bob.arrivals.some((a) => a.message.callId === "alive"), "the last message");
    assert.ok(bob.arrivals.length > 1, "some mutations are harmless");
    assert.deepEqual(
      bob.log.filter((line) => line.includes("failed inside")),
      [],
    );
  });

  it("keeps a fault of its user from ending the process", async () => {
    const bob = await bench.layer([{}]);
    bob.answer = () => {
      throw new Error("boom in the upper room");
    };
    const client = await bench.udpClient();
    client.socket.send(requestText(), bob.bound("udp").port, "127.0.0.1");
    await until(() => bob.log.some((line) => line.includes("boom in the upper room")), "the log");
    bob.answer = undefined;
    client.socket.send(requestText(), bob.bound("udp").port, "127.0.0.1");
    await bob.arrival(1);
  });

  it("remembers only so many peers, but never forgets a retained one", async () => {
    const bob = await bench.layer([{}], { tuning: { maxDatagramFlows: 20 } });
    const at = async (port: number) => bob.connect({ protocol: "udp", address: "127.0.0.1", port });
    const kept = await at(1000);
    const release = kept.retain?.();
    const used = await at(1001);
    for (let port = 2000; port < 2200; port++) {
      await at(port);
      assert.equal(await at(1001), used, "a flow in use stays");
    }
    assert.equal(await at(1000), kept);
    release?.();
    for (let port = 2000; port < 2200; port++) await at(port);
    assert.notEqual(await at(1000), kept);
  });

  it("shows what is advertised, towards everybody", async () => {
    const alice = await bench.layer([{ advertise: "pbx.example.com:5099" }]);
    const flow = await alice.connect({ protocol: "udp", address: "127.0.0.1", port: 9 });
    assert.equal(flow.sentBy, "pbx.example.com:5099");
    assert.equal(flow.contactHost, "pbx.example.com:5099");
  });

  it("leaves from the entry that reaches the peer", async () => {
    const alice = await bench.layer([{ address: "::1" }, { address: "127.0.0.2" }, {}]);
    const client = await bench.udpClient();
    const to = await alice.connect({ protocol: "udp", address: "127.0.0.1", port: client.port });
    to.send(requestText());
    await until(() => client.received.length === 1, "the message");
    assert.equal(client.received[0]?.address, "127.0.0.1");
    const two = await alice.connect({ protocol: "udp", address: "127.0.0.2", port: client.port });
    assert.equal(two.localAddress, "127.0.0.2");
  });

  it("reports a message that is too large later, never by throwing", async () => {
    const alice = await bench.layer([{}]);
    const flow = await alice.connect({ protocol: "udp", address: "127.0.0.1", port: 9 });
    const errors: string[] = [];
    flow.send("x".repeat(70_000), (error) => errors.push(error.message));
    assert.deepEqual(errors, []);
    await until(() => errors.length === 1, "the error");
    assert.match(errors[0] ?? "", /too large for one UDP datagram: use TCP/);
  });

  it("names port and cure when a port is taken, and leaves nothing bound", async () => {
    const first = await bench.layer([{}]);
    const taken = first.bound("udp").port;
    const second = new RecordingLayer({
      transports: [
        { protocol: "tcp", address: "127.0.0.1", port: 0 },
        { protocol: "udp", address: "127.0.0.1", port: taken },
      ],
    });
    await assert.rejects(second.layer.start(second), (error: Error) => {
      assert.match(error.message, new RegExp(`UDP port ${taken} on 127.0.0.1 is already in use`));
      assert.match(error.message, /choose another port/);
      return true;
    });
    assert.deepEqual(second.layer.bound, []);
    const error = await second.connectError(first.target("udp"));
    assert.match(error.message, /not running/);
  });

  it("names the address when this machine does not have it", async () => {
    const layer = new SocketTransportLayer({
      transports: [{ protocol: "udp", address: "198.51.100.77", port: 0 }],
    });
    await assert.rejects(
      layer.start(new RecordingLayer({ transports: [] })),
      /no address 198\.51\.100\.77\. Use 0\.0\.0\.0/,
    );
    const named = new SocketTransportLayer({
      transports: [{ protocol: "udp", address: "my-host", port: 0 }],
    });
    await assert.rejects(
      named.start(new RecordingLayer({ transports: [] })),
      /"my-host" is no IP address/,
    );
  });

  const wrong: [string, string, number, RegExp][] = [
    ["an IPv6 peer without IPv6 transport", "2001:db8::1", 5060, /no UDP transport for IPv6/],
    ["a name", "example.com", 5060, /no IP address/],
    ["a multicast address", "224.0.1.75", 5060, /multicast/],
    ["the unspecified address", "0.0.0.0", 5060, /multicast and unspecified/],
    ["port 0", "127.0.0.1", 0, /port must be 1 to 65535/],
  ];
  for (const [name, address, port, words] of wrong) {
    it(`refuses ${name} in words`, async () => {
      const alice = await bench.layer([{}]);
      const error = await alice.connectError({ protocol: "udp", address, port });
      assert.match(error.message, words);
    });
  }

  it("stops twice, can start again, and leaves no socket", async () => {
    const alice = await bench.layer([{}]);
    const flow = await alice.connect({ protocol: "udp", address: "127.0.0.1", port: 9 });
    await alice.layer.stop();
    await alice.layer.stop();
    assert.equal(flow.isOpen, false);
    const errors: string[] = [];
    flow.send(requestText(), (error) => errors.push(error.message));
    await until(() => errors.length === 1, "the error");
    assert.match(errors[0] ?? "", /stopped/);
    await alice.layer.start(alice);
    assert.equal(alice.layer.bound.length, 1);
  });

  it("sends what was given to it just before it stopped", async () => {
    const alice = await bench.layer([{}]);
    const client = await bench.udpClient();
    const flow = await alice.connect({ protocol: "udp", address: "127.0.0.1", port: client.port });
    flow.send(requestText());
    await alice.layer.stop();
    await until(() => client.received.length === 1, "the last message");
  });

  it("stops while it starts", async () => {
    const alice = new RecordingLayer({
      transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }],
    });
    const starting = alice.layer.start(alice);
    await alice.layer.stop();
    await assert.rejects(starting, /stopped while it started/);
    assert.deepEqual(alice.layer.bound, []);
  });

  it("keeps NATs open for retained flows that leave the subnet, and for no others", async () => {
    const clock = new ManualClock();
    const settings = resolveSettings({ clock, random: new SeededRandom(1) });
    const addresses = new LocalAddresses({ clock });
    const client = await bench.udpClient();
    let isOnLink = true;
    addresses.isOnLink = () => isOnLink;
    const entry = { protocol: "udp", address: "127.0.0.1", port: 0 } as const;
    const transport = await DatagramTransport.bind(entry, {
      settings,
      addresses,
      receiver: new MessageReceiver(settings),
      identity: new LocalIdentity([], addresses, settings.random),
      onBroken: () => undefined,
    });
    bench.atEnd(() => transport.close());
    const flow = transport.flow("127.0.0.1", client.port);
    const near = flow.retain();
    assert.equal(clock.pendingTimers(), 0);
    near();
    isOnLink = false;
    const one = flow.retain();
    const two = flow.retain();
    assert.equal(clock.pendingTimers(), 1);
    const [at] = clock.schedule();
    assert.ok(at !== undefined && at >= 24_000 && at <= 29_000, String(at));
    clock.advance(60_000);
    await until(() => client.received.length === 2, "two keep-alives");
    assert.equal(client.received[0]?.text, "\r\n\r\n");
    one();
    one();
    assert.equal(clock.pendingTimers(), 1, "one user still needs it");
    two();
    assert.equal(clock.pendingTimers(), 0);
  });

  it("offers TCP beside UDP for large requests", async () => {
    const alice = await bench.layer([{}]);
    assert.deepEqual(alice.layer.protocols, ["udp", "tcp"]);
  });
});
