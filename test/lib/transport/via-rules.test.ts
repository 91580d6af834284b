import assert from "node:assert/strict";
import { parseMessage } from "../../../lib/message/index.js";
import type { SipRequest } from "../../../lib/message/index.js";
import { applyViaRules, responseAddress } from "../../../lib/transport/via-rules.js";
import type { TransportProtocol } from "../../../lib/transport/transport.js";
import { requestText } from "../../support/sip-messages.js";

function received(via: string, address: string, port: number, protocol = "udp"): SipRequest {
  const result = parseMessage(Buffer.from(requestText({ via })));
  assert.ok(result.ok && result.message.kind === "request");
  applyViaRules(result.message, { protocol, address, port });
  return result.message;
}

describe("received and rport on incoming requests (RFC 3261 §18.2.1, RFC 3581 §4)", () => {
  const cases: [string, string, string, number, Record<string, string | null | undefined>][] = [
    ["leaves a Via alone whose host is the source", "127.0.0.1:5070", "127.0.0.1", 5070, {}],
    [
      "adds received when the host is another address",
      "10.0.0.1:5070",
      "127.0.0.1",
      5070,
      { received: "127.0.0.1" },
    ],
    [
      "adds received when the host is a name",
      "pc.example.com",
      "127.0.0.1",
      5070,
      { received: "127.0.0.1" },
    ],
    [
      "fills rport and adds received even when the host is right",
      "127.0.0.1:5070;rport",
      "127.0.0.1",
      49152,
      { received: "127.0.0.1", rport: "49152" },
    ],
    [
      "replaces a received that the peer wrote itself",
      "10.0.0.1;received=198.51.100.7",
      "127.0.0.1",
      5060,
      { received: "127.0.0.1" },
    ],
    [
      "removes a received that the peer wrote itself when none is due",
      "127.0.0.1;received=198.51.100.7",
      "127.0.0.1",
      5060,
      { received: undefined },
    ],
    [
      "replaces an rport value that the peer wrote itself",
      "127.0.0.1;rport=9",
      "127.0.0.1",
      40000,
      { received: "127.0.0.1", rport: "40000" },
    ],
    ["sees one IPv6 address in two spellings", "[2001:DB8:0::1]:5060", "2001:db8::1", 5060, {}],
    [
      "writes received without brackets for IPv6 (RFC 5118 §4.5)",
      "[2001:db8::9:1]",
      "2001:db8::9:255",
      5060,
      { received: "2001:db8::9:255" },
    ],
    [
      "writes an IPv4 address that came through an IPv6 socket as IPv4",
      "10.0.0.1",
      "::ffff:127.0.0.1",
      5060,
      { received: "127.0.0.1" },
    ],
    [
      "drops the zone of a link-local address",
      "[fe80::1];rport",
      "fe80::1%eth0",
      5060,
      { received: "fe80::1", rport: "5060" },
    ],
  ];
  for (const [name, sentBy, address, port, expected] of cases) {
    it(name, () => {
      const via = `SIP/2.0/UDP ${sentBy};branch=z9hG4bKx`;
      const request = received(via, address, port);
      const parameters = request.topVia.parameters;
      assert.equal(parameters.get("received"), expected["received"]);
      if ("rport" in expected) assert.equal(parameters.get("rport"), expected["rport"]);
      assert.equal(parameters.get("branch"), "z9hG4bKx");
      assert.deepEqual(request.source, { protocol: "udp", address, port });
    });
  }

  it("keeps the Vias that share the top line", () => {
    const via =
      'SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1, SIP/2.0/TCP 10.0.0.2;branch=z9hG4bK2;x="a,b"';
    const vias = received(via, "127.0.0.1", 5099).vias;
    assert.equal(vias.length, 2);
    assert.equal(vias[0]?.parameters.get("rport"), "5099");
    assert.equal(vias[1]?.host, "10.0.0.2");
    assert.equal(vias[1]?.parameters.get("x"), "a,b");
  });
});

describe("where responses go (RFC 3261 §18.2.2)", () => {
  const cases: [string, TransportProtocol, string, [string, number, boolean]][] = [
    ["to received and rport", "udp", "10.0.0.1:5070;rport", ["127.0.0.1", 33333, true]],
    [
      "to received and the sent-by port without rport",
      "udp",
      "10.0.0.1:5070",
      ["127.0.0.1", 5070, true],
    ],
    ["to port 5060 when sent-by has none", "udp", "127.0.0.1", ["127.0.0.1", 5060, true]],
    [
      "to a maddr that is one host",
      "udp",
      "10.0.0.1:5070;maddr=192.0.2.9",
      ["192.0.2.9", 5070, false],
    ],
    [
      "not to a multicast maddr",
      "udp",
      "10.0.0.1:5070;maddr=224.0.1.75",
      ["127.0.0.1", 5070, true],
    ],
    [
      "not to an IPv6 multicast maddr",
      "udp",
      "10.0.0.1:5070;maddr=[ff02::1]",
      ["127.0.0.1", 5070, true],
    ],
    [
      "not to a broadcast maddr",
      "udp",
      "10.0.0.1;maddr=255.255.255.255",
      ["127.0.0.1", 5060, true],
    ],
    [
      "not to a maddr that is a name",
      "udp",
      "10.0.0.1;maddr=victim.example",
      ["127.0.0.1", 5060, true],
    ],
    [
      "over TCP to received and the sent-by port",
      "tcp",
      "10.0.0.1:5070;rport",
      ["127.0.0.1", 5070, false],
    ],
    ["over TLS to port 5061 by default", "tls", "10.0.0.1", ["127.0.0.1", 5061, false]],
  ];
  for (const [name, protocol, sentBy, [address, port, symmetric]] of cases) {
    it(name, () => {
      const request = received(`SIP/2.0/UDP ${sentBy};branch=z9hG4bKx`, "127.0.0.1", 33333);
      const expected = { address, port, symmetric };
      assert.deepEqual(responseAddress(request.topVia, protocol), expected);
    });
  }
});
