/**
 * TCP connections that are cut, or that lead nowhere any more, at every place of a call (RFC 3261 §18, RFC 5923). The
 * call goes on over a new one: what was under way is sent again with the same branch, so that a peer which has it
 * already knows it again.
 */
import assert from "node:assert/strict";
import type { Session } from "../../../lib/session/index.js";
import { aliceAndBob, type AliceAndBob } from "../../support/alice-and-bob.js";
import type { LoopPacket } from "../../support/loop-network.js";
import { ScriptedPeer } from "../../support/scripted-peer.js";

const TCP = { protocols: ["tcp"] as const };

interface Bench extends AliceAndBob {
  readonly uri: string;
  /** What went over the wire since the last look, `label who`. */
  sent(): string[];
}

async function overTcp(): Promise<Bench> {
  const bench = await aliceAndBob({ alice: TCP, bob: TCP });
  const { network, bob } = bench;
  return {
    ...bench,
    uri: `${bob.uri};transport=tcp`,
    sent: () => network.messages.map(({ label, from }) => `${label} ${from}`),
  };
}

/** Cuts every connection in place of the first packet that fits, which is lost with it. */
function cutInsteadOf({ network }: Bench, fits: (packet: LoopPacket) => boolean): void {
  let done = false;
  network.rule((packet) => {
    if (done || !fits(packet)) return undefined;
    done = true;
    network.closeConnections("reset by peer");
    return "drop";
  });
}

describe("a connection that is cut while a call is set up", () => {
  it("before the INVITE arrives: the INVITE goes over a new one", async () => {
    const bench = await overTcp();
    const { alice, bob, pass, uri, end } = bench;
    bob.takeCalls((session) => void session.accept());
    cutInsteadOf(bench, ({ label }) => label === "INVITE");
    const call = alice.userAgent.invite({ targets: [uri] });
    await pass(1_000);
    assert.equal(call.state, "established");
    assert.equal(bob.calls.length, 1);
    await end();
  });

  it("before the first response arrives: the callee knows the INVITE again, and rings once", async () => {
    const bench = await overTcp();
    const { alice, bob, pass, uri, sent, end } = bench;
    bob.takeCalls((session) => void session.accept());
    cutInsteadOf(bench, ({ label }) => label === "200");
    const call = alice.userAgent.invite({ targets: [uri] });
    await pass(2_000);
    assert.equal(call.state, "established");
    assert.equal(bob.calls.length, 1);
    assert.equal(sent().filter((line) => line === "INVITE alice").length, 2);
    await end();
  });

  it("while it rings: the answer comes over a new one", async () => {
    const { alice, bob, network, pass, uri, end } = await overTcp();
    bob.takeCalls((session) => void session.progress({ statusCode: 180 }));
    const call = alice.userAgent.invite({ targets: [uri] });
    await pass(100);
    network.closeConnections();
    await pass(100);
    await Promise.all([bob.calls[0]?.accept(), pass(1_000)]);
    assert.equal(call.state, "established");
    assert.equal(bob.calls[0]?.state, "established");
    await end();
  });

  it("while it rings: CANCEL finds the callee over a new one", async () => {
    const { alice, bob, network, pass, uri, end } = await overTcp();
    bob.takeCalls((session) => void session.progress({ statusCode: 180 }));
    const call = alice.userAgent.invite({ targets: [uri] });
    await pass(100);
    network.closeConnections();
    await pass(100);
    await Promise.all([call.end(), pass(1_000)]);
    assert.equal(call.snapshot().cause, "cancelled");
    assert.equal(bob.calls[0]?.snapshot().cause, "cancelled");
    await end();
  });

  it("in place of the CANCEL: it is sent again", async () => {
    const bench = await overTcp();
    const { alice, bob, pass, uri, end } = bench;
    bob.takeCalls((session) => void session.progress({ statusCode: 180 }));
    const call = alice.userAgent.invite({ targets: [uri] });
    await pass(100);
    cutInsteadOf(bench, ({ label }) => label === "CANCEL");
    await Promise.all([call.end(), pass(1_000)]);
    assert.equal(bob.calls[0]?.snapshot().cause, "cancelled");
    await end();
  });

  it("in place of the ACK: the repeated 200 gets one over a new one", async () => {
    const bench = await overTcp();
    const { alice, bob, pass, uri, end } = bench;
    bob.takeCalls((session) => void session.accept());
    cutInsteadOf(bench, ({ label }) => label === "ACK");
    alice.userAgent.invite({ targets: [uri] });
    await pass(2_000);
    assert.equal(bob.heard().includes("confirmed"), true);
    await pass(60_000);
    assert.equal(bob.calls[0]?.state, "established");
    await end();
  });

  it("and the callee is gone for good: the call fails with transport-error, after two attempts", async () => {
    const bench = await overTcp();
    const { alice, bob, network, pass, uri, sent, end } = bench;
    network.rule(({ label }) => {
      if (label !== "INVITE") return undefined;
      network.closeConnections();
      void bob.endpoint.stop();
      return "drop";
    });
    const call = alice.userAgent.invite({ targets: [uri] });
    await pass(2_000);
    assert.equal(call.snapshot().cause, "transport-error");
    assert.equal(sent().length, 1);
    await end();
  });

  it("by a callee that takes every connection and cuts it: two attempts, no more", async () => {
    const { alice, network, pass, uri, sent, end } = await overTcp();
    network.rule(() => {
      network.closeConnections();
      return "drop";
    });
    const call = alice.userAgent.invite({ targets: [uri] });
    await pass(40_000);
    assert.equal(call.snapshot().cause, "transport-error");
    assert.deepEqual(sent(), ["INVITE alice", "INVITE alice"]);
    await end();
  });
});

describe("a connection that is cut in an established call", () => {
  const requests: Record<string, (session: Session) => Promise<unknown>> = {
    INVITE: (session) => session.reinvite({ action: "hold" }),
    INFO: (session) => session.request({ method: "INFO" }),
    BYE: (session) => session.end(),
  };
  const places = {
    "before it is sent": undefined,
    "in place of the request": (packet: LoopPacket) => !/^\d/.test(packet.label),
    "in place of the response": (packet: LoopPacket) => /^[2-6]/.test(packet.label),
  };

  for (const who of ["alice", "bob"] as const) {
    for (const [method, act] of Object.entries(requests)) {
      for (const [place, fits] of Object.entries(places)) {
        const role = who === "alice" ? "the caller" : "the callee";
        it(`${place}: ${method} of ${role} does what it should`, async () => {
          const bench = await overTcp();
          const { alice, bob, network, pass, uri, end } = bench;
          bob.takeCalls((session) => void session.accept());
          const call = alice.userAgent.invite({ targets: [uri] });
          await pass(1_000);
          const [callee] = bob.calls;
          const [session, other] = who === "alice" ? [call, callee] : [callee, call];
          if (fits === undefined) {
            network.closeConnections();
            await pass(100);
          } else {
            cutInsteadOf(bench, (packet) => packet.cseqMethod === method && fits(packet));
          }
          const [outcome] = await Promise.all([act(session), pass(60_000)]);
          if (method === "BYE") {
            assert.equal(session.snapshot().cause, "local-bye");
            assert.equal(other.snapshot().cause, "remote-bye");
          } else {
            assert.equal((outcome as { ok: boolean }).ok, true, JSON.stringify(outcome));
            assert.deepEqual([session.state, other.state], ["established", "established"]);
          }
          const heard = (who === "alice" ? bob : alice).heard(other);
          const effect = { INVITE: "reinvite", INFO: "info", BYE: "ended" }[method] ?? "";
          assert.equal(heard.filter((name) => name === effect).length, 1, heard.join(", "));
          await end();
        });
      }
    }
  }

  it("and does not come back ends nothing; what is asked then fails with transport-error", async () => {
    const { alice, bob, network, pass, uri, end } = await overTcp();
    bob.takeCalls((session) => void session.accept());
    const call = alice.userAgent.invite({ targets: [uri] });
    await pass(1_000);
    const { user } = bob.endpoint;
    network.closeConnections();
    bob.endpoint.user = undefined;
    await pass(600_000);
    assert.equal(call.state, "established");
    const [held] = await Promise.all([call.reinvite({ action: "hold" }), pass(1_000)]);
    assert.equal(held.ok || held.cause, "transport-error");
    assert.equal(call.state, "established");
    bob.endpoint.user = user;
    const [again] = await Promise.all([call.reinvite({ action: "hold" }), pass(1_000)]);
    assert.equal(again.ok, true);
    await end();
  });
});

describe("a server that closes the connection with its challenge", () => {
  it("gets the request with credentials over a new one", async () => {
    const { alice, network, clock, pass, end } = await aliceAndBob({ alice: TCP });
    const server = await new ScriptedPeer(network, {
      name: "server",
      address: "10.0.0.5",
      ...TCP,
    }).start();
    server.onRequest = (request) => {
      if (request.headers.has("authorization")) {
        const contact = request.headers.get("contact");
        server.reply(request, 200, { headers: [["Contact", `${contact};expires=600`]] });
        return;
      }
      server.reply(request, 401, {
        headers: [["WWW-Authenticate", 'Digest realm="r", nonce="n"']],
      });
      clock.setTimer(1, () => network.closeConnections());
    };
    const account = alice.userAgent.addAccount({
      id: "a",
      uri: "sip:alice@10.0.0.5",
      registrar: "sip:10.0.0.5;transport=tcp",
      password: "secret",
    });
    await pass(1_000);
    assert.equal(account.registration.state, "registered");
    assert.deepEqual(alice.heardOfStack().includes("registration-failed"), false);
    await end();
  });
});

describe("a connection that leads nowhere any more, without a word", () => {
  it("is given up when a request over it gets no answer, so that the next one finds the peer", async () => {
    const { alice, bob, network, pass, uri, end } = await overTcp();
    bob.takeCalls((session) => void session.accept());
    const call = alice.userAgent.invite({ targets: [uri] });
    await pass(1_000);
    let dark = true;
    network.rule(() => (dark ? "drop" : undefined));
    const asked = call.request({ method: "INFO" });
    await pass(31_000);
    dark = false;
    const [info] = await Promise.all([asked, pass(2_000)]);
    assert.equal(info.ok, true, "the same request over a new connection");
    assert.deepEqual(
      alice.heard(call).filter((name) => name === "route"),
      ["route", "route"],
    );
    const [held] = await Promise.all([call.reinvite({ action: "hold" }), pass(1_000)]);
    assert.equal(held.ok, true);
    assert.equal(call.state, "established");
    await end();
  });

  it("and whose peer is gone as well: the request fails after both waits, and the call with it", async () => {
    const { alice, bob, network, pass, uri, sent, end } = await overTcp();
    bob.takeCalls((session) => void session.accept());
    const call = alice.userAgent.invite({ targets: [uri] });
    await pass(1_000);
    const stop = network.rule(() => "drop");
    network.clearLog();
    const [info] = await Promise.all([call.request({ method: "INFO" }), pass(65_000)]);
    assert.equal(info.ok || info.cause, "timeout");
    assert.deepEqual(sent().slice(0, 2), ["INFO alice", "INFO alice"]);
    await pass(70_000);
    assert.equal(call.snapshot().cause, "timeout");
    stop();
    await end();
  });

  it("is kept when only one request has no answer and others come through", async () => {
    const { alice, bob, network, pass, uri, end } = await overTcp();
    bob.takeCalls((session) => void session.accept());
    const call = alice.userAgent.invite({ targets: [uri] });
    await pass(1_000);
    network.rule(({ cseqMethod }) => (cseqMethod === "MESSAGE" ? "drop" : undefined));
    const lost = alice.userAgent.request({ method: "MESSAGE", to: uri });
    await pass(20_000);
    await Promise.all([bob.calls[0]?.request({ method: "INFO" }), pass(1_000)]);
    await Promise.all([lost, pass(20_000)]);
    assert.equal(alice.heard(call).includes("route"), false);
    await end();
  });
});
