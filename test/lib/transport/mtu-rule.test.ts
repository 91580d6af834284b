import assert from "node:assert/strict";
import { preferReliable } from "../../../lib/transport/mtu-rule.js";
import type { FlowTarget } from "../../../lib/transport/transport.js";

describe("the rule for large requests (RFC 3261 §18.1.1)", () => {
  const udp: FlowTarget = { protocol: "udp", address: "192.0.2.1", port: 5080 };

  it("leaves requests up to 1300 bytes on UDP", () => {
    assert.equal(preferReliable(udp, 1300), udp);
  });

  it("moves larger ones to TCP at the same address and port", () => {
    assert.deepEqual(preferReliable(udp, 1301), { ...udp, protocol: "tcp" });
  });

  it("leaves them on UDP where the peer asked for UDP by name", () => {
    const insisting = { ...udp, mayUseTcp: false };
    assert.equal(preferReliable(insisting, 9000), insisting);
  });

  it("leaves other transports alone", () => {
    const tls: FlowTarget = { protocol: "tls", address: "192.0.2.1", port: 5061 };
    assert.equal(preferReliable(tls, 9000), tls);
  });
});
