/**
 * Targets that a peer names, in a 3xx or in Refer-To, never lead to this machine itself, unless the peer is on this
 * machine (the service that listens there trusts it). Requirements: the call fails as `blocked`, the sender of the REFER
 * hears 403; addresses and names alike; what the application names is not looked at. And the dial filter holds for all of them.
 */
import assert from "node:assert/strict";
import { endAll, Person, type PersonOptions } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, ScriptedPeer } from "../../support/scripted-peer.js";

/** `inside.example` is this machine. */
const DNS: NonNullable<PersonOptions["dns"]> = {
  resolveNaptr: () => Promise.resolve([]),
  resolveSrv: () => Promise.resolve([]),
  resolve4: (name) => Promise.resolve(name === "inside.example" ? ["127.0.0.1"] : []),
  resolve6: () => Promise.resolve([]),
};

async function setUp(net: "10.0.0" | "127.0.0") {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const bob = new Person("bob", `${net}.2`, network, clock, { dns: DNS });
  const peer = await new ScriptedPeer(network, { name: "peer", address: `${net}.9` }).start();
  const inside = await new ScriptedPeer(network, { name: "inside", address: "127.0.0.1" }).start();
  inside.onRequest = (request) => inside.reply(request, 486);
  bob.userAgent.requestPolicy = () => ({ listened: true, holdMs: 1_000 });
  await bob.userAgent.start();
  return { clock, bob, peer, inside, address: `${net}.2`, end: () => endAll(clock, [bob]) };
}

describe("A target that leads to this machine itself", () => {
  for (const host of ["127.0.0.1", "inside.example:5060", "[::1]"]) {
    it(`is not followed in a 302 of a peer elsewhere (${host})`, async () => {
      const { clock, bob, peer, inside, end } = await setUp("10.0.0");
      peer.onRequest = (request) =>
        request.method === "INVITE" &&
        peer.reply(request, 302, { headers: [["Contact", `<sip:admin@${host}>`]] });
      bob.userAgent.invite({ targets: ["sip:peer@10.0.0.9"] });
      await clock.advanceAsync(500);
      assert.equal(bob.last("failed").snapshot.cause, "blocked");
      assert.equal(inside.requests.length, 0);
      await end();
    });
  }

  it("is passed over in a 302 that names another one, too", async () => {
    const { clock, bob, peer, inside, end } = await setUp("10.0.0");
    peer.onRequest = (request) => {
      if (request.uri.includes("desk")) peer.reply(request, 486);
      else if (request.method === "INVITE") {
        peer.reply(request, 302, {
          headers: [["Contact", "<sip:admin@127.0.0.1>;q=0.9, <sip:desk@10.0.0.9>;q=0.5"]],
        });
      }
    };
    bob.userAgent.invite({ targets: ["sip:peer@10.0.0.9"] });
    await clock.advanceAsync(500);
    assert.equal(bob.last("failed").snapshot.cause, "busy");
    assert.equal(inside.requests.length, 0);
    await end();
  });

  it("is followed in a 302 of a peer on this machine", async () => {
    const { clock, bob, peer, inside, end } = await setUp("127.0.0");
    peer.onRequest = (request) =>
      request.method === "INVITE" &&
      peer.reply(request, 302, { headers: [["Contact", "<sip:admin@127.0.0.1>"]] });
    bob.userAgent.invite({ targets: ["sip:peer@127.0.0.9"] });
    await clock.advanceAsync(500);
    assert.equal(bob.last("failed").snapshot.cause, "busy");
    assert.ok(inside.requests.length > 0);
    await end();
  });

  it("is called when the application names it", async () => {
    const { clock, bob, end } = await setUp("10.0.0");
    bob.userAgent.invite({ targets: ["sip:inside@inside.example:5060"] });
    await clock.advanceAsync(500);
    assert.equal(bob.last("failed").snapshot.cause, "busy");
    await end();
  });

  for (const net of ["10.0.0", "127.0.0"] as const) {
    it(`is ${net === "10.0.0" ? "not " : ""}followed in a REFER from ${net}.9`, async () => {
      const { clock, bob, peer, inside, address, end } = await setUp(net);
      peer.onRequest = (request) => peer.reply(request, 200);
      const lines = [
        `Contact: <sip:peer@${net}.9>`,
        "Refer-To: <sip:admin@127.0.0.1>",
        `Referred-By: <sip:peer@${net}.9>`,
      ];
      peer.send(requestText({ method: "REFER", headers: lines }), address);
      await clock.advanceAsync(10);
      const pending = bob.stackEvents.findLast(({ name }) => name === "refer")?.pending;
      const outcome = pending?.accept({ follow: true });
      await clock.advanceAsync(500);
      const result = await outcome;
      const [cause, told] = net === "10.0.0" ? ["blocked", 403] : ["busy", 486];
      assert.equal(result?.ok === false && result.cause, cause);
      const notify = peer.requests.findLast(({ method }) => method === "NOTIFY");
      assert.match(notify?.text ?? "", new RegExp(`^SIP/2.0 ${told} `));
      assert.equal(inside.requests.length > 0, net === "127.0.0");
      await end();
    });
  }
});

describe("A Contact that leads to this machine itself", () => {
  it("stands for the address that the peer sends from", async () => {
    const { clock, bob, peer, inside, end } = await setUp("10.0.0");
    peer.onRequest = (request) => {
      if (request.method === "ACK") return;
      const description = [
        "v=0",
        "o=- 1 1 IN IP4 10.0.0.9",
        "s=-",
        "c=IN IP4 10.0.0.9",
        "t=0 0",
        "m=audio 4000 RTP/AVP 0",
        "",
      ];
      peer.reply(request, 200, {
        contact: "<sip:peer@127.0.0.1:5060>",
        contentType: "application/sdp",
        body: description.join("\r\n"),
        toTag: "one",
      });
    };
    const session = bob.userAgent.invite({ targets: ["sip:peer@10.0.0.9"] });
    await clock.advanceAsync(500);
    void session.end();
    await clock.advanceAsync(500);
    assert.deepEqual(peer.methods(), ["INVITE", "ACK", "BYE"]);
    assert.equal(inside.requests.length, 0);
    await end();
  });
});

describe("The dial filter", () => {
  const dial = ["sip:*@10.0.0.9", "!0900*"];
  const cases: readonly [named: string, called: string[]][] = [
    ["<sip:carol@10.0.0.9>", ["sip:carol@10.0.0.9"]],
    ["<sip:0900123@10.0.0.9>", []],
    ["<sip:0900123@10.0.0.9>;q=1, <sip:carol@10.0.0.9>;q=0.1", ["sip:carol@10.0.0.9"]],
    ["<sip:carol@10.0.0.66>", []],
    ["<sips:carol@10.0.0.9>", []],
    ["<tel:+4930123>", []],
    ["<sip:carol@10.0.0.9;maddr=10.0.0.66>", []],
    ["<mailto:carol@10.0.0.9>", []],
  ];

  async function setUpFilter() {
    const clock = new ManualClock();
    const network = new LoopNetwork(clock);
    const bob = new Person("bob", "10.0.0.2", network, clock, { dial, dns: DNS });
    const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
    const evil = await new ScriptedPeer(network, { name: "evil", address: "10.0.0.66" }).start();
    await bob.userAgent.start();
    const called = () =>
      [...peer.requests, ...evil.requests]
        .filter(({ method, uri }) => method === "INVITE" && uri !== "sip:peer@10.0.0.9")
        .map(({ uri }) => uri);
    return { clock, bob, peer, evil, called, end: () => endAll(clock, [bob]) };
  }

  for (const [named, expected] of cases) {
    it(`holds for a 302 to ${named}`, async () => {
      const { clock, bob, peer, called, end } = await setUpFilter();
      peer.onRequest = (request) => {
        if (request.method !== "INVITE") return;
        if (request.uri !== "sip:peer@10.0.0.9") peer.reply(request, 486);
        else peer.reply(request, 302, { headers: [["Contact", named]] });
      };
      bob.userAgent.invite({ targets: ["sip:peer@10.0.0.9"] });
      await clock.advanceAsync(500);
      assert.deepEqual(called(), expected);
      const { cause } = bob.last("failed").snapshot;
      const isNoTarget = named.startsWith("<mailto:");
      assert.equal(cause, expected.length > 0 ? "busy" : isNoTarget ? "redirected" : "blocked");
      await end();
    });
  }

  for (const target of ["sip:0900123@10.0.0.9", "sip:carol@10.0.0.66", "sips:carol@10.0.0.9"]) {
    it(`holds for a call of the application to ${target}`, async () => {
      const { clock, bob, called, end } = await setUpFilter();
      bob.userAgent.invite({ targets: [target] });
      await clock.advanceAsync(500);
      assert.deepEqual(called(), []);
      assert.equal(bob.last("failed").snapshot.cause, "blocked");
      await end();
    });
  }

  for (const [target, status] of [
    ["sip:carol@10.0.0.9", 202],
    ["sip:0900123@10.0.0.9", 403],
    ["sip:carol@10.0.0.66", 403],
  ] as const) {
    it(`holds for a REFER to ${target}: ${status}`, async () => {
      const { clock, bob, peer, called, end } = await setUpFilter();
      bob.userAgent.requestPolicy = () => ({ listened: true, holdMs: 1_000 });
      bob.userAgent.on("stackEvent", ({ name, pending }) => {
        if (name === "refer" || name === "request") void pending?.accept({ follow: true });
      });
      peer.onRequest = (request) =>
        request.method !== "ACK" && peer.reply(request, request.method === "INVITE" ? 486 : 200);
      peer.send(
        requestText({
          method: "REFER",
          headers: [`Refer-To: <${target}>`, "Contact: <sip:peer@10.0.0.9>"],
        }),
        "10.0.0.2",
      );
      await clock.advanceAsync(2_000);
      assert.equal(peer.statuses()[0], status);
      assert.deepEqual(called(), status === 202 ? [target] : []);
      await end();
    });
  }
});
