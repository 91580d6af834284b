import assert from "node:assert/strict";
import { mayConnect } from "../../../lib/transport/origin-rule.js";

describe("which web pages may connect (RFC 6455 §10.2)", () => {
  for (const [origin, host, secure, allowed, expected] of [
    [undefined, "192.168.1.5:5066", false, [], true],
    ["http://192.168.1.5:1880", "192.168.1.5:5066", false, [], true],
    ["http://192.168.1.6:1880", "192.168.1.5:5066", false, [], false],
    ["http://[fd00::5]:1880", "[fd00::5]:5066", false, [], true],
    ["http://[fd00::6]:1880", "[fd00::5]:5066", false, [], false],
    ["http://nodered.local:1880", "nodered.local:5066", false, [], true],
    ["http://NodeRed.local.", "nodered.LOCAL:5066", false, [], true],
    ["http://pi:1880", "pi:5066", false, [], true],
    ["http://node-red.fritz.box:1880", "node-red.fritz.box:5066", false, [], true],
    ["http://pages.box", "pages.box:5066", false, [], false],
    ["http://notfritz.box", "notfritz.box:5066", false, [], false],
    ["https://pages.example", "192.168.1.5:5066", false, [], false],
    ["https://pages.example", "pages.example:5066", false, [], false],
    ["https://pages.example", "pages.example:5066", true, [], true],
    ["https://pages.example", undefined, true, [], false],
    ["http://localhost:3000", "192.168.1.5:5066", false, [], true],
    ["http://127.0.0.1:1880", "192.168.1.5:5066", false, [], true],
    ["http://[::1]:1880", "192.168.1.5:5066", false, [], true],
    ["http://127.0.0.1.pages.example", "192.168.1.5:5066", false, [], false],
    ["http://localhost.pages.example", "192.168.1.5:5066", false, [], false],
    ["null", "192.168.1.5:5066", false, [], false],
    ["null", "192.168.1.5:5066", false, ["null"], true],
    ["file://", "192.168.1.5:5066", false, [], false],
    ["", "192.168.1.5:5066", false, [], false],
    ["\u0000", "192.168.1.5:5066", false, [], false],
    ["https://pages.example", "192.168.1.5:5066", false, ["*"], true],
    ["https://pages.example", "192.168.1.5:5066", false, ["pages.example"], true],
    ["https://pages.example:8443", "192.168.1.5:5066", false, ["Pages.example"], true],
    ["https://a.pages.example", "192.168.1.5:5066", false, ["*.pages.example"], true],
    ["https://apages.example", "192.168.1.5:5066", false, ["*.pages.example"], false],
    ["https://pages.example", "192.168.1.5:5066", false, ["*.pages.example"], false],
    ["https://pages.example:8443", "x", false, ["https://pages.example:8443"], true],
    ["https://pages.example:8444", "x", false, ["https://pages.example:8443"], false],
    ["https://pages.example", "x", false, [""], false],
  ] as const) {
    it(`${expected ? "takes" : "refuses"} ${JSON.stringify(origin)} at ${String(host)}${secure ? " over TLS" : ""}, listed: ${JSON.stringify(allowed)}`, () => {
      assert.equal(mayConnect({ origin, host, secure }, allowed), expected);
    });
  }
});
