/** The network in memory must behave like the real one where it matters to the rooms above. */
import assert from "node:assert/strict";
import type { Flow, TransportUser } from "../../../lib/transport/transport.js";
import type { SipMessage, SipRequest } from "../../../lib/message/index.js";
import { ManualClock } from "../../support/manual-clock.js";
import { LoopNetwork } from "../../support/loop-network.js";
import type { LoopEndpoint, LoopEndpointOptions } from "../../support/loop-network.js";
import { requestText, responseText } from "../../support/sip-messages.js";

class Recorder implements TransportUser {
  readonly arrivals: { message: SipMessage; flow: Flow; at: number }[] = [];
  readonly states: string[] = [];
  malformed = 0;
  constructor(readonly clock: ManualClock) {}
  onMessage(message: SipMessage, flow: Flow): void {
    this.arrivals.push({ message, flow, at: this.clock.now() });
  }
  onMalformed(): void {
    this.malformed++;
  }
  onConnectionState(state: { state: string; reason?: string | undefined }): void {
    this.states.push(`${state.state} ${state.reason ?? ""}`.trim());
  }
}

function setUp(options: Partial<LoopEndpointOptions> = {}) {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const make = (name: string, address: string) => {
    const endpoint = network.endpoint({ name, address, ...options });
    const user = new Recorder(clock);
    void endpoint.start(user);
    return { endpoint, user };
  };
  return { clock, network, alice: make("alice", "10.0.0.1"), bob: make("bob", "10.0.0.2") };
}

function connect(from: LoopEndpoint, to: LoopEndpoint, clock: ManualClock): Flow {
  let flow: Flow | undefined;
  const protocol = from.protocols[0] ?? "udp";
  from.connect({ protocol, address: to.address, port: to.port }, (error, opened) => {
    assert.equal(error, undefined);
    flow = opened;
  });
  if (!flow) clock.advance(10);
  assert.ok(flow);
  return flow;
}

const VIA = "SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK1";

describe("the network in memory", () => {
  it("carries bytes through parser and Via rules, a millisecond later", () => {
    const { clock, network, alice, bob } = setUp();
    const flow = connect(alice.endpoint, bob.endpoint, clock);
    flow.send(requestText({ via: VIA }));
    assert.equal(bob.user.arrivals.length, 0);
    clock.advance(1);
    const { message, flow: back } = bob.user.arrivals[0] ?? assert.fail();
    assert.equal(message.topVia.parameters.get("rport"), "5060");
    assert.deepEqual(message.source, { protocol: "udp", address: "10.0.0.1", port: 5060 });
    bob.endpoint.responseFlow(message as SipRequest, back, (_error, responses) =>
      responses?.send(responseText()),
    );
    clock.advance(1);
    assert.equal(alice.user.arrivals[0]?.flow, flow);
    assert.deepEqual(network.ladder(), ["OPTIONS alice → bob", "200 bob → alice"]);
    assert.equal(network.messages[1]?.cseqMethod, "OPTIONS");
  });

  it("drops, doubles, delays and fails what rules say", () => {
    const { clock, network, alice, bob } = setUp();
    const flow = connect(alice.endpoint, bob.endpoint, clock);
    network.onPacket(1, "drop");
    network.onPacket(2, "duplicate");
    network.onPacket(3, 50);
    network.onPacket(4, "fail");
    const errors: string[] = [];
    for (let i = 0; i < 4; i++) flow.send(requestText({ via: VIA }), (e) => errors.push(e.message));
    clock.advance(10);
    assert.equal(bob.user.arrivals.length, 2);
    clock.advance(50);
    assert.equal(bob.user.arrivals.length, 3);
    assert.equal(errors.length, 1);
    assert.deepEqual(network.ladder(), [
      "OPTIONS alice → bob (dropped)",
      "OPTIONS alice → bob (duplicated)",
      "OPTIONS alice → bob",
      "OPTIONS alice → bob (failed)",
    ]);
    assert.equal(clock.pendingTimers(), 0);
  });

  it("drops the first packets that match", () => {
    const { clock, network, alice, bob } = setUp();
    const flow = connect(alice.endpoint, bob.endpoint, clock);
    const stop = network.drop((p) => p.label === "OPTIONS", 2);
    for (let i = 0; i < 3; i++) flow.send(requestText({ via: VIA }));
    clock.advance(5);
    assert.equal(bob.user.arrivals.length, 1);
    stop();
  });

  it("loses about the share that was asked for, the same at every run", () => {
    const outcome = (): number => {
      const { clock, network, alice, bob } = setUp();
      network.loss = 0.3;
      network.delayMs = [0, 200];
      const flow = connect(alice.endpoint, bob.endpoint, clock);
      for (let i = 0; i < 1000; i++) flow.send(requestText({ via: VIA }));
      clock.advance(1000);
      return bob.user.arrivals.length;
    };
    const arrived = outcome();
    assert.ok(arrived > 640 && arrived < 760, String(arrived));
    assert.equal(outcome(), arrived);
  });

  it("counts garbage as the real layer does", () => {
    const { clock, alice, bob } = setUp();
    const flow = connect(alice.endpoint, bob.endpoint, clock);
    flow.send("hello");
    flow.send(requestText({ via: VIA }).replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"));
    clock.advance(5);
    assert.equal(bob.user.malformed, 1);
    assert.equal(bob.endpoint.counters().malformed, 2);
  });

  it("sends into nowhere over UDP and refuses over TCP", () => {
    const { clock, alice } = setUp({ protocols: ["udp", "tcp"] });
    alice.endpoint.connect({ protocol: "udp", address: "10.9.9.9", port: 5060 }, (_error, flow) =>
      flow?.send(requestText()),
    );
    const errors: string[] = [];
    alice.endpoint.connect({ protocol: "tcp", address: "10.9.9.9", port: 5060 }, (error) =>
      errors.push(error?.message ?? ""),
    );
    clock.advance(10);
    assert.match(errors[0] ?? "", /refused/);
    assert.deepEqual(alice.user.states, ["disconnected ECONNREFUSED"]);
  });

  it("has connections that keep order, are shared, and close at both ends", () => {
    const { clock, network, alice, bob } = setUp({ protocol: "tcp" });
    const flow = connect(alice.endpoint, bob.endpoint, clock);
    network.onPacket(1, 100);
    flow.send(requestText({ via: VIA, callId: "first" }));
    flow.send(requestText({ via: VIA, callId: "second" }));
    clock.advance(200);
    assert.deepEqual(
      bob.user.arrivals.map((a) => a.message.callId),
      ["first", "second"],
    );
    assert.equal(connect(alice.endpoint, bob.endpoint, clock), flow);
    const reasons: string[] = [];
    flow.onClosed((reason) => reasons.push(reason));
    network.closeConnections("broken");
    assert.deepEqual(reasons, ["broken"]);
    assert.deepEqual(alice.user.states, ["connected", "disconnected broken"]);
    assert.deepEqual(bob.user.states, ["connected", "disconnected closed by peer"]);
    const { message, flow: old } = bob.user.arrivals[0] ?? assert.fail();
    bob.endpoint.responseFlow(message as SipRequest, old, (_error, next) =>
      next?.send(responseText()),
    );
    clock.advance(10);
    assert.equal(alice.user.arrivals.length, 1, "the response came over a new connection");
  });

  it("is silent towards an endpoint that has stopped", async () => {
    const { clock, alice, bob } = setUp();
    const flow = connect(alice.endpoint, bob.endpoint, clock);
    await bob.endpoint.stop();
    flow.send(requestText({ via: VIA }));
    clock.advance(10);
    assert.equal(bob.user.arrivals.length, 0);
    await bob.endpoint.stop();
    assert.deepEqual(bob.endpoint.bound, []);
  });
});
