/**
 * Hostile input through the whole user agent, in process: mutated datagrams of every kind of message must not throw,
 * must leave no state once their time is over, and must not keep others from being served.
 */
import assert from "node:assert/strict";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, ScriptedPeer } from "../../support/scripted-peer.js";
import { SeededRandom } from "../../support/seeded-random.js";

const DICTIONARY = [
  "__proto__",
  "constructor",
  "toString",
  ";;,,",
  "%n",
  "${",
  "%00",
  "%0d%0a",
  "\r\n",
  "\r\n ",
  "<<<<",
  '""""',
  "-1",
  "2147483648",
  "4294967296",
  "18446744073709551616",
  "1e9",
  "0x10",
  "\u0000",
  "\u00ff",
  "*",
  "sip:",
  "@",
  ";tag=",
  ";branch=",
];

/** One message with one to four faults. */
function mutate(text: string, random: SeededRandom): Buffer {
  let bytes = Buffer.from(text, "latin1");
  const pick = (n: number) => Math.floor(random.next() * n);
  for (let i = pick(4); i >= 0; i--) {
    const at = pick(bytes.length + 1);
    const lines = bytes.toString("latin1").split("\r\n");
    switch (pick(8)) {
      case 0:
        if (bytes.length > 0) bytes[pick(bytes.length)] = pick(256);
        break;
      case 1:
        bytes = bytes.subarray(0, at);
        break;
      case 2: {
        const word = Buffer.from(DICTIONARY[pick(DICTIONARY.length)], "latin1");
        bytes = Buffer.concat([bytes.subarray(0, at), word, bytes.subarray(at)]);
        break;
      }
      case 3: {
        const line = pick(lines.length);
        lines.splice(line, 0, ...Array.from({ length: 1 + pick(300) }, () => lines[line]));
        bytes = Buffer.from(lines.join("\r\n"), "latin1");
        break;
      }
      case 4:
        lines.splice(pick(lines.length), 1);
        bytes = Buffer.from(lines.join("\r\n"), "latin1");
        break;
      case 5: {
        const a = pick(lines.length);
        const b = pick(lines.length);
        [lines[a], lines[b]] = [lines[b], lines[a]];
        bytes = Buffer.from(lines.join("\r\n"), "latin1");
        break;
      }
      case 6: {
        const word = DICTIONARY[pick(DICTIONARY.length)];
        bytes = Buffer.from(bytes.toString("latin1").replace(/\d+/, word), "latin1");
        break;
      }
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(pick(bytes.length + 1))]);
    }
  }
  return bytes;
}

const SDP =
  "v=0\r\no=x 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

function seeds(): string[] {
  const contact = "Contact: <sip:peer@10.0.0.9>";
  return [
    requestText({
      method: "INVITE",
      headers: [contact, "Content-Type: application/sdp"],
      body: SDP,
    }),
    requestText({
      method: "INVITE",
      headers: [contact, "Record-Route: <sip:p1@10.0.0.7;lr>, <sip:p2@10.0.0.8>"],
    }),
    requestText({ method: "OPTIONS", headers: ["Accept: application/sdp"] }),
    requestText({ method: "MESSAGE", headers: ["Content-Type: text/plain"], body: "hello" }),
    requestText({
      method: "REFER",
      headers: [contact, "Refer-To: <sip:carol@10.0.0.7?Replaces=a%3Bto-tag%3Db>"],
    }),
    requestText({
      method: "NOTIFY",
      headers: [contact, "Event: refer;id=1", "Subscription-State: active;expires=60"],
    }),
    requestText({ method: "SUBSCRIBE", headers: [contact, "Event: dialog", "Expires: 600"] }),
    requestText({ method: "BYE", to: "<sip:bob@10.0.0.2>;tag=x" }),
    requestText({ method: "CANCEL" }),
    requestText({ method: "ACK", to: "<sip:bob@10.0.0.2>;tag=x" }),
    requestText({
      method: "INFO",
      headers: ["Content-Type: application/dtmf-relay"],
      body: "Signal=1\r\n",
    }),
    requestText({ method: "OPTIONS" }).replace(/^OPTIONS[^\r]*/, "SIP/2.0 200 OK"),
    requestText({ method: "INVITE" }).replace(/^INVITE[^\r]*/, "SIP/2.0 200 OK"),
    requestText({ method: "INVITE" }).replace(/^INVITE[^\r]*/, "SIP/2.0 401 Unauthorized"),
  ];
}

describe("hostile datagrams", () => {
  it("20,000 of them leave nothing behind, and a good request is answered", async function () {
    this.timeout(60_000);
    const prototype = Object.getOwnPropertyNames(Object.prototype).join();
    const clock = new ManualClock();
    const network = new LoopNetwork(clock);
    const bob = new Person("bob", "10.0.0.2", network, clock);
    const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
    await bob.userAgent.start();
    let calls = 0;
    bob.userAgent.onIncomingCall = (session) => {
      const turn = calls++ % 4;
      if (turn === 0) return false;
      if (turn === 1) void session.accept();
      if (turn === 2) void session.progress();
      if (turn === 3) void session.reject({ statusCode: 486 });
      return true;
    };
    bob.userAgent.requestPolicy = (name) => ({
      listened: true,
      holdMs: name === "refer" ? 300 : 0,
    });
    const random = new SeededRandom(20_260_101);
    const flow = peer.endpoint.datagramFlow("10.0.0.2", 5060);
    for (let round = 0; round < 200; round++) {
      const texts = seeds();
      for (let i = 0; i < 100; i++) {
        const text = texts[Math.floor(random.next() * texts.length)];
        flow.send(mutate(text, random));
      }
      await clock.advanceAsync(200);
      bob.events.length = 0;
      bob.stackEvents.length = 0;
      network.clearLog();
      peer.responses.length = 0;
      peer.requests.length = 0;
    }
    for (const session of bob.userAgent.sessions.values()) void session.end();
    await clock.advanceAsync(70_000);
    const counters = bob.userAgent.counters();
    for (const name of [
      "dialogs",
      "sessions",
      "pendingRequests",
      "outgoingRequests",
      "serverTransactions",
      "clientTransactions",
    ]) {
      assert.equal(counters[name], 0, name);
    }
    peer.responses.length = 0;
    peer.send(requestText({ method: "OPTIONS" }), "10.0.0.2");
    await clock.advanceAsync(100);
    assert.deepEqual(peer.statuses(), [200]);
    assert.equal(Object.getOwnPropertyNames(Object.prototype).join(), prototype);
    await endAll(clock, [bob]);
  });

  it("floods of INVITEs never grow the stack beyond its limits", async function () {
    this.timeout(60_000);
    const clock = new ManualClock();
    const network = new LoopNetwork(clock);
    const bob = new Person("bob", "10.0.0.2", network, clock, {
      maxSessions: 50,
      maxRequestsPerSecond: 20,
    });
    bob.takeCalls();
    const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
    await bob.userAgent.start();
    for (let i = 0; i < 5_000; i++) {
      peer.send(
        requestText({
          method: "INVITE",
          headers: ["Contact: <sip:peer@10.0.0.9>", "Content-Type: application/sdp"],
          body: SDP,
        }),
        "10.0.0.2",
      );
      if (i % 100 === 0) {
        await clock.advanceAsync(50);
        network.clearLog();
      }
    }
    const { sessions, serverTransactions } = bob.userAgent.counters();
    assert.ok((sessions ?? 0) <= 50, `${sessions} sessions`);
    assert.ok((serverTransactions ?? 0) < 400, `${serverTransactions} transactions`);
    await clock.advanceAsync(40_000);
    await endAll(clock, [bob]);
  });
});
