/** Via values (RFC 3261 §20.42, RFC 3581). */
import assert from "node:assert/strict";
import { parseVias, Via } from "../../../lib/message/index.js";

describe("parseVias", () => {
  const good: [string, string, string, number | undefined, [string, string | null][]][] = [
    ["SIP/2.0/UDP host", "UDP", "host", undefined, []],
    ["SIP/2.0/udp HOST:5060;rport", "UDP", "host", 5060, [["rport", null]]],
    [
      "SIP/2.0/WSS a.invalid;branch=z9hG4bK1",
      "WSS",
      "a.invalid",
      undefined,
      [["branch", "z9hG4bK1"]],
    ],
    [
      "SIP / 2.0 / TCP   h : 5061 ; a = b ; c",
      "TCP",
      "h",
      5061,
      [
        ["a", "b"],
        ["c", null],
      ],
    ],
    ["SIP/2.0/TLS [::1]:5061;received=::1", "TLS", "[::1]", 5061, [["received", "::1"]]],
    [
      "SIP/2.0/DTLS-UDP h;ttl=1;maddr=224.0.1.75",
      "DTLS-UDP",
      "h",
      undefined,
      [
        ["ttl", "1"],
        ["maddr", "224.0.1.75"],
      ],
    ],
    ["SIP/2.0/UDP\th", "UDP", "h", undefined, []],
    ["SIP/2.0/TLS-SCTP h", "TLS-SCTP", "h", undefined, []],
    ["SIP/2.0/UDPX h", "UDPX", "h", undefined, []],
  ];
  for (const [text, protocol, host, port, parameters] of good) {
    it(`reads ${text}`, () => {
      const [via, ...rest] = parseVias(text) ?? [];
      assert.ok(via);
      assert.deepEqual(rest, []);
      assert.deepEqual([via.protocol, via.host, via.port], [protocol, host, port]);
      assert.deepEqual([...via.parameters], parameters);
      assert.equal(parseVias(via.toString())?.[0]?.toString(), via.toString());
    });
  }

  const bad = [
    "",
    "SIP/2.0/UDP",
    "SIP/2.0/UDP ",
    "SIP/2.0 UDP host",
    "SIP/2.0/ host",
    "/2.0/UDP host",
    "SIP/2.0/UDPhost;x",
    "SIP/2.0/UDP host:0",
    "SIP/2.0/UDP host:99999",
    "SIP/2.0/UDP host:",
    "SIP/2.0/UDP host;;x",
    "SIP/2.0/UDP host;branch=",
    "SIP/2.0/UDP host,",
    "SIP/2.0/UDP host,,SIP/2.0/UDP b",
    "SIP/2.0/UDP host other",
    "SIP/2.0/UDP [::1",
    "SIP/2.0/UDP h;branch=a b",
  ];
  for (const text of bad) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseVias(text), undefined));
  }

  it("reads lists in order", () => {
    const vias = parseVias('SIP/2.0/UDP a;x="1,2" , SIP/2.0/TCP b:1,SIP/2.0/UDP c');
    assert.deepEqual(
      vias?.map((via) => via.sentBy),
      ["a", "b:1", "c"],
    );
    assert.equal(vias?.[0]?.parameters.get("x"), "1,2");
  });

  it("keeps other versions, for the 505 that answers them", () => {
    assert.equal(parseVias("SIP/7.0/UDP a")?.[0]?.toString(), "SIP/7.0/UDP a");
  });

  it("writes what it is built from", () => {
    const parameters = new Map([
      ["branch", "z9hG4bK1"],
      ["rport", null],
    ]);
    const via = new Via("UDP", "192.0.2.1", 5060, parameters);
    assert.equal(via.toString(), "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport");
    assert.equal(via.branch, "z9hG4bK1");
  });
});
