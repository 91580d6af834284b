import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { createServer, type AddressInfo, type Server } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import {
  machineAddresses,
  probeBind,
  probeConnection,
  probeDatagram,
} from "../../../lib/transport/probe.js";
import type { FlowTarget, TransportProtocol } from "../../../lib/transport/transport.js";
import { certificateAuthority } from "../../support/certificates.js";
import { freePort } from "../../support/ports.js";

const target = (protocol: TransportProtocol, port: number): FlowTarget => ({
  protocol,
  address: "127.0.0.1",
  port,
});
const listening = async <S extends Server>(server: S): Promise<number> => {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return (server.address() as AddressInfo).port;
};
const options = (limitMs = 2_000) => ({ signal: new AbortController().signal, limitMs });

describe("a probe", () => {
  it("tells our address on the way to a server that takes the connection", async () => {
    const server = createServer();
    const port = await listening(server);
    try {
      const probe = await probeConnection(target("tcp", port), options());
      assert.equal(probe.localAddress, "127.0.0.1");
      assert.equal(probe.tls, undefined);
    } finally {
      server.close();
    }
  });

  it("says that nothing listens, over TCP and UDP", async () => {
    const port = await freePort();
    await assert.rejects(probeConnection(target("tcp", port), options()), /refused/);
    await assert.rejects(probeDatagram(target("udp", port), options()), /refused/);
  });

  it("takes a silent UDP port for one that may be right", async () => {
    const socket = createSocket("udp4").bind(0, "127.0.0.1");
    await new Promise((done) => socket.once("listening", done));
    try {
      assert.equal(
        await probeDatagram(target("udp", socket.address().port), options()),
        "127.0.0.1",
      );
    } finally {
      socket.close();
    }
  });

  it("shows a certificate and what is wrong with it, without throwing", async () => {
    const authority = certificateAuthority();
    const cases: [Parameters<typeof authority.issue>[0], string | undefined, RegExp | undefined][] =
      [
        [{ commonName: "a.test", altNames: ["IP:127.0.0.1"] }, authority.cert, undefined],
        [{ commonName: "a.test", altNames: ["IP:127.0.0.1"] }, undefined, /unknown CA|private CA/],
        [
          { commonName: "a.test", altNames: ["DNS:b.test"] },
          authority.cert,
          /for b\.test, not for 127/,
        ],
        [{ commonName: "a.test", altNames: ["IP:127.0.0.1"], days: -1 }, authority.cert, /expired/],
      ];
    for (const [names, ca, fault] of cases) {
      const server = createTlsServer(authority.issue(names));
      server.on("tlsClientError", () => undefined);
      const port = await listening(server);
      try {
        const { tls } = await probeConnection(target("tls", port), {
          ...options(),
          tls: ca === undefined ? {} : { ca },
        });
        assert.equal(tls?.peer.name, "a.test");
        assert.equal(tls.peer.issuer, "Test CA");
        if (fault === undefined) assert.equal(tls.peer.fault, undefined);
        else assert.match(tls.peer.fault ?? "", fault);
      } finally {
        server.close();
      }
    }
  });

  it("ends after its limit, and at once when nobody waits for it, where a server never speaks TLS", async () => {
    const server = createServer();
    const port = await listening(server);
    try {
      await assert.rejects(probeConnection(target("tls", port), options(50)), /does not answer/);
      const abort = new AbortController();
      const probe = probeConnection(target("tls", port), { signal: abort.signal, limitMs: 60_000 });
      abort.abort();
      await assert.rejects(probe, /cancelled/i);
    } finally {
      server.close();
    }
  });

  it("binds what is free and lets go of it, and names the cure where it cannot", async () => {
    const port = await freePort();
    for (const protocol of ["udp", "tcp", "udp", "tcp"] as const)
      await probeBind({ protocol, address: "127.0.0.1", port });
    const server = createServer();
    const taken = await listening(server);
    try {
      await assert.rejects(
        probeBind({ protocol: "tcp", address: "127.0.0.1", port: taken }),
        /already in use/,
      );
      await assert.rejects(
        probeBind({ protocol: "udp", address: "192.0.2.200", port: 0 }),
        /has no address 192\.0\.2\.200/,
      );
    } finally {
      server.close();
    }
  });

  it("knows the addresses of this machine", async () => {
    const { addresses } = await machineAddresses();
    assert.ok(addresses.some(({ address, internal }) => address === "127.0.0.1" && internal));
  });
});
