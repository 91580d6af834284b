import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { MediaError } from "../../../../lib/foundation/index.js";
import { PortAllocator } from "../../../../lib/media/rtp/port-allocator.js";
import type { SocketPair } from "../../../../lib/media/rtp/port-allocator.js";
import { ownPort } from "../../../support/port-range.js";
import { SeededRandom } from "../../../support/seeded-random.js";

const ADDRESS = "127.0.0.1";

describe("PortAllocator", () => {
  it("gives even ports with their neighbours, each once, until none is left", async () => {
    const ports = new PortAllocator(new SeededRandom(3));
    const range = { min: ownPort(1), max: ownPort(10) };
    const pairs: SocketPair[] = [];
    for (let i = 0; i < 4; i++) pairs.push(await ports.open(ADDRESS, range));
    assert.deepEqual(
      pairs.map(({ port }) => port).sort((a, b) => a - b),
      [ownPort(2), ownPort(4), ownPort(6), ownPort(8)],
    );
    for (const { rtp, rtcp, port } of pairs) {
      assert.equal(rtp.address().port, port);
      assert.equal(rtcp.address().port, port + 1);
    }
    await assert.rejects(ports.open(ADDRESS, range), (error) => {
      assert.ok(error instanceof MediaError);
      assert.equal(error.statusHint, 503);
      assert.ok(
        error.message.startsWith(
          `No free RTP port on 127.0.0.1 between ${ownPort(1)} and ${ownPort(10)}`,
        ),
      );
      return true;
    });
    await pairs[2].close();
    const again = await ports.open(ADDRESS, range);
    assert.equal(again.port, pairs[2].port);
    await Promise.all([pairs[0], pairs[1], pairs[3], again].map((pair) => pair.close()));
    assert.equal(ports.size, 0);
  });

  it("steps over ports of other programs, also when only the second is taken", async () => {
    const other = createSocket("udp4");
    await new Promise<void>((resolve) => other.bind(ownPort(23), ADDRESS, resolve));
    const ports = new PortAllocator(new SeededRandom(1));
    const range = { min: ownPort(20), max: ownPort(25) };
    const pairs = [await ports.open(ADDRESS, range), await ports.open(ADDRESS, range)];
    assert.deepEqual(pairs.map(({ port }) => port).sort(), [ownPort(20), ownPort(24)]);
    await assert.rejects(ports.open(ADDRESS, range), MediaError);
    await Promise.all(pairs.map((pair) => pair.close()));
    other.close();
  });

  it("uses a port again only after some others", async () => {
    const ports = new PortAllocator(new SeededRandom(1));
    const range = { min: ownPort(30), max: ownPort(49) };
    const first = await ports.open(ADDRESS, range);
    await first.close();
    const second = await ports.open(ADDRESS, range);
    await second.close();
    assert.notEqual(first.port, second.port);
  });

  it("listens on all interfaces for an address that is not of this machine", async () => {
    const ports = new PortAllocator(new SeededRandom(1));
    const pair = await ports.open("192.0.2.200", { min: ownPort(50), max: ownPort(59) });
    assert.equal(pair.address, "0.0.0.0");
    await pair.close();
    assert.equal(ports.size, 0);
  });

  it("tells of an address that cannot be bound", async () => {
    const ports = new PortAllocator(new SeededRandom(1));
    await assert.rejects(
      ports.open("ff02::1234", { min: ownPort(60), max: ownPort(69) }),
      (error) => error instanceof MediaError && error.statusHint === 503,
    );
    assert.equal(ports.size, 0);
  });

  it("refuses a range without room", async () => {
    const ports = new PortAllocator(new SeededRandom(1));
    await assert.rejects(ports.open(ADDRESS, { min: ownPort(71), max: ownPort(72) }), MediaError);
  });
});
