/** The numbers that RFC 3711 (appendix B) and RFC 7714 (sections 16, 17) print. */
import assert from "node:assert/strict";
import { AesCmTransform } from "../../../../lib/media/srtp/aes-cm-transform.js";
import { AesGcmTransform } from "../../../../lib/media/srtp/aes-gcm-transform.js";
import { derivePacketKeys } from "../../../../lib/media/srtp/key-derivation.js";
import { ENCRYPTED_FLAG } from "../../../../lib/media/srtp/transform.js";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ""), "hex");
const NO_KEY = {
  encryption: Buffer.alloc(16),
  authentication: Buffer.alloc(20),
  salt: Buffer.alloc(14),
};

describe("the numbers of RFC 3711", () => {
  it("B.3: session keys are derived from master key and salt", () => {
    const master = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
    const { rtp } = derivePacketKeys("AES_CM_128_HMAC_SHA1_80", master.toString("base64"));
    assert.deepEqual(rtp.encryption, hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert.deepEqual(rtp.salt, hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert.deepEqual(rtp.authentication, hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
  });

  it("B.2: the key stream of AES in counter mode, over the carry of its counter", () => {
    const transform = new AesCmTransform({
      rtp: {
        encryption: hex("2B7E151628AED2A6ABF7158809CF4F3C"),
        authentication: Buffer.alloc(20),
        salt: hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"),
      },
      rtcp: NO_KEY,
      rtpTagLength: 10,
      rtcpTagLength: 10,
    });
    const blocks = 0xff02;
    const packet = Buffer.alloc(blocks * 16 + 10);
    transform.sealRtp(packet, 0, blocks * 16, 0, 0);
    const block = (number: number): Buffer => packet.subarray(number * 16, number * 16 + 16);
    assert.deepEqual(block(0), hex("E03EAD0935C95E80E166B16DD92B4EB4"));
    assert.deepEqual(block(1), hex("D23513162B02D0F72A43A2FE4A5F97AB"));
    assert.deepEqual(block(2), hex("41E95B3BB0A2E8DD477901E4FCA894C0"));
    assert.deepEqual(block(0xfeff), hex("EC8CDF7398607CB0F2D21675EA9EA1E4"));
    assert.deepEqual(block(0xff00), hex("362B7C3C6773516318A077D7FC5073AE"));
    assert.deepEqual(block(0xff01), hex("6A2CC3787889374FBEB4C81B17BA6C44"));
  });
});

describe("the numbers of RFC 7714", () => {
  const key = hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  const salt = hex("517569642070726f2071756f");
  const rtp = hex(
    "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573",
  );
  const rtcp = hex(
    "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
  );
  const number = 0x5d4;

  const suites = [
    {
      section: "16.1, 17.1",
      length: 16,
      rtp: "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
      rtcp: "63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade",
    },
    {
      section: "16.2, 17.2",
      length: 32,
      rtp: "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
      rtcp: "d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be",
    },
  ];

  for (const suite of suites) {
    const keys = { encryption: key.subarray(0, suite.length), authentication: NO_KEY.salt, salt };
    const transform = new AesGcmTransform({ rtp: keys, rtcp: keys });

    it(`${suite.section}: AES-${suite.length * 8} encrypts and opens RTP and RTCP`, () => {
      const packet = Buffer.concat([rtp, Buffer.alloc(16)]);
      transform.sealRtp(packet, 12, rtp.length, 0x5501a0b2, 0xf17b);
      assert.equal(packet.subarray(12).toString("hex"), suite.rtp);
      assert.equal(transform.openRtp(packet, 12, rtp.length, rtp.length, 0x5501a0b2, 0xf17b), true);
      assert.deepEqual(packet.subarray(0, rtp.length), rtp);

      const control = Buffer.concat([rtcp, Buffer.alloc(16)]);
      const trailer = number + ENCRYPTED_FLAG;
      transform.sealRtcp(control, rtcp.length, rtcp.length, 0x4d617273, trailer);
      assert.equal(control.subarray(8).toString("hex"), suite.rtcp);
      assert.equal(
        transform.openRtcp(control, rtcp.length, rtcp.length, 0x4d617273, trailer),
        true,
      );
      assert.deepEqual(control.subarray(0, rtcp.length), rtcp);
    });
  }

  it("17.3: RTCP that is authenticated and not encrypted", () => {
    const keys = { encryption: key.subarray(0, 16), authentication: NO_KEY.salt, salt };
    const transform = new AesGcmTransform({ rtp: keys, rtcp: keys });
    const packet = Buffer.concat([rtcp, hex("841dd9683dd78ec92ae58790125f62b3")]);
    assert.equal(transform.openRtcp(packet, rtcp.length, rtcp.length, 0x4d617273, number), true);
    assert.deepEqual(packet.subarray(0, rtcp.length), rtcp);
  });
});
