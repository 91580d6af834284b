/** Attempts to connect that hang, fail or are given up, over every kind of connection. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { LocalAddresses } from "../../../lib/transport/local-address.js";
import { LocalIdentity } from "../../../lib/transport/local-identity.js";
import type { StreamContext } from "../../../lib/transport/listener.js";
import { MessageReceiver } from "../../../lib/transport/message-receiver.js";
import { ConnectionPool } from "../../../lib/transport/connection-pool.js";
import { resolveSettings } from "../../../lib/transport/settings.js";
import { tcpOpener } from "../../../lib/transport/tcp.js";
import { ManualClock } from "../../support/manual-clock.js";
import { quiet, RecordingLayer, TransportBench, until } from "../../support/transport-bench.js";

describe("connecting", () => {
  const bench = new TransportBench();
  afterEach(() => bench.end());

  /** A server that accepts and then says nothing. */
  async function silentServer() {
    const sockets: Socket[] = [];
    let open = 0;
    const server = createServer((socket) => {
      open++;
      sockets.push(socket);
      socket.on("error", () => undefined);
      socket.on("data", () => undefined);
      socket.on("close", () => open--);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    bench.atEnd(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const port = (server.address() as AddressInfo).port;
    return { port, openSockets: () => open, accepted: () => sockets.length };
  }

  for (const protocol of ["tls", "ws", "wss"] as const) {
    it(`gives up a server that never finishes the handshake of ${protocol}`, async () => {
      const clock = new ManualClock();
      const server = await silentServer();
      const alice = await bench.layer([{ protocol, port: undefined }], { clock });
      const pending = alice.connectError({ protocol, address: "127.0.0.1", port: server.port });
      await until(() => server.accepted() === 1, "the connection");
      clock.advance(10_001);
      const error = await pending;
      assert.match(error.message, /does not answer/);
      await until(() => server.openSockets() === 0, "the socket's end");
      assert.equal(clock.pendingTimers(), 0);
    });

    it(`gives up attempts over ${protocol} when it stops`, async () => {
      const server = await silentServer();
      const alice = await bench.layer([{ protocol, port: undefined }]);
      const pending = alice.connectError({ protocol, address: "127.0.0.1", port: server.port });
      await until(() => server.accepted() === 1, "the connection");
      await alice.layer.stop();
      assert.match((await pending).message, /has stopped/);
      await until(() => server.openSockets() === 0, "the socket's end");
    });
  }

  it("can give up before anything has happened", async () => {
    const settings = resolveSettings({ clock: new ManualClock() });
    const addresses = new LocalAddresses({ clock: settings.clock });
    const context: StreamContext = {
      settings,
      receiver: new MessageReceiver(settings),
      identity: new LocalIdentity([], addresses, settings.random),
      pool: new ConnectionPool(settings, () => undefined),
      onBroken: () => undefined,
    };
    const server = await silentServer();
    const calls: unknown[] = [];
    const target = { protocol: "tcp", address: "127.0.0.1", port: server.port } as const;
    const giveUp = tcpOpener(context)(target, (error) => calls.push(error));
    giveUp();
    await quiet();
    assert.deepEqual(calls, []);
    assert.equal(server.openSockets(), 0);
  });

  it("refuses entries whose port cannot be", async () => {
    for (const protocol of ["udp", "tcp", "ws"] as const) {
      const layer = new RecordingLayer({
        transports: [{ protocol, address: "127.0.0.1", port: 70_000 }],
      });
      await assert.rejects(layer.layer.start(layer), /the port must be 0 to 65535/);
    }
  });

  it("leaves no handle of the process behind", async () => {
    const count = (): number =>
      process.getActiveResourcesInfo().filter((kind) => /UDP|TCP/.test(kind)).length;
    await quiet();
    const before = count();
    const alice = await bench.layer([{}, { protocol: "tcp" }, { protocol: "ws" }]);
    const bob = await bench.layer([{ protocol: "tcp" }, { protocol: "ws" }]);
    await alice.connect(bob.target("tcp"));
    await bob.connect(alice.target("ws"));
    assert.ok(count() > before);
    await Promise.all([alice.layer.stop(), bob.layer.stop()]);
    await until(() => count() <= before, "the end of every socket");
  });
});
