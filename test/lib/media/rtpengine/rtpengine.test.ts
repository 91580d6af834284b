/**
 * The ng protocol against a wire of our own: what is no bencode, answers that come twice, late or never, engines that die,
 * come back or have forgotten, a bridge that ends in the middle of an offer, one that is taken over.
 */
import assert from "node:assert/strict";
import { MediaError } from "../../../../lib/foundation/index.js";
import {
  type BencodeDictionary,
  type BencodeInput,
  decodeBencode,
  encodeBencode,
} from "../../../../lib/media/rtpengine/bencode.js";
import { readKey } from "../../../../lib/media/rtpengine/digit-log.js";
import { parseEngineAddresses } from "../../../../lib/media/rtpengine/engine-address.js";
import { EnginePool } from "../../../../lib/media/rtpengine/engine-pool.js";
import type { ChannelListener } from "../../../../lib/media/rtpengine/ng-client.js";
import { readRelaySnapshot, Relay } from "../../../../lib/media/rtpengine/relay.js";
import { ManualClock } from "../../../support/manual-clock.js";
import { SeededRandom } from "../../../support/seeded-random.js";

const SDP = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n";
const quiet = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

const textOf = (fields: BencodeDictionary, name: string): string => {
  const value = fields.get(name);
  return typeof value === "string" ? value : "";
};

/** One engine: remembers what it was asked, answers unless it is silent. */
class Wire {
  readonly asked: { command: string; fields: BencodeDictionary; datagram: Buffer }[] = [];
  readonly calls = new Set<string>();
  isSilent = false;
  listener: ChannelListener | undefined;

  receive(datagram: Buffer): void {
    const space = datagram.indexOf(" ");
    const fields = decodeBencode(datagram.subarray(space + 1)) as BencodeDictionary;
    const command = textOf(fields, "command");
    this.asked.push({ command, fields, datagram });
    if (!this.isSilent) this.answer(datagram, this.#result(command, fields));
  }

  answer(question: Buffer, result: BencodeInput): void {
    const cookie = question.subarray(0, question.indexOf(" ") + 1);
    const datagram = Buffer.concat([cookie, encodeBencode(result)]);
    queueMicrotask(() => this.listener?.onDatagram(datagram));
  }

  commands(): string[] {
    return this.asked.map(({ command }) => command).filter((command) => command !== "ping");
  }

  #result(command: string, fields: BencodeDictionary): BencodeInput {
    const call = textOf(fields, "call-id");
    if (command === "ping") return { result: "pong" };
    if (command === "offer") this.calls.add(call);
    if (!this.calls.has(call)) return { result: "error", "error-reason": "Unknown call-id" };
    if (command === "delete") this.calls.delete(call);
    return { result: "ok", sdp: `v=0\r\n${command}` };
  }
}

function setUp(addresses = "udp://10.0.0.1:2223,udp://10.0.0.2:2223;weight=0") {
  const clock = new ManualClock();
  const wires = new Map<string, Wire>();
  const wire = (host: string): Wire => {
    const known = wires.get(host) ?? new Wire();
    wires.set(host, known);
    return known;
  };
  const changes: string[] = [];
  const pool = new EnginePool({
    engines: parseEngineAddresses(addresses),
    codecs: ["PCMU"],
    clock,
    random: new SeededRandom(1),
    logger: quiet,
    open: (host, _port, listener) => {
      wire(host).listener = listener;
      return { send: (datagram) => wire(host).receive(datagram), close: () => undefined };
    },
    onChange: () => changes.push(pool.engines.map(({ isUp }) => (isUp ? "up" : "down")).join()),
  });
  const relay = new Relay(pool, { secure: [false, true] });
  const lost: string[] = [];
  const keys: string[] = [];
  relay.listener = {
    onLost: () => lost.push("lost"),
    onKey: (place, digit) => keys.push(`${place} ${digit}`),
  };
  return {
    clock,
    pool,
    relay,
    lost,
    keys,
    changes,
    first: wire("10.0.0.1"),
    second: wire("10.0.0.2"),
    pass: (ms: number) => clock.advanceAsync(ms),
  };
}

describe("bencode", () => {
  it("reads what it writes", () => {
    const text = encodeBencode({ a: [1, "zwei", { b: -3 }], none: undefined });
    assert.equal(text.toString(), "d1:ali1e4:zweid1:bi-3eeee");
    assert.deepEqual(decodeBencode(text), new Map([["a", [1, "zwei", new Map([["b", -3]])]]]));
  });

  it("refuses what is none, is too deep, or lies about its length", () => {
    const wrong = ["", "i1", "ie", "i1x", "l", "d", "d1:a", "di1ei2ee", "5:abc", "-1:a", "i1ei2e"];
    wrong.push("l".repeat(40) + "e".repeat(40), "99999999999999999999999:a", "d9:__proto__");
    for (const text of wrong) {
      assert.throws(() => decodeBencode(Buffer.from(text)), MediaError, text);
    }
    const odd = decodeBencode(Buffer.from("d9:__proto__i1ee")) as BencodeDictionary;
    assert.equal(odd.get("__proto__"), 1);
  });
});

describe("addresses of rtpengines", () => {
  it("are read with weights, and refused when they are none", () => {
    assert.deepEqual(
      parseEngineAddresses(" udp://a.example:2223;weight=3 , udp://[::1]:9 ").map(
        ({ host, port, weight }) => [host, port, weight],
      ),
      [
        ["a.example", 2223, 3],
        ["::1", 9, 1],
      ],
    );
    for (const text of ["tcp://a:1", "udp://a", "udp://a:0", "udp://a:70000", "a:1"]) {
      assert.throws(() => parseEngineAddresses(text), /no address of an rtpengine/, text);
    }
  });
});

describe("keys that rtpengine reports", () => {
  it("are read, and nothing else is", () => {
    const said = { callid: "c", source_tag: "t", type: "DTMF", event: 11, duration: 100 };
    assert.deepEqual(readKey(Buffer.from(JSON.stringify(said))), {
      callId: "c",
      tag: "t",
      digit: "#",
      duration: 100,
    });
    const wrong = ["", "[]", "null", "{", '{"type":"DTMF"}', "x".repeat(5000)];
    for (const change of [
      { event: 16 },
      { event: -1 },
      { event: "1" },
      { callid: 1 },
      { type: "" },
    ]) {
      wrong.push(JSON.stringify({ ...said, ...change }));
    }
    for (const text of wrong) assert.equal(readKey(Buffer.from(text)), undefined, text);
  });
});

describe("a bridge on rtpengine", () => {
  it("passes descriptions, says how each side is protected, counts, and is deleted once", async () => {
    const { relay, pool, first, keys, pass } = setUp();
    assert.equal(await relay.offer(0, SDP), "v=0\r\noffer");
    assert.equal(await relay.answer(1, `${SDP}a=crypto:1 x\r\n`), "v=0\r\nanswer");
    const [offer] = first.asked.filter(({ command }) => command === "offer");
    assert.equal(offer.fields.get("transport-protocol"), "RTP/SAVP");
    assert.equal(pool.key(relay.callId, textOf(offer.fields, "from-tag"), "5", 100), true);
    assert.equal(pool.key("other", "x", "5", 100), false);
    assert.deepEqual(keys, ["0 5"]);
    relay.end();
    relay.end();
    await pass(0);
    assert.deepEqual(first.commands(), ["offer", "answer", "query", "delete"]);
    assert.equal(first.calls.size, 0);
    await assert.rejects(relay.offer(0, SDP), /over/);
  });

  it("tells the engine what holds after a refused offer", async () => {
    const { relay, first, pass } = setUp();
    await relay.offer(0, SDP);
    await relay.answer(1, SDP);
    await relay.offer(1, SDP);
    relay.refused();
    await pass(0);
    assert.deepEqual(first.commands().slice(3), ["offer", "answer"]);
  });

  it("repeats what gets no answer, and takes an answer that comes twice once", async () => {
    const { relay, first, pass } = setUp();
    first.isSilent = true;
    const offer = relay.offer(0, SDP);
    await pass(1_600);
    const offers = first.asked.filter(({ command }) => command === "offer");
    assert.equal(offers.length, 3);
    assert.ok(offers.every(({ datagram }) => datagram.equals(offers[0].datagram)));
    for (const { datagram } of offers) first.answer(datagram, { result: "ok", sdp: "v=0\r\nx" });
    assert.equal(await offer, "v=0\r\nx");
  });

  it("asks the next engine when one does not answer, and the silent one to forget", async () => {
    const { relay, pool, first, second, changes, pass } = setUp();
    first.isSilent = true;
    const offer = relay.offer(0, SDP);
    await pass(4_000);
    assert.equal(await offer, "v=0\r\noffer");
    assert.equal(relay.engine, "udp://10.0.0.2:2223");
    assert.deepEqual(second.commands().slice(0, 1), ["offer"]);
    assert.equal(first.commands().at(-1), "delete");
    assert.equal(changes[0], "down,up");
    first.isSilent = false;
    await pass(8_000);
    assert.equal(changes.at(-1), "up,up");
    pool.close();
  });

  it("says so when no engine answers", async () => {
    const { relay, first, second, pass } = setUp();
    first.isSilent = true;
    second.isSilent = true;
    const offer = assert.rejects(relay.offer(0, SDP), /no rtpengine answers|does not answer/);
    await pass(9_000);
    await offer;
    relay.end();
    await pass(0);
  });

  it("deletes a call that ended while the engine was being asked", async () => {
    const { relay, first, pass } = setUp();
    first.isSilent = true;
    const offer = relay.offer(0, SDP);
    await pass(10);
    relay.end();
    first.isSilent = false;
    const [asked] = first.asked.filter(({ command }) => command === "offer");
    first.calls.add(relay.callId);
    first.answer(asked.datagram, { result: "ok", sdp: "v=0\r\nlate" });
    await offer.catch(() => undefined);
    await pass(10);
    assert.equal(first.commands().at(-1), "delete");
    assert.equal(first.calls.size, 0);
  });

  it("is lost when its engine dies, and when it was started again", async () => {
    for (const way of ["dies", "is gone", "forgets"]) {
      const { relay, first, lost, pool, pass } = setUp();
      await relay.offer(0, SDP);
      await relay.answer(1, SDP);
      if (way === "dies") first.isSilent = true;
      if (way === "is gone") first.listener?.onError(new Error("refused"));
      if (way === "forgets") first.calls.clear();
      await pass(way === "is gone" ? 2_100 : 6_000);
      if (way === "is gone") continue;
      assert.deepEqual(lost, ["lost"], way);
      assert.equal(relay.engine, undefined);
      pool.close();
    }
  });

  it("is gone on with by another instance", async () => {
    const { relay, pool, first, pass } = setUp();
    assert.equal(relay.snapshot(), undefined);
    await relay.offer(0, SDP);
    await relay.answer(1, SDP);
    const text = JSON.stringify(relay.snapshot());
    const read = readRelaySnapshot(JSON.parse(text));
    assert.ok(read);
    const heir = Relay.restore(pool, read);
    assert.ok(heir);
    assert.equal(JSON.stringify(heir.snapshot()), text);
    await heir.offer(1, SDP);
    heir.end();
    await pass(0);
    assert.equal(first.calls.size, 0);
    assert.equal(Relay.restore(pool, { ...read, engine: "udp://10.9.9.9:1" }), undefined);
    for (const wrong of [null, 1, {}, { ...read, tags: ["a"] }, { ...read, secure: [1, 2] }]) {
      assert.equal(readRelaySnapshot(wrong), undefined);
    }
  });
});
