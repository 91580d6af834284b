import assert from "node:assert/strict";
import { hideKeys, setKeysShown } from "../../../nodes/shared/media-keys.js";

const LINE = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2Vj\r\n";
const HIDDEN = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***\r\n";

describe("keys of SRTP in messages", () => {
  afterEach(() => setKeysShown("stack", false));

  it("are hidden in descriptions and bodies, and the fields given are left as they are", () => {
    const sip = {
      event: "incoming",
      stack: "stack",
      remoteSdp: LINE,
      localSdp: LINE,
      body: LINE,
      reason: "inline: skating",
    };
    const shown = hideKeys(sip);
    assert.equal(shown["remoteSdp"], HIDDEN);
    assert.equal(shown["localSdp"], HIDDEN);
    assert.equal(shown["body"], HIDDEN);
    assert.equal(shown.reason, "inline: skating");
    assert.equal(sip.remoteSdp, LINE);
  });

  it("are hidden in a body of several parts, which is a Buffer, and its other bytes stay", () => {
    const body = Buffer.concat([Buffer.from(LINE), Buffer.from([0xff, 0x00, 0xc3])]);
    const shown = hideKeys({ event: "incoming", stack: "stack", body });
    assert.deepEqual(
      shown["body"],
      Buffer.concat([Buffer.from(HIDDEN), Buffer.from([0xff, 0x00, 0xc3])]),
    );
    const other = { event: "message", stack: "stack", body: Buffer.from([1, 2]) };
    assert.equal(hideKeys(other), other);
  });

  it("are shown to a flow that makes the descriptions itself", () => {
    setKeysShown("stack", true);
    const sip = { event: "incoming", stack: "stack", remoteSdp: LINE };
    assert.equal(hideKeys(sip), sip);
    setKeysShown("stack", false);
    assert.equal(hideKeys(sip)["remoteSdp"], HIDDEN);
  });
});
