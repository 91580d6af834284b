/** Requests, messages, registrations and wrong settings, seen by a foreign peer and by a flow in a real Node-RED. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed, pause } from "../support/node-red.js";
import { freePort } from "../support/ports.js";
import { headerLines, RawPeer, type RawCall } from "../support/raw-peer.js";
import { RtpPhone } from "../support/rtp-phone.js";

const refer = "Refer-To: <sip:z@127.0.0.1>\r\n";
const notify = "Event: x\r\nSubscription-State: active\r\n";
const subscribe = "Event: presence\r\n";

describe("requests of a foreign peer", function () {
  this.timeout(30_000);
  let nodeRed: NodeRed;
  let peer: RawPeer;
  let quiet: RawPeer;
  let phone: RtpPhone;

  before(async () => {
    const [port, quietPort] = [await freePort(), await freePort()];
    const flow = new FlowBuilder();
    const media = { mediaAddress: "127.0.0.1", rtpPortMin: "25000", rtpPortMax: "25100" };
    const transports = [{ protocol: "udp", address: "127.0.0.1", port: "${SIP_PORT}" }];
    const stack = flow.config("sip-stack", { transports, ...media, infoPackages: "foo" });
    flow.config("sip-stack", {
      transports: [{ protocol: "udp", address: "127.0.0.1", port: quietPort }],
      media: "none",
    });
    const tls = flow.config("sip-account", {
      stack,
      uri: "sip:a@127.0.0.1",
      transport: "tls",
      register: false,
    });
    flow.node("catch", { scope: null }, [[flow.capture("catch")]]);
    const accept = flow.node("sip-accept", {}, flow.captures("confirmed", 2));
    flow.node("sip-incoming", { stack }, [[accept], [flow.capture("over")]]);
    const listen = (name: string, properties: Record<string, unknown>): void => {
      flow.node("sip-event", { stack, ...properties }, [[flow.capture(name)]]);
    };
    listen("held", { events: "message, refer, subscribe", answerWithin: "600" });
    listen("publish", { events: "request", methods: "publish", answerWithin: "600" });
    listen("every", { events: ["request", "response"], answerWithin: 0 });
    listen("narrow", { events: ["request"], methods: ["bye", "ACK"], answerWithin: 0 });
    const entry = (name: string, type: string, outputs: number, properties = {}): void => {
      flow.entry(name, [flow.node(type, { name, ...properties }, flow.captures(name, outputs))]);
    };
    entry("accept", "sip-accept", 2);
    entry("reject", "sip-reject", 1, { statusCode: "" });
    entry("message", "sip-message", 2, { stack, to: "target", toType: "msg" });
    entry("register", "sip-register", 2, { account: tls });
    entry("play", "sip-play", 2);
    entry("gather", "sip-gather", 4);
    nodeRed = await NodeRed.start({ flows: flow.build(), env: { SIP_PORT: String(port) } });
    peer = await RawPeer.open(port);
    quiet = await RawPeer.open(quietPort);
    phone = await RtpPhone.open();
  });

  beforeEach(async () => {
    await nodeRed.clearCaptured();
    peer.received.length = 0;
  });

  after(async () => {
    peer?.close();
    quiet?.close();
    await phone?.close();
    await nodeRed?.stop();
  });

  it("get the documented answers where nobody listens", async () => {
    const expected: [string, string, number][] = [
      ["MESSAGE", "", 405],
      ["REFER", refer, 603],
      ["NOTIFY", notify, 481],
      ["SUBSCRIBE", subscribe, 489],
      ["OPTIONS", "", 200],
      ["INFO", "", 481],
      ["PUBLISH", "", 405],
      ["INVITE", "", 480],
    ];
    for (const [method, headers, status] of expected) {
      assert.equal(await quiet.ask(method, { headers }), status, method);
    }
    const server = headerLines(quiet.received[0], "Server")[0];
    assert.match(server, /^sipflow-node-red-sip\/\d+\.\d+\.\d+/);
  });

  it("are held for the flow, and the first answer wins", async () => {
    const call = peer.call();
    const number = peer.request("MESSAGE", call, { body: "hello" });
    const { msg } = (await nodeRed.waitFor("held"))[0];
    assert.equal(msg.payload, "hello");
    for (const name of ["reject", "accept"]) await nodeRed.inject(name, msg);
    assert.match((await peer.final(call, number)) ?? "", /^SIP\/2\.0 403 /);
    const rejected = (await nodeRed.waitFor("reject/1"))[0].msg;
    assert.deepEqual([rejected.payload, rejected.sip.request], [403, undefined]);
    assert.equal(rejected.sip.stack, msg.sip.stack);
    assert.equal(rejected.sip.remote.user, "peer");
    const late = (await nodeRed.waitFor("accept/2"))[0].msg;
    assert.deepEqual([late.payload, late.sip.cause], [0, "no-request"]);
  });

  it("are answered by the stack when the time is over", async () => {
    const from = Date.now();
    assert.equal(await peer.ask("MESSAGE", { body: "x" }), 200);
    assert.ok(Date.now() - from >= 590);
    assert.equal(await peer.ask("REFER", { headers: refer }), 603);
    assert.equal((await nodeRed.captured("held"))[1].msg.payload, "sip:z@127.0.0.1");
    const publishing = Date.now();
    assert.equal(await peer.ask("PUBLISH"), 405);
    assert.ok(Date.now() - publishing >= 590);
  });

  it("never bring forbidden keys into a message", async () => {
    const headers = "__proto__: x\r\nconstructor: y\r\nprototype: z\r\nX-R: 1\r\nX-R: 2\r\n";
    peer.request("MESSAGE", peer.call(), { headers, body: "x" });
    const text = JSON.stringify((await nodeRed.waitFor("held"))[0].msg);
    assert.doesNotMatch(text, /__proto__|"constructor"|"prototype"/);
    assert.match(text, /"x-r":\["1","2"\]/);
    const many = Array.from({ length: 200 }, (_, i) => `X-${i}: v\r\n`).join("");
    assert.equal(await peer.ask("MESSAGE", { headers: many, body: "x" }), 400);
  });

  it("are seen once each by those who listen to every message", async () => {
    const call = (await peer.establish(phone.description())) as RawCall;
    await nodeRed.waitFor("confirmed/1");
    const ask = async (method: string, options = {}): Promise<string> => {
      const answer = await peer.final(call, peer.request(method, call, options));
      return answer?.slice(8, 11) ?? "";
    };
    const inPackage = { headers: "Info-Package: foo\r\n", body: "x" };
    assert.equal(await ask("INFO", { body: "x" }), "469");
    assert.equal(await ask("INFO", inPackage), "200");
    assert.equal(await ask("SUBSCRIBE", { headers: subscribe }), "489");
    assert.equal(await ask("BYE"), "200");
    await nodeRed.waitFor("over");
    const every = (await nodeRed.captured("every")).map(({ msg }) => msg.payload as string);
    assert.deepEqual(every, ["INVITE", "ACK", "INFO", "INFO", "SUBSCRIBE", "BYE"]);
    const narrow = (await nodeRed.captured("narrow")).map(({ msg }) => msg.payload as string);
    assert.deepEqual(narrow, ["ACK", "BYE"]);
  });

  it("do not mix with what a flow sends", async () => {
    const target = `sip:bob@127.0.0.1:${peer.port}`;
    const headers = { "Content-Type": "text/html", "X-A": ["1", "2"] };
    await nodeRed.inject("message", { target, payload: "<p>", headers });
    const { msg } = (await nodeRed.waitFor("message/1"))[0];
    assert.deepEqual([msg.topic, msg.payload, msg.headers], ["delivered", 200, undefined]);
    const sent = peer.received.find((text) => text.startsWith("MESSAGE ")) ?? "";
    assert.deepEqual(headerLines(sent, "Content-Type"), ["text/html"]);
    assert.deepEqual(headerLines(sent, "X-A"), ["1", "2"]);
    const heard = (await nodeRed.waitFor("every"))[0].msg;
    assert.deepEqual([heard.topic, heard.payload, heard.sip.method], ["response", 200, "MESSAGE"]);
  });

  it("cannot be forged by line breaks in anything that comes from a message", async () => {
    const target = `sip:bob@127.0.0.1:${peer.port}`;
    const bad: Record<string, unknown>[] = [
      { target: "sip:a\r\nX: 1@127.0.0.1" },
      { target: "sip:a\u0000@127.0.0.1" },
      { headers: { "X-A": "a\r\nb" } },
      { headers: { "X-A\r\n": "a" } },
      { headers: { Via: "x" } },
      { options: { contentType: "text/plain\r\nX: y" } },
      { options: { contentType: "nonsense" } },
      { payload: { an: "object" } },
    ];
    for (const fields of bad) await nodeRed.inject("message", { target, payload: "x", ...fields });
    await nodeRed.waitFor("catch", bad.length);
    assert.ok(!peer.received.some((text) => text.startsWith("MESSAGE ")));
  });

  it("meet an account whose transport the stack does not have: that is said at once", async () => {
    await nodeRed.inject("register");
    const { msg } = (await nodeRed.waitFor("register/2", 1, 2000))[0];
    assert.deepEqual([msg.payload, msg.sip.cause], [0, "transport-error"]);
    assert.match(msg.sip.reason, /no TLS transport/);
  });

  it("leave sounds inside their folder and digits in their buffer", async () => {
    mkdirSync(join(nodeRed.userDir, "sip-media"), { recursive: true });
    writeFileSync(join(nodeRed.userDir, "sip-media/bad.wav"), "no sound");
    const call = (await peer.establish(phone.description())) as RawCall;
    const { session } = (await nodeRed.waitFor("confirmed/1"))[0].msg.sip;
    for (const payload of ["../x.wav", "/etc/passwd", "missing.wav", "bad.wav"])
      await nodeRed.inject("play", { sip: { session }, payload });
    const codes = (await nodeRed.waitFor("catch", 4)).map(({ msg }) => msg.error.code as string);
    assert.deepEqual(codes.sort(), ["bad-path", "bad-path", "no-file", "unsupported-audio"]);
    for (let i = 0; i < 34; i++) {
      const body = `Signal=${i % 10}\r\nDuration=100\r\n`;
      const contentType = "application/dtmf-relay";
      await peer.final(call, peer.request("INFO", call, { body, contentType }));
    }
    const options = { interDigitTimeout: 0.2 };
    await nodeRed.inject("gather", { sip: { session }, options });
    const { msg } = (await nodeRed.waitFor("gather/1"))[0];
    assert.equal(msg.payload, "23456789012345678901234567890123");
    peer.request("BYE", call);
    await nodeRed.waitFor("over");
  });
});

describe("wrong settings", function () {
  this.timeout(30_000);

  it("let Node-RED start, show in red and are told to who uses them", async () => {
    const busy = createSocket("udp4");
    await new Promise<void>((done) => busy.bind(0, "127.0.0.1", done));
    const udp = { protocol: "udp", address: "127.0.0.1", port: 0 };
    const stacks: [Record<string, unknown>, RegExp][] = [
      [{ transports: [{ ...udp, port: busy.address().port }] }, /already in use/],
      [{ transports: [{ ...udp, port: 70_000 }] }, /port must be/],
      [{ transports: [{ ...udp, address: "300.1.1.1" }] }, /300\.1\.1\.1/],
      [{ transports: [{ ...udp, address: 5 }] }, /address must be/],
      [{ transports: [{ ...udp, protocol: "tls", tls: "nobody" }] }, /TLS settings/],
      [{ transports: { protocol: "udp" } }, /no list/],
      [{ transports: 5 }, /no list/],
      [{ transports: [{ ...udp, advertise: "a b" }] }, /advertise/],
      [{ transports: [{ ...udp, advertise: "a\r\nX: y" }] }, /advertise/],
      [{ transports: [udp], mediaAddress: "nonsense" }, /mediaAddress/],
      [{ transports: [udp], infoPackages: "a b" }, /infoPackages/],
      [{ transports: [udp], allow: "nonsense" }, /no address or network/],
      [{ transports: [udp], maxSessions: "many" }, /maxSessions/],
    ];
    const flow = new FlowBuilder();
    flow.node("catch", { scope: null }, [[flow.capture("catch")]]);
    const remember = flow.node("function", {
      func: `const all = global.get("captured") || {};
const { fill, text, source } = msg.status;
(all.status = all.status || []).push({ at: Date.now(), msg: { fill, text, id: source.id } });
global.set("captured", all);`,
      outputs: 0,
      libs: [],
    });
    flow.node("status", { scope: null }, [[remember]]);
    const users = stacks.map(([properties]) => {
      const stack = flow.config("sip-stack", { media: "rtp", ...properties });
      return flow.node("sip-message", { stack, to: "sip:x@127.0.0.1:9", scope: "standalone" });
    });
    flow.entry("all", users);
    const watchers = users.map((_, index) =>
      flow.node("sip-event", { stack: `n${String(4 + 2 * index).padStart(15, "0")}` }, [[]]),
    );
    const good = flow.config("sip-stack", { transports: [udp], media: "none" });
    const account = flow.config("sip-account", { stack: good, uri: "sip:a@b", transport: "mail" });
    const register = flow.node("sip-register", { account }, [[], []]);
    flow.entry("register", [register]);
    const lost = flow.node("sip-event", { stack: "" }, [[]]);
    const nodeRed = await NodeRed.start({ flows: flow.build() });
    try {
      await nodeRed.inject("all", { payload: "x" });
      await nodeRed.inject("register");
      await nodeRed.waitFor("catch", stacks.length + 1);
      const errors = (await nodeRed.captured("catch")).map(
        ({ msg }) => msg.error.message as string,
      );
      for (const [, words] of stacks)
        assert.ok(
          errors.some((text) => words.test(text)),
          `${words}`,
        );
      assert.ok(errors.some((text) => /no-account: .*"transport" must be one of/.test(text)));
      await pause(1500);
      const shown = new Map<string, string>();
      for (const { msg } of await nodeRed.captured("status"))
        shown.set(msg.id, `${msg.fill} ${msg.text}`);
      for (const id of [...watchers, lost, register])
        assert.match(shown.get(id) ?? "", /^red ./, id);
      assert.match(shown.get(register) ?? "", /"transport" must be/);
    } finally {
      busy.close();
      await nodeRed.stop();
    }
  });
});
