/**
 * What a flow answers in the place of the stack, with the real library on 127.0.0.1: session descriptions with
 * `media: none` and credentials for a challenge (contract §4.5, §4.6), and what every event of a call tells (§3, §5).
 */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import {
  createResponse,
  parseMessage,
  serializeMessage,
  type SipRequest,
} from "../../lib/message/index.js";
import {
  type FlowEntry,
  type Message,
  NodeBench,
  stack,
  useNodeRed,
} from "../support/node-bench.js";

const sdp = (port: number): string =>
  `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0\r\n`;

const here = (id: string): FlowEntry =>
  stack({ transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }], media: "none" }, id);

describe("answers of a flow, with the real library", function () {
  this.timeout(30_000);
  useNodeRed();
  let bench: NodeBench;
  let peer: Socket | undefined;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(async () => {
    await bench.unload();
    peer?.close();
    peer = undefined;
  });

  const portOf = (id: string): number => {
    const { userAgent } = bench.node(id) as unknown as {
      userAgent: { bound: { port: number }[] };
    };
    return userAgent.bound[0].port;
  };
  const running = (id: string): boolean =>
    (bench.node(id) as unknown as { userAgent?: { running: boolean } }).userAgent?.running === true;
  const until = async (condition: () => boolean, limitMs = 8000): Promise<void> => {
    const end = Date.now() + limitMs;
    while (!condition()) {
      if (Date.now() > end) {
        assert.fail(
          `not reached; seen: ${bench.order().join(" ")} ${JSON.stringify(bench.of("caught"))}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const seen = (from: string) => (): boolean => bench.of(from).length > 0;

  const start = async (): Promise<void> => {
    await bench.loadReal([
      here("one"),
      here("two"),
      { id: "out", type: "sip-invite", stack: "one", to: "to", toType: "msg", delayedOffer: true },
      { id: "in", type: "sip-incoming", stack: "two" },
      { id: "acc", type: "sip-accept" },
      { id: "rej", type: "sip-reject" },
      { id: "bye", type: "sip-bye" },
      { id: "ev1", type: "sip-event", stack: "one" },
      { id: "ev2", type: "sip-event", stack: "two" },
      { id: "ask", type: "sip-event", stack: "one", events: "challenge", answerWithin: 3000 },
      { id: "msg", type: "sip-message", stack: "one", to: "to", toType: "msg" },
    ]);
    for (const id of ["one", "two"]) await until(() => running(id));
  };
  const dial = async (): Promise<Message> => {
    bench.send("out", { to: `sip:door@127.0.0.1:${portOf("two")}` });
    await until(seen("in:1"));
    return bench.only("in:1");
  };

  it("a delayed offer is made by the callee's flow and answered by the caller's", async () => {
    await start();
    bench.send("acc", { ...(await dial()), sdp: sdp(4000) });
    await until(seen("out:1"));
    const answered = bench.only("out:1");
    assert.equal(answered.sip.remoteSdp, sdp(4000));
    assert.equal(answered.sip.signaling, "have-remote-offer");
    assert.equal(typeof answered.sip.request, "string");
    bench.clear();
    bench.send("acc", { ...answered, sdp: sdp(5000) });
    await until(() => bench.of("acc:1").length === 2);
    const confirmed = bench.of("acc:1");
    assert.ok(confirmed.every((msg: Message) => msg.topic === "confirmed"));
    const ours = confirmed.find((msg: Message) => msg.sip.session === answered.sip.session);
    assert.equal(ours.sip.localSdp, sdp(5000));
    assert.equal(ours.sip.request, undefined);
    assert.equal(ours.sdp, undefined);
    const isConfirmed = (msg: Message): boolean => msg.topic === "confirmed";
    await until(() => bench.of("ev2:1").some(isConfirmed));
    const theirs = bench.of("ev2:1").find(isConfirmed);
    assert.equal(theirs.sip.remoteSdp, sdp(5000));
    bench.send("bye", { sip: answered.sip });
    await until(seen("out:4"));
    assert.deepEqual(bench.of("caught"), []);
  });

  it("refused by the caller's flow the call ends with a valid answer", async () => {
    await start();
    bench.send("acc", { ...(await dial()), sdp: sdp(4000) });
    await until(seen("out:1"));
    bench.send("acc", bench.only("out:1"));
    await until(seen("caught"));
    assert.match(bench.only("caught").error.message, /no-sdp: /);
    bench.send("rej", bench.only("out:1"));
    await until(seen("out:4"));
    await until(seen("in:2"));
    assert.equal(bench.only("out:4").sip.cause, "incompatible-media");
    const isConfirmed = (msg: Message): boolean => msg.topic === "confirmed";
    await until(() => bench.of("ev2:1").some(isConfirmed));
    const ack = bench.of("ev2:1").find(isConfirmed);
    assert.match(ack.sip.remoteSdp, /m=audio 0 RTP\/AVP 0/);
  });

  it("a challenge is answered with credentials of the message, which it then has no more", async () => {
    await start();
    const requests: SipRequest[] = [];
    const socket = (peer = createSocket("udp4"));
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    socket.on("message", (bytes, from) => {
      const parsed = parseMessage(bytes);
      if (!parsed.ok || parsed.message.kind !== "request") return;
      const request = parsed.message;
      requests.push(request);
      const isKnown = request.headers.has("proxy-authorization");
      const response = createResponse(request, {
        statusCode: isKnown ? 200 : 407,
        toTag: "p",
        headers: isKnown ? [] : [["Proxy-Authenticate", 'Digest realm="door", nonce="n"']],
      });
      socket.send(serializeMessage(response), from.port, from.address);
    });
    bench.send("msg", { to: `sip:door@127.0.0.1:${socket.address().port}`, payload: "open" });
    await until(seen("ask:1"));
    const asked = bench.only("ask:1");
    assert.deepEqual(asked.sip.challenge, { realm: "door", algorithms: ["MD5"] });
    bench.send("acc", { ...asked, credentials: { user: "carol" } });
    await until(seen("caught"));
    assert.match(bench.only("caught").error.message, /no-credentials: /);
    bench.send("acc", { ...asked, credentials: { user: "carol", password: "open sesame" } });
    await until(seen("msg:1"));
    await until(seen("acc:1"));
    assert.equal(bench.only("acc:1").topic, "accepted");
    assert.equal(bench.only("acc:1").credentials, undefined);
    assert.match(requests.at(-1)?.headers.get("proxy-authorization") ?? "", /username="carol"/);
    assert.equal(JSON.stringify(bench.of("ev1:1")).includes("open sesame"), false);
  });

  it("every event of a call tells state, times and cause as they are then", async () => {
    await start();
    // `sip-event` comes last, each in a turn of its own.
    const closed = (node: string): Promise<void> =>
      until(() =>
        bench
          .of(`${node}:1`)
          .some((msg: Message) => msg.topic === "ended" || msg.topic === "failed"),
      );
    const ladder = (node: string): string[] =>
      bench
        .of(`${node}:1`)
        .filter((msg: Message) => msg.topic !== "state" && typeof msg.sip.session === "string")
        .map(({ topic, sip }: Message) =>
          [
            topic,
            sip.state,
            sip.signaling,
            sip.answerTime === undefined ? "-" : "answered",
            sip.endTime === undefined ? "-" : "over",
            typeof sip.duration === "number" ? "timed" : "-",
            sip.cause ?? "-",
          ].join(" "),
        );
    bench.send("acc", { ...(await dial()), sdp: sdp(4000) });
    await until(seen("out:1"));
    bench.send("acc", { ...bench.only("out:1"), sdp: sdp(5000) });
    await until(() => bench.of("acc:1").length === 2);
    bench.send("bye", { sip: bench.only("out:1").sip });
    await until(seen("out:4"));
    await until(seen("in:2"));
    await closed("ev1");
    await closed("ev2");
    assert.deepEqual(ladder("ev1"), [
      "inviting inviting initial - - - -",
      "progress early initial - - - -",
      "answered established have-remote-offer answered - timed -",
      "confirmed established stable answered - timed -",
      "bye terminating closed answered - timed local-bye",
      "ended terminated closed answered over timed local-bye",
    ]);
    assert.deepEqual(ladder("ev2"), [
      "incoming incoming initial - - - -",
      "progress early initial - - - -",
      "answered established have-local-offer answered - timed -",
      "confirmed established stable answered - timed -",
      "bye established closed answered - timed remote-bye",
      "ended terminated closed answered over timed remote-bye",
    ]);
    bench.clear();
    bench.send("rej", { ...(await dial()), options: { statusCode: 486 } });
    await until(seen("out:3"));
    await until(seen("in:2"));
    await closed("ev1");
    await closed("ev2");
    assert.deepEqual(ladder("ev1"), [
      "inviting inviting initial - - - -",
      "progress early initial - - - -",
      "rejected early closed - - - busy",
      "failed terminated closed - over - busy",
    ]);
    assert.deepEqual(ladder("ev2"), [
      "incoming incoming initial - - - -",
      "progress early initial - - - -",
      "rejected early closed - - - busy",
      "failed terminated closed - over - busy",
    ]);
    bench.clear();
    await dial();
    await until(() => bench.of("out:2").length === 2);
    bench.send("bye", { sip: bench.of("out:2")[0].sip });
    await until(seen("out:3"));
    await until(seen("in:2"));
    await closed("ev1");
    await closed("ev2");
    assert.deepEqual(ladder("ev1"), [
      "inviting inviting initial - - - -",
      "progress early initial - - - -",
      "cancelled terminating closed - - - cancelled",
      "failed terminated closed - over - cancelled",
    ]);
    assert.deepEqual(ladder("ev2"), [
      "incoming incoming initial - - - -",
      "progress early initial - - - -",
      "cancelled early closed - - - cancelled",
      "failed terminated closed - over - cancelled",
    ]);
    for (const { sip } of [...bench.of("ev1:1"), ...bench.of("ev2:1")] as Message[]) {
      assert.deepEqual(sip.data, {});
      assert.ok(!Number.isNaN(Date.parse(sip.startTime)));
    }
  });
});
