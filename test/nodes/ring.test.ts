/**
 * "Ring my flow": the built-in caller calls a flow over real sockets with real sound, through the endpoints that the sidebar
 * uses, and leaves nothing behind.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findEngine } from "../../nodes/shared/engines.js";
import { selfSigned } from "../support/certificates.js";
import { onceMoreWhenDisturbed } from "../support/disturbance.js";
import {
  adminRequest,
  type FlowEntry,
  type Message,
  NodeBench,
  stack,
  useNodeRed,
} from "../support/node-bench.js";
import { heardTone } from "../support/peers/heard.js";
import { until } from "../support/transport-bench.js";

interface Shown {
  readonly state: string;
  readonly cause?: string;
  readonly statusCode?: number;
  readonly duration?: number;
  readonly node?: string;
  readonly session?: string;
  readonly log: { time: string; text: string }[];
  readonly messages: { method: string; statusCode?: number; text: string }[];
  readonly heard: { seconds: number; peaks: number[] };
}

describe("ring my flow", function () {
  this.timeout(20_000);
  beforeEach(onceMoreWhenDisturbed);
  useNodeRed();
  let bench: NodeBench;
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "sip-ring-"));
  });
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(() => bench.unload());
  after(() => rmSync(folder, { recursive: true, force: true }));

  const rung = (more: Record<string, unknown> = {}): FlowEntry =>
    stack({
      transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }],
      rtpPortMin: 22_000,
      rtpPortMax: 22_098,
      ...more,
    });
  /** Nodes in a row, each behind output 1 of the one before. */
  const nodes: FlowEntry[] = [
    { id: "in", type: "sip-incoming", stack: "stack", match: "6*" },
    { id: "accept", type: "sip-accept" },
    { id: "play", type: "sip-play", source: "tone:dial/at/800" },
    { id: "gather", type: "sip-gather", max: 4, firstDigitTimeout: 8 },
    { id: "record", type: "sip-record", maxDuration: 1.6 },
    { id: "bye", type: "sip-bye" },
    { id: "reject", type: "sip-reject", statusCode: 486 },
    { id: "dtmf", type: "sip-dtmf", digits: "9" },
  ];
  async function load(more: Record<string, unknown> = {}, extra: FlowEntry[] = []): Promise<void> {
    await bench.loadReal([rung(more), ...nodes, ...extra]);
    await until(() => findEngine("stack")?.state === "running", "the stack runs", 4000);
  }
  const next = async (from: string, count = 1): Promise<Message> => {
    await until(() => bench.of(from).length >= count, from, 8000);
    return bench.of(from)[count - 1];
  };
  /** Sends the message of each output into the node behind it. */
  const pass = async (from: string, ...to: string[]): Promise<void> => {
    let output = from;
    for (const id of to) {
      bench.send(id, await next(output));
      output = `${id}:1`;
    }
  };
  const post = async (
    body: Record<string, unknown>,
    status = 201,
  ): Promise<Record<string, string>> => {
    const answer = await adminRequest()
      .post("/sip/rings")
      .send({ stack: "stack", ...body });
    assert.equal(answer.status, status, answer.text);
    return answer.body as Record<string, string>;
  };
  const look = async (ring: string): Promise<Shown> =>
    (await adminRequest().get(`/sip/rings/${ring}`).expect(200)).body as Shown;
  const state = async (ring: string, wanted: string): Promise<Shown> => {
    const end = Date.now() + 8000;
    for (;;) {
      const shown = await look(ring);
      if (shown.state === wanted) return shown;
      assert.ok(Date.now() < end, `${wanted}: ${JSON.stringify(shown)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const texts = ({ log }: Shown): string => log.map(({ text }) => text).join("\n");
  const sockets = (): number =>
    process.getActiveResourcesInfo().filter((kind) => /UDP|TCPSOCKET|TLS/i.test(kind)).length;

  it("calls a flow that answers, plays and collects: digits arrive, and what was played is heard", async () => {
    await load({ srtp: "off" });
    const before = sockets();
    const { ring } = await post({
      node: "in",
      from: "4711",
      displayName: "Grandma <b>",
      digits: "12,34",
      say: "silence",
    });
    const call = await next("in:1");
    assert.equal(call.payload, "sip:4711@127.0.0.1");
    assert.equal(call.sip.remote.displayName, "Grandma <b>");
    await pass("in:1", "accept", "play", "gather");
    assert.equal((await next("gather:1")).payload, "1234");
    await pass("gather:1", "dtmf");
    await next("dtmf:1");
    await pass("gather:1", "bye");
    const shown = await state(ring, "over");
    assert.equal(shown.cause, "remote-bye");
    assert.equal(shown.statusCode, 200);
    assert.equal(shown.node, "in");
    assert.equal(shown.session, call.sip.session);
    assert.ok((shown.duration ?? 0) > 1);
    assert.match(texts(shown), /calls sip:61@127.0.0.1:\d+;transport=udp as .*4711/);
    assert.match(
      texts(shown),
      /180 Ringing\n200 answered\n[^]*has typed 12,34[^]*digit 9[^]*over after/,
    );
    assert.ok(shown.heard.seconds > 1 && shown.heard.peaks.some((peak) => peak > 0.1));
    assert.ok(shown.heard.peaks.length <= 400 && shown.heard.peaks.every((peak) => peak <= 1));
    const flow = shown.messages.map(({ method, statusCode }) => statusCode ?? method);
    assert.deepEqual(flow.slice(0, 5), ["INVITE", 100, 180, "PRACK", 200]);
    assert.deepEqual(flow.slice(-2), ["BYE", 200]);
    assert.match(
      shown.messages[0]?.text ?? "",
      /^INVITE sip:61@[^]+\r\nFrom: "Grandma <b>"[^]+m=audio/,
    );
    assert.doesNotMatch(JSON.stringify(shown), /inline:(?!x+\b)/);
    const wav = await adminRequest().get(`/sip/rings/${ring}/wav`).buffer(true).expect(200);
    assert.match(String(wav.headers["content-type"]), /^audio\/wav/);
    const tone = heardTone(wav.body as Buffer, { frequency: 420, level: 0.1, judged: 0.2 });
    assert.ok(Math.abs(tone.frequency - 420) < 3, JSON.stringify(tone));
    await until(() => sockets() <= before, "its sockets are closed", 4000);
  });

  it("says a tone, or the WAV that it is given", async () => {
    await load();
    const { ring } = await post({ to: "600" });
    await pass("in:1", "accept", "record");
    const recorded = await next("record:1");
    const tone = heardTone(recorded.payload as Buffer, {
      frequency: 440,
      level: 0.27,
      judged: 0.4,
    });
    assert.ok(Math.abs(tone.frequency - 440) < 3, JSON.stringify(tone));
    await adminRequest().delete(`/sip/rings/${ring}`).expect(204);
    const wav = (recorded.payload as Buffer).toString("base64");
    const second = await post({ to: "600", say: "wav", wav });
    bench.send("accept", await next("in:1", 2));
    bench.send("record", await next("accept:1", 2));
    const again = await next("record:1", 2);
    heardTone(again.payload as Buffer, { frequency: 440, level: 0.27, judged: 0.3 });
    await adminRequest().delete(`/sip/rings/${second.ring}`).expect(204);
  });

  it("shows who refuses it, with status and cause", async () => {
    await load();
    const { ring } = await post({ to: "600" });
    await pass("in:1", "reject");
    const shown = await state(ring, "over");
    assert.deepEqual([shown.statusCode, shown.cause, shown.node], [486, "busy", "in"]);
    assert.match(texts(shown), /refused: 486/);
    await adminRequest().get(`/sip/rings/${ring}/wav`).expect(404);
  });

  it("says that nobody takes calls to that number", async () => {
    await load();
    const { ring } = await post({ to: "700" });
    const shown = await state(ring, "over");
    assert.deepEqual([shown.statusCode, shown.cause, shown.node], [480, "unavailable", undefined]);
    assert.match(texts(shown), /no sip-incoming takes calls to 700/);
  });

  it("hangs up while it rings and while it talks", async () => {
    await load();
    const ringing = await post({ to: "600" });
    await state(ringing.ring, "ringing");
    await adminRequest().delete(`/sip/rings/${ringing.ring}`).expect(204);
    assert.equal((await look(ringing.ring)).cause, "cancelled");
    assert.equal((await next("in:2")).payload, "cancelled");
    const talking = await post({ to: "600" });
    bench.send("accept", await next("in:1", 2));
    await state(talking.ring, "talking");
    await adminRequest().delete(`/sip/rings/${talking.ring}`).expect(204);
    assert.equal((await next("in:2", 2)).payload, "remote-bye");
    assert.equal((await look(talking.ring)).cause, "local-bye");
    await adminRequest().delete(`/sip/rings/${talking.ring}`).expect(204);
  });

  it("hangs up when its seconds are over", async () => {
    await load();
    const { ring } = await post({ to: "600", seconds: 1, say: "silence" });
    await pass("in:1", "accept");
    const shown = await state(ring, "over");
    assert.equal(shown.cause, "local-bye");
    assert.match(texts(shown), /hangs up after 1 s/);
  });

  it("makes four calls at once and no fifth", async () => {
    await load();
    const four = await Promise.all([1, 2, 3, 4].map(() => post({ to: "600" })));
    assert.equal((await post({ to: "600" }, 429)).code, "too-many-rings");
    for (const { ring } of four) await adminRequest().delete(`/sip/rings/${ring}`).expect(204);
    const { ring } = await post({ to: "600" });
    await adminRequest().delete(`/sip/rings/${ring}`).expect(204);
  });

  it("gets past allow, deny and the limit of requests, alone", async () => {
    await load({ allow: "192.0.2.0/24", deny: "127.0.0.0/8", maxRequestsPerSecond: 1 }, [
      { ...rung({ rtpPortMin: 22_100, rtpPortMax: 22_198 }), id: "other" },
      { id: "out", type: "sip-invite", stack: "other", to: "to", toType: "msg" },
    ]);
    const rings = await Promise.all([1, 2, 3].map(() => post({ to: "600" })));
    await next("in:1", 3);
    const port = findEngine("stack")?.userAgent?.bound[0]?.port;
    bench.send("out", { to: `sip:600@127.0.0.1:${port}` });
    assert.equal((await next("out:3")).payload, 403);
    for (const { ring } of rings) await adminRequest().delete(`/sip/rings/${ring}`).expect(204);
  });

  it("refuses in words what cannot be", async () => {
    await load({}, [{ id: "regex", type: "sip-incoming", stack: "stack", match: "/[78]+/" }]);
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ node: "gone" }, /not deployed/],
      [{ node: "regex" }, /regular expression/],
      [{ to: "a\r\nVia: x" }, /one line/],
      [{ to: "x".repeat(500) }, /128/],
      [{ to: 600 }, /text/],
      [{ digits: "12x" }, /digits/],
      [{ say: "something" }, /tone, silence or wav/],
      [{ say: "wav" }, /missing/],
      [{ say: "wav", wav: Buffer.alloc(1_100_000).toString("base64") }, /1 MB/],
      [{ seconds: 0 }, /1 to 600/],
      [{ to: "600", from: "a@b c" }, /user@host/],
      [{ to: "\ud800" }, /user/],
    ];
    for (const [body, words] of wrong) {
      const { message, code } = await post(body, 400);
      assert.equal(code, "bad-ring");
      assert.match(message, words);
    }
    assert.match((await post({ stack: "nobody", to: "1" }, 409)).message, /not deployed/);
    await adminRequest().get("/sip/rings/unknown").expect(404);
    await adminRequest().delete("/sip/rings/__proto__").expect(404);
  });

  for (const protocol of ["tcp", "tls", "ws", "wss"] as const) {
    it(`calls a stack that has only ${protocol}, and no certificate but its own`, async () => {
      // Neither its name nor its date nor who has signed it would do elsewhere.
      const { cert, key } = selfSigned({
        commonName: "pbx.example",
        altNames: ["DNS:pbx.example"],
      });
      writeFileSync(join(folder, "cert.pem"), cert);
      writeFileSync(join(folder, "key.pem"), key);
      const tls: FlowEntry = {
        id: "tls",
        type: "tls-config",
        cert: join(folder, "cert.pem"),
        key: join(folder, "key.pem"),
        ca: "",
        verifyservercert: true,
      };
      const secure = protocol === "tls" || protocol === "wss";
      const path = protocol.startsWith("ws") ? "/phone" : "";
      await load(
        {
          transports: [
            { protocol, address: "0.0.0.0", port: 0, path, ...(secure ? { tls: "tls" } : {}) },
          ],
        },
        [tls],
      );
      const before = sockets();
      const { ring } = await post({ to: "600", digits: "1", say: "silence" });
      await pass("in:1", "accept", "gather");
      bench.send("bye", await next("accept:1"));
      const shown = await state(ring, "over");
      assert.equal(shown.cause, "remote-bye", texts(shown));
      await until(() => sockets() <= before + 1, "its sockets are closed", 4000);
    });
  }

  it("calls a stack with media: none, whose flow sends the description", async () => {
    await load({ media: "none" });
    const { ring } = await post({ to: "600", digits: "5" });
    const call = await next("in:1");
    bench.send("accept", {
      ...call,
      sdp: "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 29999 RTP/AVP 0\r\n",
    });
    await next("accept:1");
    bench.send("bye", bench.of("accept:1")[0]);
    const shown = await state(ring, "over");
    assert.equal(shown.cause, "remote-bye");
    assert.match(texts(shown), /leaves the sound to the flow/);
  });

  it("ends with its stack, and leaves nothing open", async () => {
    const before = sockets();
    await load();
    const { ring } = await post({ to: "600" });
    const other = await post({ to: "600" });
    bench.send("accept", await next("in:1"));
    await state(ring, "talking");
    await bench.deploy([{ id: "nothing", type: "sip-incoming", stack: "" }]);
    await until(() => findEngine("stack") === undefined, "the stack is gone", 4000);
    assert.equal((await look(ring)).state, "over");
    assert.equal((await state(other.ring, "over")).state, "over");
    await until(() => sockets() <= before, "every socket is closed", 4000);
  });
});
