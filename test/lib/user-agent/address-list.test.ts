/** Networks in CIDR notation, IPv4 and IPv6. */
import assert from "node:assert/strict";
import { InvalidArgumentError } from "../../../lib/foundation/index.js";
import { AddressList, isAddress, LOCAL_NETWORKS } from "../../../lib/user-agent/address-list.js";

const table: readonly [network: string, address: string, inside: boolean][] = [
  ["192.0.2.0/24", "192.0.2.255", true],
  ["192.0.2.0/24", "192.0.3.0", false],
  ["192.0.2.128/25", "192.0.2.127", false],
  ["192.0.2.128/25", "192.0.2.128", true],
  ["10.0.0.0/8", "10.255.255.255", true],
  ["10.0.0.0/8", "11.0.0.0", false],
  ["0.0.0.0/0", "203.0.113.9", true],
  ["0.0.0.0/0", "2001:db8::1", false],
  ["::/0", "2001:db8::1", true],
  ["::/0", "203.0.113.9", true],
  ["192.0.2.7", "192.0.2.7", true],
  ["192.0.2.7", "192.0.2.8", false],
  ["192.0.2.7/32", "192.0.2.7", true],
  ["2001:db8::/32", "2001:db8:ffff::1", true],
  ["2001:db8::/32", "2001:db9::1", false],
  ["2001:db8::/33", "2001:db8:8000::", false],
  ["::1", "0:0:0:0:0:0:0:1", true],
  ["::1", "::2", false],
  ["fe80::/10", "febf::1%eth0", true],
  ["fe80::/10", "fec0::1", false],
  ["192.0.2.0/24", "::ffff:192.0.2.9", true],
  ["::ffff:192.0.2.0/120", "192.0.2.9", true],
  ["192.0.2.0/24", "alice.example", false],
  ["192.0.2.0/24", "", false],
  ["192.0.2.0/24", "192.0.2", false],
  ["192.0.2.0/24", "192.0.2.1.5", false],
  ["192.0.2.0/24", "192.0.2.256", false],
  ["::/0", "1:2:3:4:5:6:7:8:9", false],
  ["::/0", "1::2::3", false],
  ["::/0", "12345::", false],
];

describe("address lists", () => {
  for (const [network, address, inside] of table) {
    it(`finds ${address || "nothing"} ${inside ? "inside" : "outside"} ${network}`, () => {
      const list = new AddressList([network]);
      assert.equal(list.includes(address), inside);
      assert.equal(list.includes(address), inside, "and again from memory");
    });
  }

  for (const entry of [
    "192.0.2.0/33",
    "::/129",
    "192.0.2.0/",
    "192.0.2.0/-1",
    "example.com",
    "1.2.3",
    "*",
  ]) {
    it(`refuses the entry ${entry}`, () => {
      assert.throws(() => new AddressList([entry]), InvalidArgumentError);
    });
  }

  it("skips blank entries and is empty without any", () => {
    assert.equal(new AddressList([" ", ""]).isEmpty, true);
    assert.equal(new AddressList(["127.0.0.1"]).isEmpty, false);
  });

  it("knows loopback, private and link-local networks", () => {
    for (const address of [
      "127.9.9.9",
      "10.1.1.1",
      "172.31.0.1",
      "192.168.1.1",
      "169.254.1.1",
      "::1",
      "fd00::1",
      "fe80::1",
    ]) {
      assert.equal(LOCAL_NETWORKS.includes(address), true, address);
    }
    for (const address of ["172.32.0.1", "192.169.0.1", "8.8.8.8", "2001:db8::1"]) {
      assert.equal(LOCAL_NETWORKS.includes(address), false, address);
    }
  });

  it("keeps a bounded memory of its answers", () => {
    const list = new AddressList(["10.0.0.0/8"]);
    for (let i = 0; i < 5_000; i++) {
      assert.equal(list.includes(`10.0.${i >> 8}.${i & 255}`), true);
    }
  });

  it("tells addresses from names", () => {
    assert.equal(isAddress("192.0.2.1"), true);
    assert.equal(isAddress("2001:db8::1"), true);
    assert.equal(isAddress("example.com"), false);
  });
});
