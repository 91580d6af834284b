import assert from "node:assert/strict";
import type { DnsClient } from "../../../lib/transport/transport.js";
import { accountServers, accountWay } from "../../../lib/user-agent/account-way.js";
import { ManualClock } from "../../support/manual-clock.js";

const absent = (): Promise<never> =>
  Promise.reject(Object.assign(new Error("none"), { code: "ENOTFOUND" }));
const dns: DnsClient = {
  resolveNaptr: absent,
  resolveSrv: (name) =>
    name === "_sip._tcp.example.com"
      ? Promise.resolve([{ priority: 1, weight: 1, port: 5070, name: "one.example.com" }])
      : absent(),
  resolve4: (name) => (name === "one.example.com" ? Promise.resolve(["192.0.2.5"]) : absent()),
  resolve6: absent,
};
const how = { protocols: ["udp", "tcp"] as const, dns, clock: new ManualClock() };

describe("the way of an account", () => {
  it("is that of its registrar, by SRV, over the transport that was found", async () => {
    const way = await accountWay({ id: "a", uri: "sip:alice@example.com" }, how);
    assert.deepEqual(
      [
        way.host,
        way.user,
        way.targets.map(({ protocol, address, port }) => [protocol, address, port]),
      ],
      ["example.com", "alice", [["tcp", "192.0.2.5", 5070]]],
    );
  });

  it("is that of its outbound proxy where it has one", async () => {
    const options = { id: "a", uri: "sip:alice@example.com", outboundProxy: "sip:192.0.2.9;lr" };
    const { host, targets } = await accountWay(options, how);
    assert.deepEqual([host, targets[0]?.protocol, targets[0]?.port], ["192.0.2.9", "udp", 5060]);
  });

  it("fails in words for a name that is nowhere, and for a transport that the stack has not", async () => {
    await assert.rejects(
      accountWay({ id: "a", uri: "sip:a@nowhere.test" }, how),
      /no IPv4 or IPv6 address/,
    );
    await assert.rejects(
      accountWay({ id: "a", uri: "sip:a@example.com", transport: "tls" }, how),
      /no TLS transport/,
    );
  });
});

describe("whom an account's password is for", () => {
  const servers = (more: object) =>
    accountServers({ id: "a", uri: "sip:alice@example.com", ...more });

  it("is the same however the same is written", () => {
    for (const same of [
      { registrar: "example.com" },
      { registrar: "sip:example.com" },
      { authUser: "alice" },
      { displayName: "Alice", expires: 60, outbound: true },
      { id: "b" },
    ])
      assert.equal(servers(same), servers({}), JSON.stringify(same));
  });

  it("is another for another user, registrar, proxy, port or path", () => {
    for (const other of [
      { authUser: "mallory" },
      { registrar: "sip:evil.example" },
      { registrar: "sip:example.com:5070" },
      { registrar: "wss://example.com/ws" },
      { outboundProxy: "sip:evil.example" },
      { uri: "sip:alice@evil.example" },
      { uri: "sip:bob@example.com" },
    ])
      assert.notEqual(servers(other), servers({}), JSON.stringify(other));
  });
});
