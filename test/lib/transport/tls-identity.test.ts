import assert from "node:assert/strict";
import { checkCertificateIdentity, explainTlsError } from "../../../lib/transport/tls-identity.js";

describe("the SIP identity of a certificate (RFC 5922 §7)", () => {
  const cases: [string, string, string | undefined, string | undefined, boolean][] = [
    ["a DNS name", "example.com", "DNS:example.com", undefined, true],
    ["a DNS name in other case", "Example.COM", "DNS:EXAMPLE.com", undefined, true],
    ["one of several names", "b.example", "DNS:a.example, DNS:b.example", undefined, true],
    ["another DNS name", "example.com", "DNS:example.org", undefined, false],
    ["a subdomain", "sip.example.com", "DNS:example.com", undefined, false],
    [
      "a wildcard, which RFC 5922 §7.2 forbids",
      "sip.example.com",
      "DNS:*.example.com",
      undefined,
      false,
    ],
    ["a SIP URI", "example.com", "URI:sip:example.com", undefined, true],
    [
      "a SIP URI with a user, which is a person",
      "example.com",
      "URI:sip:bob@example.com",
      undefined,
      false,
    ],
    ["a sips URI, which does not count", "example.com", "URI:sips:example.com", undefined, false],
    ["a web URI", "example.com", "URI:https://example.com", undefined, false],
    [
      "a DNS name beside a SIP URI of another domain",
      "host.example.com",
      "URI:sip:example.com, DNS:host.example.com",
      undefined,
      false,
    ],
    [
      "a DNS name beside the URI of a person",
      "example.com",
      "URI:sip:bob@x.example, DNS:example.com",
      undefined,
      true,
    ],
    ["the common name without alternative names", "example.com", undefined, "example.com", true],
    [
      "the common name beside alternative names",
      "example.com",
      "DNS:other.example",
      "example.com",
      false,
    ],
    ["an IP address", "192.0.2.1", "IP Address:192.0.2.1", undefined, true],
    [
      "an IPv6 address in another spelling",
      "2001:db8::1",
      "IP Address:2001:DB8:0:0:0:0:0:1",
      undefined,
      true,
    ],
    ["another IP address", "192.0.2.1", "IP Address:192.0.2.2", undefined, false],
    ["an IP address in a DNS name", "192.0.2.1", "DNS:192.0.2.1", undefined, false],
    [
      "a quoted name that imitates a list (CVE-2021-44532)",
      "evil.example",
      'DNS:good.example, URI:"sip:x, DNS:evil.example"',
      undefined,
      false,
    ],
    ["a quoted name that is no JSON", "example.com", 'DNS:"\\x", DNS:b.example', undefined, false],
    ["no name at all", "example.com", undefined, undefined, false],
    ["an empty list", "example.com", "", "example.com", false],
  ];
  for (const [name, expected, subjectaltname, commonName, matches] of cases) {
    it(`${matches ? "accepts" : "refuses"} ${name}`, () => {
      const subject = commonName === undefined ? undefined : { CN: commonName };
      const fault = checkCertificateIdentity(expected, { subjectaltname, subject });
      assert.equal(fault === undefined, matches, fault);
      if (!matches) assert.match(fault ?? "", /^the certificate is for .*, not for /);
    });
  }

  it("explains errors of the handshake and leaves those of the network alone", () => {
    const explain = (code: string): string => {
      const error = Object.assign(new Error("as it is"), { code });
      const told = explainTlsError(error);
      return told instanceof Error ? told.message : "";
    };
    assert.match(explain("DEPTH_ZERO_SELF_SIGNED_CERT"), /self-signed: put that certificate as CA/);
    assert.match(explain("CERT_HAS_EXPIRED"), /has expired/);
    assert.match(explain("ERR_SSL_NO_SHARED_CIPHER"), /TLS handshake failed/);
    assert.equal(explain("ECONNREFUSED"), "as it is");
  });
});
