import assert from "node:assert/strict";
import {
  bracket,
  canonicalAddress,
  defaultPort,
  hostPort,
  ipFamily,
  isGroupAddress,
  isLoopback,
  isWildcard,
  sameAddress,
  transportProtocol,
} from "../../../lib/transport/addresses.js";

describe("addresses", () => {
  it("have one spelling each", () => {
    assert.equal(canonicalAddress("[2001:DB8:0:0::1]"), "2001:db8::1");
    assert.equal(canonicalAddress("::ffff:192.0.2.1"), "192.0.2.1");
    assert.equal(canonicalAddress("fe80::1%eth0"), "fe80::1");
    assert.equal(canonicalAddress("Example.COM"), "example.com");
    assert.equal(canonicalAddress("a:b"), "a:b");
    assert.ok(sameAddress("[::1]", "0:0:0:0:0:0:0:1"));
    assert.ok(!sameAddress("10.0.0.1", "10.0.0.2"));
  });

  it("are bracketed in texts where they are IPv6", () => {
    assert.equal(hostPort("2001:db8::1", 5060), "[2001:db8::1]:5060");
    assert.equal(hostPort("10.0.0.1", 5060), "10.0.0.1:5060");
    assert.equal(bracket("fe80::1%eth0"), "[fe80::1]");
    assert.equal(bracket("[::1]"), "[::1]");
  });

  it("know their family", () => {
    assert.deepEqual(
      ["10.0.0.1", "::1", "[::1]", "example.com", "1.2.3", ""].map(ipFamily),
      [4, 6, 6, 0, 0, 0],
    );
  });

  it("are group addresses when no single host has them", () => {
    const groups = ["224.0.1.75", "239.1.1.1", "255.255.255.255", "0.0.0.0", "::", "ff02::1"];
    for (const address of groups) assert.ok(isGroupAddress(address), address);
    for (const address of ["192.0.2.1", "::1", "223.255.255.255", "240.0.0.1", "name"]) {
      assert.ok(!isGroupAddress(address), address);
    }
  });

  it("are loopback or wildcard in every spelling", () => {
    for (const a of ["127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1"]) assert.ok(isLoopback(a));
    for (const a of ["10.0.0.1", "::2", "::"]) assert.ok(!isLoopback(a));
    for (const a of ["0.0.0.0", "::", "0::0"]) assert.ok(isWildcard(a));
    assert.ok(!isWildcard("::1"));
  });

  it("have default ports per protocol (RFC 3261 §18.2.2, RFC 7118 §5.4)", () => {
    assert.deepEqual(
      (["udp", "tcp", "tls", "ws", "wss"] as const).map(defaultPort),
      [5060, 5060, 5061, 80, 443],
    );
    assert.equal(transportProtocol("TLS"), "tls");
    assert.equal(transportProtocol("sctp"), undefined);
    assert.equal(transportProtocol("__proto__"), undefined);
  });
});
