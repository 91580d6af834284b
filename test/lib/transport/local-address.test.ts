import assert from "node:assert/strict";
import { LocalAddresses } from "../../../lib/transport/local-address.js";
import type { InterfaceAddress } from "../../../lib/transport/local-address.js";
import { LocalIdentity } from "../../../lib/transport/local-identity.js";
import type { BoundTransport } from "../../../lib/transport/transport.js";
import { ManualClock, settle } from "../../support/manual-clock.js";
import { SeededRandom } from "../../support/seeded-random.js";

function nic(address: string, prefix: number, internal = false): InterfaceAddress {
  const family = address.includes(":") ? "IPv6" : "IPv4";
  return { address, family, internal, cidr: `${address}/${prefix}` };
}

const HOME: InterfaceAddress[] = [
  nic("127.0.0.1", 8, true),
  nic("::1", 128, true),
  nic("192.0.2.10", 24),
  nic("10.8.0.2", 16),
  nic("10.8.5.2", 24),
  nic("fe80::10", 64),
  nic("2001:db8:5::10", 64),
];

function machine(interfaces = HOME, route: string | undefined = "192.0.2.10") {
  const clock = new ManualClock();
  const list = { interfaces };
  const addresses = new LocalAddresses({
    clock,
    interfaces: () => list.interfaces,
    probe: (family, callback) => callback(family === 4 ? route : undefined),
  });
  return { clock, list, addresses };
}

describe("the local address towards a peer", () => {
  const cases: [string, string, string][] = [
    ["is loopback for loopback", "127.0.0.9", "127.0.0.1"],
    ["is ::1 for ::1", "::1", "::1"],
    ["is in the peer's subnet", "192.0.2.77", "192.0.2.10"],
    ["is in the narrowest of several subnets", "10.8.5.9", "10.8.5.2"],
    ["is the peer's own when the peer is this machine", "10.8.0.2", "10.8.0.2"],
    ["is that of the default route for far peers", "198.51.100.9", "192.0.2.10"],
    ["is a global IPv6 address for far IPv6 peers", "2001:db8:ffff::1", "2001:db8:5::10"],
    ["is link-local for link-local peers", "fe80::99%eth0", "fe80::10"],
  ];
  for (const [name, remote, local] of cases) {
    it(name, async () => {
      const { addresses } = machine();
      await addresses.learnDefaultRoutes();
      assert.equal(addresses.towards(remote), local);
    });
  }

  it("knows its own addresses, as they are now", () => {
    const { addresses, clock, list } = machine();
    const asked = ["192.0.2.10", "127.0.0.1", "127.9.9.9", "::ffff:192.0.2.10", "192.0.2.11"];
    assert.deepEqual(
      asked.map((address) => addresses.has(address)),
      [true, true, true, true, false],
    );
    list.interfaces = [nic("192.0.2.11", 24)];
    clock.advance(11_000);
    assert.equal(addresses.has("192.0.2.10"), false);
    assert.equal(addresses.has("192.0.2.11"), true);
  });

  it("is the first interface when there is no default route", async () => {
    const { addresses } = machine(HOME, undefined);
    await addresses.learnDefaultRoutes();
    assert.equal(addresses.towards("198.51.100.9"), "192.0.2.10");
  });

  it("is loopback on a machine without network", () => {
    const { addresses } = machine([nic("127.0.0.1", 8, true)], undefined);
    assert.equal(addresses.towards("198.51.100.9"), "127.0.0.1");
    assert.equal(addresses.towards("2001:db8::1"), "::1");
  });

  it("follows a change of the machine's addresses within ten seconds", async () => {
    const { addresses, clock, list } = machine();
    await addresses.learnDefaultRoutes();
    assert.equal(addresses.towards("192.0.2.77"), "192.0.2.10");
    const version = addresses.version;
    list.interfaces = [nic("127.0.0.1", 8, true), nic("192.0.2.11", 24)];
    clock.advance(9_000);
    assert.equal(addresses.version, version);
    clock.advance(2_000);
    assert.notEqual(addresses.version, version);
    await settle();
    assert.equal(addresses.towards("192.0.2.77"), "192.0.2.11");
    // The default route's old address is gone: the remaining interface serves.
    assert.equal(addresses.towards("198.51.100.9"), "192.0.2.11");
  });

  it("knows who is on the same link", () => {
    const { addresses } = machine();
    assert.ok(addresses.isOnLink("192.0.2.200"));
    assert.ok(addresses.isOnLink("127.0.0.1"));
    assert.ok(!addresses.isOnLink("198.51.100.9"));
  });

  it("asks this machine's routing table when nothing is injected", async () => {
    const addresses = new LocalAddresses({ clock: new ManualClock() });
    await addresses.learnDefaultRoutes();
    assert.equal(addresses.towards("127.0.0.1"), "127.0.0.1");
    assert.match(addresses.towards("198.51.100.9"), /^\d+\.\d+\.\d+\.\d+$/);
  });
});

describe("the names under which we appear", () => {
  function identity(bound: BoundTransport[]): LocalIdentity {
    return new LocalIdentity(bound, machine().addresses, new SeededRandom(1));
  }
  const udp = (address: string, port = 5060, advertise?: string): BoundTransport => ({
    protocol: "udp",
    address,
    port,
    advertise,
  });

  it("are concrete for wildcard sockets", () => {
    const all = udp("0.0.0.0");
    const names = identity([all]);
    assert.equal(names.ofDatagrams(all, "192.0.2.77").sentBy, "192.0.2.10:5060");
    assert.equal(names.ofDatagrams(all, "127.0.0.1").contactHost, "127.0.0.1:5060");
    const all6 = udp("::", 5070);
    assert.equal(identity([all6]).ofDatagrams(all6, "::1").sentBy, "[::1]:5070");
  });

  const advertised: [string, string][] = [
    ["pbx.example.com", "pbx.example.com:5070"],
    ["pbx.example.com:5080", "pbx.example.com:5080"],
    ["198.51.100.1", "198.51.100.1:5070"],
    ["2001:db8::1", "[2001:db8::1]:5070"],
    ["[2001:db8::1]", "[2001:db8::1]:5070"],
    ["[2001:db8::1]:5080", "[2001:db8::1]:5080"],
  ];
  for (const [advertise, name] of advertised) {
    it(`are what is advertised: ${advertise}`, () => {
      const bound = udp("0.0.0.0", 5070, advertise);
      const shown = identity([bound]).ofDatagrams(bound, "192.0.2.77");
      assert.deepEqual([shown.sentBy, shown.contactHost], [name, name]);
      assert.equal(shown.localAddress, "192.0.2.10");
    });
  }

  const choices: [string, string[], string, string | undefined][] = [
    ["the family decides", ["::", "0.0.0.0"], "192.0.2.77", "0.0.0.0"],
    ["an entry in the peer's subnet wins", ["0.0.0.0", "192.0.2.10"], "192.0.2.77", "192.0.2.10"],
    ["a wildcard beats an entry elsewhere", ["10.8.0.2", "0.0.0.0"], "192.0.2.77", "0.0.0.0"],
    ["loopback serves loopback", ["0.0.0.0", "127.0.0.2"], "127.0.0.1", "127.0.0.2"],
    ["the exact address wins", ["127.0.0.2", "127.0.0.1"], "127.0.0.1", "127.0.0.1"],
    ["loopback serves others as a last resort", ["127.0.0.1"], "192.0.2.77", "127.0.0.1"],
    ["no entry serves another family", ["0.0.0.0"], "2001:db8::1", undefined],
  ];
  for (const [name, entries, remote, chosen] of choices) {
    it(`come from the entry that reaches the peer: ${name}`, () => {
      const names = identity(entries.map((address) => udp(address)));
      assert.equal(names.pick("udp", remote)?.address, chosen);
    });
  }

  const ends = {
    localAddress: "192.0.2.10",
    localPort: 40_000,
    remoteAddress: "192.0.2.77",
    outgoing: true,
  };

  it("are those of the listener for its connections", () => {
    const tcp: BoundTransport = { protocol: "tcp", address: "0.0.0.0", port: 5060 };
    const shown = identity([tcp]).ofConnection({ ...ends, protocol: "tcp" });
    assert.deepEqual([shown.sentBy, shown.contactHost], ["192.0.2.10:5060", "192.0.2.10:5060"]);
    assert.equal(shown.contactProtocol, "tcp");
  });

  it("lead back over UDP when nothing listens on TCP", () => {
    const shown = identity([udp("0.0.0.0")]).ofConnection({ ...ends, protocol: "tcp" });
    assert.deepEqual([shown.sentBy, shown.contactHost], ["192.0.2.10:40000", "192.0.2.10:5060"]);
    assert.equal(shown.contactProtocol, "udp");
  });

  it("never lead from TLS back to UDP", () => {
    const shown = identity([udp("0.0.0.0")]).ofConnection({ ...ends, protocol: "tls" });
    assert.deepEqual([shown.contactHost, shown.contactProtocol], ["192.0.2.10:40000", "tls"]);
  });

  it("are a random .invalid host for outgoing WebSockets (RFC 7118 §5.2)", () => {
    const names = identity([]);
    const one = names.ofConnection({ ...ends, protocol: "ws" });
    const two = names.ofConnection({ ...ends, protocol: "wss" });
    assert.match(one.sentBy, /^[a-z2-7]{12}\.invalid$/);
    assert.equal(one.contactHost, one.sentBy);
    assert.notEqual(one.sentBy, two.sentBy);
  });
});
