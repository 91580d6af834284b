import assert from "node:assert/strict";
import { localMediaAddress, withoutPort } from "../../../../lib/media/local-address.js";
import { canonicalAddress } from "../../../../lib/media/rtp/ip-address.js";

describe("canonicalAddress", () => {
  for (const [given, expected] of [
    ["192.0.2.1", "192.0.2.1"],
    ["phone.example.com", "phone.example.com"],
    ["2001:DB8:0:0::1", "2001:db8::1"],
    ["::FFFF:192.0.2.1", "192.0.2.1"],
    ["fe80::1%eth0", "fe80::1%eth0"],
    ["", ""],
    [":::", ":::"],
  ]) {
    it(`makes "${expected}" of "${given}"`, () => assert.equal(canonicalAddress(given), expected));
  }
});

describe("localMediaAddress", () => {
  it("keeps an address that can be reached", () => {
    assert.equal(localMediaAddress("192.0.2.1", "192.0.2.9"), "192.0.2.1");
    assert.equal(localMediaAddress("::ffff:192.0.2.1", "192.0.2.9"), "192.0.2.1");
  });

  it("never describes all interfaces, which would mean hold", () => {
    assert.equal(localMediaAddress("0.0.0.0", "127.0.0.9"), "127.0.0.1");
    assert.equal(localMediaAddress("::", "::1"), "::1");
    for (const remote of ["192.0.2.9", "2001:db8::9", "phone.example.com"]) {
      assert.notEqual(localMediaAddress("0.0.0.0", remote), "0.0.0.0");
      assert.notEqual(localMediaAddress("::", remote), "::");
    }
  });
});

describe("withoutPort", () => {
  for (const [given, expected] of [
    ["192.0.2.1", "192.0.2.1"],
    ["192.0.2.1:5060", "192.0.2.1"],
    ["example.com:5060", "example.com"],
    ["2001:db8::1", "2001:db8::1"],
    ["[2001:db8::1]:5060", "2001:db8::1"],
  ]) {
    it(`finds ${expected} in ${given}`, () => assert.equal(withoutPort(given), expected));
  }
});
