import assert from "node:assert/strict";
import { createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { silentLogger } from "../../../lib/foundation/index.js";
import type { SipRequest } from "../../../lib/message/index.js";
import type { FlowTarget, TransportOptions } from "../../../lib/transport/index.js";
import { certificateAuthority } from "../../support/certificates.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, responseText } from "../../support/sip-messages.js";
import type { RecordingLayer } from "../../support/transport-bench.js";
import { TransportBench, until } from "../../support/transport-bench.js";

const VIA = "SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK1";

describe("WebSocket (RFC 7118)", () => {
  const bench = new TransportBench();
  afterEach(() => bench.end());

  const serve = (more: Partial<TransportOptions> = {}) =>
    bench.layer([{ protocol: "ws", ...more }]);
  const client = (more: Partial<TransportOptions> = {}, options = {}) =>
    bench.layer([{ protocol: "ws", port: undefined, ...more }], options);

  /** A browser, more or less. */
  async function browser(
    bob: RecordingLayer,
    path = "/",
    protocols: string | string[] = "sip",
    origin = "http://127.0.0.1:1880",
  ) {
    const url = `ws://127.0.0.1:${bob.bound("ws").port}${path}`;
    const socket = new WebSocket(url, protocols, { origin });
    bench.atEnd(() => void socket.terminate());
    const received: { text: string; isBinary: boolean }[] = [];
    socket.on("message", (data, isBinary) =>
      received.push({ text: (data as Buffer).toString("utf8"), isBinary }),
    );
    await new Promise<void>((resolve, reject) => {
      socket.on("open", resolve);
      socket.on("error", reject);
    });
    return { socket, received };
  }

  it("carries messages both ways between two stacks", async () => {
    const bob = await serve();
    const alice = await client();
    const flow = await alice.connect(bob.target("ws"));
    assert.match(flow.sentBy, /^[a-z2-7]+\.invalid$/);
    assert.equal(flow.contactHost, flow.sentBy);
    flow.send(requestText({ via: `SIP/2.0/WS ${flow.sentBy};branch=z9hG4bK1;rport` }));
    const { message, flow: back } = await bob.arrival();
    assert.equal(message.source?.protocol, "ws");
    assert.equal(back.sentBy, `127.0.0.1:${bob.bound("ws").port}`);
    (await bob.responseFlow(message as SipRequest, back)).send(responseText());
    assert.equal((await alice.arrival()).flow, flow);
    assert.equal(await alice.connect(bob.target("ws")), flow);
  });

  it("refuses pages of other hosts, says so once in the log, and takes those that are listed", async () => {
    const warnings: string[] = [];
    const logger = { ...silentLogger, warn: (text: string) => void warnings.push(text) };
    const bob = await bench.layer([{ protocol: "ws" }], { logger, origins: ["phone.example"] });
    for (let time = 0; time < 2; time++) {
      await assert.rejects(browser(bob, "/", "sip", "https://pages.example"), /403/);
    }
    assert.equal(warnings.filter((text) => text.includes("https://pages.example")).length, 1);
    const phone = await browser(bob, "/", "sip", "https://phone.example");
    phone.socket.send(requestText({ via: VIA }));
    await bob.arrival();
  });

  it("takes text and binary messages, and answers in text", async () => {
    const bob = await serve();
    const phone = await browser(bob);
    phone.socket.send(requestText({ via: VIA, callId: "text" }));
    phone.socket.send(Buffer.from(requestText({ via: VIA, callId: "binary" })));
    const { flow } = await bob.arrival(1);
    flow.send(Buffer.from(responseText()));
    flow.send(Buffer.from([0xff, 0xfe, 0x00]));
    await until(() => phone.received.length === 2, "the answers");
    assert.deepEqual(
      phone.received.map((r) => r.isBinary),
      [false, true],
      "binary only where it is no text",
    );
  });

  it("does without Content-Length, as each message is whole (RFC 7118 §7)", async () => {
    const bob = await serve();
    const phone = await browser(bob);
    phone.socket.send(requestText({ via: VIA }).replace("Content-Length: 0\r\n", ""));
    await bob.arrival();
  });

  it("answers line breaks and pings that keep the connection alive", async () => {
    const bob = await serve();
    const phone = await browser(bob);
    let pongs = 0;
    phone.socket.on("pong", () => pongs++);
    phone.socket.ping();
    phone.socket.send("\r\n\r\n");
    phone.socket.send("\r\n");
    phone.socket.send("");
    await until(() => pongs === 1 && phone.received.length === 1, "pong and line break");
    assert.equal(phone.received[0]?.text, "\r\n");
    assert.equal(bob.layer.counters().malformed, 0);
  });

  it("drops garbage and keeps the connection", async () => {
    const bob = await serve();
    const phone = await browser(bob);
    phone.socket.send("hello");
    phone.socket.send(Buffer.from([0, 1, 2, 3, 4, 5]));
    phone.socket.send(requestText({ via: VIA }));
    await bob.arrival();
    assert.equal(bob.layer.counters().malformed, 2);
  });

  it("ends a connection that brings a message larger than the limit", async () => {
    const bob = await serve();
    const phone = await browser(bob);
    phone.socket.on("error", () => undefined);
    phone.socket.send("x".repeat(200_000));
    await until(() => phone.socket.readyState === WebSocket.CLOSED, "the end");
  });

  it("demands the subprotocol sip (RFC 7118 §4)", async () => {
    const bob = await serve();
    await assert.rejects(browser(bob, "/", []), /400/);
    await assert.rejects(browser(bob, "/", ["xmpp"]), /400/);
    await browser(bob, "/", ["xmpp", "sip"]);
  });

  it("serves only the configured path, with or without a query", async () => {
    const bob = await serve({ path: "/sip" });
    await assert.rejects(browser(bob, "/other"), /404/);
    await browser(bob, "/sip");
    await browser(bob, "/sip?user=1");
  });

  it("tells web browsers what this port is for", async () => {
    const bob = await serve();
    const status = await new Promise<number | undefined>((resolve, reject) => {
      get(`http://127.0.0.1:${bob.bound("ws").port}/`, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on("error", reject);
    });
    assert.equal(status, 426);
    const raw = await bench.tcpClient(bob.bound("ws").port);
    raw.write("\x16\x03\x01garbage\r\n\r\n");
    await until(() => raw.closed, "the end");
  });

  it("asks for the path of its target, else for its own", async () => {
    const bob = await serve({ path: "/sip" });
    const alice = await client({ path: "/wrong" });
    await alice.connect({ ...bob.target("ws"), path: "/sip" });
    const error = await alice.connectError(bob.target("ws"));
    assert.match(error.message, /answered 404 to \/wrong: check the path and port/);
    const carol = await client({ path: "sip" });
    await carol.connect(bob.target("ws"));
  });

  it("says when a WebSocket server does not speak SIP", async () => {
    const server = new WebSocketServer({
      port: 0,
      host: "127.0.0.1",
      handleProtocols: () => false,
    });
    await new Promise((resolve) => server.once("listening", resolve));
    bench.atEnd(() => void server.close());
    const port = (server.address() as AddressInfo).port;
    const alice = await client();
    const error = await alice.connectError({ protocol: "ws", address: "127.0.0.1", port });
    assert.match(error.message, /WebSocket but not SIP over WebSocket/);
  });

  it("says when a server speaks no WebSocket, or nothing listens", async () => {
    const server = createServer((_request, response) => response.end("hi"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    bench.atEnd(() => void server.close());
    const port = (server.address() as AddressInfo).port;
    const alice = await client();
    const target: FlowTarget = { protocol: "ws", address: "127.0.0.1", port };
    assert.match((await alice.connectError(target)).message, /answered 200/);
    assert.match((await alice.connectError({ ...target, port: 1 })).message, /was refused/);
  });

  it("cannot reach a client whose connection is gone", async () => {
    const bob = await serve();
    const phone = await browser(bob);
    phone.socket.send(requestText({ via: VIA }));
    const { message, flow } = await bob.arrival();
    phone.socket.close();
    await until(() => !flow.isOpen, "the loss");
    assert.equal(bob.states.at(-1)?.reason, "closed by peer");
    await assert.rejects(bob.responseFlow(message as SipRequest, flow), /client cannot be reached/);
  });

  it("keeps connections that it opened alive by pings, as nothing else leads back (RFC 7118 §5.2)", async () => {
    const clock = new ManualClock();
    const bob = await serve();
    // Here the clock runs faster than the network: answers may take their time.
    const alice = await client({}, { clock, tuning: { pongTimeoutMs: 1e9 } });
    const flow = await alice.connect(bob.target("ws"));
    for (let i = 0; i < 100; i++) {
      clock.advance(8_000);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.equal(flow.isOpen, true);
    await alice.layer.stop();
    assert.equal(clock.pendingTimers(), 0);
  });

  it("closes an idle connection of a client", async () => {
    const clock = new ManualClock();
    const bob = await bench.layer([{ protocol: "ws" }], { clock });
    const phone = await browser(bob);
    phone.socket.send(requestText({ via: VIA }));
    const { flow } = await bob.arrival();
    clock.advance(602_000);
    assert.equal(flow.isOpen, false);
    await until(() => phone.socket.readyState === WebSocket.CLOSED, "the end");
    await until(() => bob.states.at(-1)?.reason === "idle", "the report");
    assert.equal(clock.pendingTimers(), 0);
  });

  it("serves a client beside 100 sockets that never finish their handshake", async () => {
    const bob = await serve();
    for (let i = 0; i < 100; i++) (await bench.tcpClient(bob.bound("ws").port)).write("GET / HT");
    const phone = await browser(bob);
    phone.socket.send(requestText({ via: VIA }));
    await bob.arrival();
  });

  it("stops with clients connected", async () => {
    const bob = await serve();
    const phone = await browser(bob);
    const raw = await bench.tcpClient(bob.bound("ws").port);
    await bob.layer.stop();
    await until(() => phone.socket.readyState === WebSocket.CLOSED && raw.closed, "the end");
  });

  describe("over TLS", () => {
    const authority = () => certificateAuthority();

    it("verifies the server's name, and carries messages", async () => {
      const ca = authority();
      const own = ca.issue({ commonName: "x", altNames: ["DNS:web.example"] });
      const bob = await bench.layer([{ protocol: "wss", tls: own, path: "/sip" }]);
      const alice = await bench.layer([
        { protocol: "wss", port: undefined, tls: { ca: ca.cert }, path: "/sip" },
      ]);
      const target = { ...bob.target("wss"), serverName: "web.example" };
      const flow = await alice.connect(target);
      flow.send(requestText({ via: `SIP/2.0/WSS ${flow.sentBy};branch=z9hG4bK1` }));
      const { message, flow: back } = await bob.arrival();
      assert.equal(message.source?.protocol, "wss");
      back.send(responseText());
      await alice.arrival();
      const error = await alice.connectError({ ...target, serverName: "other.example" });
      assert.match(error.message, /certificate is for web\.example, not for other\.example/);
    });

    it("survives clients that speak plain HTTP or nothing", async () => {
      const own = authority().issue({ commonName: "x" });
      const bob = await bench.layer([{ protocol: "wss", tls: own }]);
      const plain = await bench.tcpClient(bob.bound("wss").port);
      plain.write("GET / HTTP/1.1\r\n\r\n");
      await until(() => plain.closed, "the end");
      const silent = await bench.tcpClient(bob.bound("wss").port);
      await bob.layer.stop();
      await until(() => silent.closed, "the end");
    });
  });
});
