import assert from "node:assert/strict";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import type { FlowTarget, TlsMaterial, TransportOptions } from "../../../lib/transport/index.js";
import { certificateAuthority, selfSigned } from "../../support/certificates.js";
import type { Certificate, CertificateAuthority } from "../../support/certificates.js";
import { requestText, responseText } from "../../support/sip-messages.js";
import { quiet, RecordingLayer, TransportBench, until } from "../../support/transport-bench.js";

const VIA = "SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bK1;rport";

describe("TLS (RFC 3261 §26, RFC 5922)", function () {
  this.timeout(20_000);
  const bench = new TransportBench();
  let authority: CertificateAuthority;
  let good: Certificate;
  let bare: Certificate;

  before(() => {
    authority = certificateAuthority();
    good = authority.issue({ commonName: "ignored", altNames: ["DNS:good.example"] });
    bare = authority.issue({ commonName: "127.0.0.1", altNames: ["IP:127.0.0.1"] });
  });
  afterEach(() => bench.end());

  const serve = (tls: TlsMaterial) => bench.layer([{ protocol: "tls", tls }]);
  const client = (
    tls: TlsMaterial = { ca: authority.cert },
    more: Partial<TransportOptions> = {},
  ) => bench.layer([{ protocol: "tls", port: undefined, tls, ...more }]);
  const named = (bob: RecordingLayer, serverName?: string): FlowTarget => ({
    ...bob.target("tls"),
    serverName,
  });

  it("carries messages both ways once the name is verified", async () => {
    const bob = await serve(good);
    const alice = await client();
    const flow = await alice.connect(named(bob, "good.example"));
    assert.equal(flow.protocol, "tls");
    flow.send(requestText({ via: VIA }));
    const arrival = await bob.arrival();
    assert.equal(arrival.message.source?.protocol, "tls");
    arrival.flow.send(responseText());
    await alice.arrival();
    assert.deepEqual(bob.layer.bound[0]?.protocol, "tls");
    assert.deepEqual(alice.layer.bound, [], "without certificate it only connects out");
  });

  it("verifies an IP address where the target was given as one", async () => {
    const bob = await serve(bare);
    const alice = await client();
    assert.ok((await alice.connect(named(bob))).isOpen);
  });

  it("takes a pinned certificate whatever its name, and no other", async () => {
    const own = selfSigned({ commonName: "pbx.example", altNames: ["DNS:pbx.example"] });
    const bob = await serve(own);
    const alice = await client({ pinned: own.cert });
    assert.ok((await alice.connect(named(bob))).isOpen);
    const mallory = await serve(good);
    await assert.rejects(alice.connect(named(mallory)), /another certificate/);
    const careless = await client({ pinned: "no certificate" });
    await assert.rejects(careless.connect(named(bob)), /cannot be read/);
  });

  const refusals: [
    string,
    () => Certificate,
    TlsMaterial | undefined,
    string | undefined,
    RegExp,
  ][] = [
    [
      "a certificate of another name",
      () => good,
      undefined,
      "other.example",
      /the certificate is for good\.example, not for other\.example/i,
    ],
    [
      "a name where the address was asked for",
      () => good,
      undefined,
      undefined,
      /is for good\.example, not for 127\.0\.0\.1/,
    ],
    [
      "a self-signed certificate",
      () => selfSigned({ commonName: "good.example", altNames: ["DNS:good.example"] }),
      {},
      "good.example",
      /self-signed: put that certificate as CA into the TLS configuration/,
    ],
    ["a certificate of a private CA", () => good, {}, "good.example", /unknown CA|private CA/],
    [
      "a wildcard certificate",
      () => authority.issue({ commonName: "x", altNames: ["DNS:*.example"] }),
      undefined,
      "good.example",
      /is for \*\.example, not for good\.example/,
    ],
  ];
  for (const [name, certificate, tls, serverName, words] of refusals) {
    it(`refuses ${name}, in words`, async () => {
      const bob = await serve(certificate());
      const alice = await client(tls ?? { ca: authority.cert });
      const error = await alice.connectError(named(bob, serverName));
      assert.match(error.message, words);
      assert.equal(alice.states[0]?.state, "disconnected");
      assert.match(alice.states[0]?.reason ?? "", words);
    });
  }

  it("accepts any certificate only by explicit choice", async () => {
    const bob = await serve(selfSigned({ commonName: "whoever" }));
    const alice = await client({ verifyServer: false });
    assert.ok((await alice.connect(named(bob, "good.example"))).isOpen);
  });

  it("accepts a self-signed certificate that the configuration names", async () => {
    const own = selfSigned({ commonName: "good.example", altNames: ["DNS:good.example"] });
    const bob = await serve(own);
    const alice = await client({ ca: own.cert });
    assert.ok((await alice.connect(named(bob, "good.example"))).isOpen);
  });

  it("verifies the name of the configuration where it differs from the domain", async () => {
    const bob = await serve(good);
    const alice = await client({ ca: authority.cert, serverName: "good.example" });
    assert.ok((await alice.connect(named(bob, "tenant.example"))).isOpen);
  });

  it("never reuses a connection that was verified for another name", async () => {
    const both = authority.issue({
      commonName: "x",
      altNames: ["DNS:good.example", "DNS:second.example"],
    });
    const bob = await serve(both);
    const alice = await client();
    const one = await alice.connect(named(bob, "good.example"));
    const two = await alice.connect(named(bob, "second.example"));
    assert.notEqual(one, two);
    assert.equal(await alice.connect(named(bob, "good.example")), one);
    const error = await alice.connectError(named(bob, "third.example"));
    assert.match(error.message, /not for third\.example/);
  });

  it("sends the name as SNI, and none for addresses (RFC 6066 §3)", async () => {
    const asked: (string | false | null)[] = [];
    const server = createServer({ cert: bare.cert, key: bare.key }, (socket: TLSSocket) => {
      asked.push((socket as TLSSocket & { servername?: string | false }).servername ?? null);
      socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    bench.atEnd(() => void server.close());
    const port = (server.address() as AddressInfo).port;
    const alice = await client({ ca: authority.cert, verifyServer: false });
    const target: FlowTarget = { protocol: "tls", address: "127.0.0.1", port };
    await alice.connect({ ...target, serverName: "good.example" });
    await alice.connect(target);
    await until(() => asked.length === 2, "both connections");
    assert.deepEqual(asked, ["good.example", false]);
  });

  it("speaks nothing older than TLS 1.2 (RFC 8996)", async () => {
    const bob = await serve(good);
    const error = await new Promise<Error>((resolve, reject) => {
      const socket = connect({
        port: bob.bound("tls").port,
        host: "127.0.0.1",
        maxVersion: "TLSv1.1",
        minVersion: "TLSv1",
        ciphers: "DEFAULT@SECLEVEL=0",
        rejectUnauthorized: false,
      });
      socket.on("secureConnect", () => reject(new Error("TLS 1.1 was accepted")));
      socket.on("error", resolve);
    });
    assert.match(error.message, /alert|version|protocol|disconnected/i);
  });

  it("says when the server does not speak TLS", async () => {
    const server = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.end("SIP/2.0 400 Bad Request\r\n\r\n");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    bench.atEnd(() => void server.close());
    const port = (server.address() as AddressInfo).port;
    const alice = await client();
    const error = await alice.connectError({ protocol: "tls", address: "127.0.0.1", port });
    assert.match(error.message, /does not speak TLS at this port|closed the connection during/);
  });

  it("asks clients for a certificate when it is told to", async () => {
    const bob = await serve({ ...good, ca: authority.cert, verifyClient: true });
    const stranger = await client();
    const flow = await stranger.connect(named(bob, "good.example")).catch(() => undefined);
    await until(() => flow?.isOpen !== true, "the refusal");
    const trusted = authority.issue({ commonName: "phone" });
    const alice = await client({ ca: authority.cert, cert: trusted.cert, key: trusted.key }, {});
    const second = await alice.connect(named(bob, "good.example"));
    second.send(requestText({ via: VIA }));
    await bob.arrival();
  });

  it("names what is wrong with unusable key material, without showing it", async () => {
    const other = authority.issue({ commonName: "other" });
    const layer = new RecordingLayer({
      transports: [
        {
          protocol: "tls",
          address: "127.0.0.1",
          port: 0,
          tls: { cert: good.cert, key: other.key },
        },
      ],
    });
    await assert.rejects(layer.layer.start(layer), (error: Error) => {
      assert.match(error.message, /certificate, key or CA cannot be used.*must belong/);
      assert.doesNotMatch(error.message, /BEGIN/);
      return true;
    });
    const alice = await client({ ca: "no PEM at all", cert: "nor this", key: "nor that" });
    const error = await alice.connectError({ protocol: "tls", address: "127.0.0.1", port: 1 });
    assert.match(error.message, /certificate, key or CA cannot be used/);
  });

  it("drops clients that never finish their handshake", async () => {
    const bob = await bench.layer([{ protocol: "tls", tls: good }], {
      tuning: { handshakeTimeoutMs: 100 },
    });
    const raw = await bench.tcpClient(bob.bound("tls").port);
    await until(() => raw.closed, "the end");
    const garbage = await bench.tcpClient(bob.bound("tls").port);
    garbage.write("OPTIONS sip:bob SIP/2.0\r\n\r\n");
    await until(() => garbage.closed, "the end");
    assert.deepEqual(bob.states, []);
  });

  it("counts unfinished handshakes under the caps, and serves others beside them", async () => {
    const bob = await serve(good);
    for (let i = 0; i < 60; i++) await bench.tcpClient(bob.bound("tls").port);
    const alice = await client();
    const flow = await alice.connect(named(bob, "good.example"));
    flow.send(requestText({ via: VIA }));
    (await bob.arrival()).flow.send(responseText());
    await alice.arrival();
  });

  it("stops with unfinished handshakes open", async () => {
    const bob = await serve(good);
    const raw = await bench.tcpClient(bob.bound("tls").port);
    await quiet();
    await bob.layer.stop();
    await until(() => raw.closed, "the end");
  });
});
