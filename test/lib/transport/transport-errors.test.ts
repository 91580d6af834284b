import assert from "node:assert/strict";
import { bindError, closeReason, sendError } from "../../../lib/transport/transport-errors.js";

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: as the system says it`), { code });
}

describe("errors of the operating system, in words", () => {
  const entry = { protocol: "udp", address: "192.0.2.1", port: 80 } as const;
  const binding: [string, RegExp][] = [
    ["EADDRINUSE", /UDP port 80 on 192\.0\.2\.1 is already in use.*choose another port/],
    ["EACCES", /special rights\. Choose a port above 1023, for example 5060/],
    ["EADDRNOTAVAIL", /this machine has no address 192\.0\.2\.1\. Use 0\.0\.0\.0/],
    ["EAFNOSUPPORT", /does not support that kind of address/],
    ["EMFILE", /cannot be opened: EMFILE: as the system says it/],
  ];
  for (const [code, words] of binding) {
    it(`name port and cure when binding fails with ${code}`, () => {
      const error = bindError(entry, failure(code));
      assert.match(error.message, words);
      assert.equal(error.target, "udp:192.0.2.1:80");
      assert.equal(error.code, "E_TRANSPORT");
    });
  }

  const target = { protocol: "tcp", address: "2001:db8::1", port: 5060 } as const;
  const sending: [string, RegExp][] = [
    ["ECONNREFUSED", /Connection to tcp:\[2001:db8::1\]:5060 was refused: nothing listens there/],
    ["EHOSTUNREACH", /cannot be reached: there is no route/],
    ["ENETUNREACH", /cannot be reached: there is no route/],
    ["ENETDOWN", /cannot be reached: there is no route/],
    ["EADDRNOTAVAIL", /cannot be reached: there is no route/],
    ["EPERM", /does not let us send to tcp:.*check its firewall/],
    ["EMSGSIZE", /too large for one UDP datagram: use TCP or TLS/],
    ["ETIMEDOUT", /does not answer: the connection attempt timed out/],
    ["ECONNRESET", /closed the connection/],
    ["EPIPE", /closed the connection/],
    ["EOTHER", /Nothing can be sent to tcp:\[2001:db8::1\]:5060: EOTHER/],
  ];
  for (const [code, words] of sending) {
    it(`name target and cure when sending fails with ${code}`, () => {
      assert.match(sendError(target, failure(code)).message, words);
    });
  }

  it("are short where they are reasons of a connection state", () => {
    assert.equal(closeReason(failure("ECONNREFUSED")), "ECONNREFUSED");
    assert.equal(closeReason(failure("ECONNRESET")), "reset by peer");
    assert.equal(
      closeReason(new Error("the certificate has expired")),
      "the certificate has expired",
    );
    assert.equal(closeReason(failure("ERR_SSL_X")), "ERR_SSL_X: as the system says it");
    assert.equal(closeReason(undefined), "undefined");
  });
});
