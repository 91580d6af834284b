import assert from "node:assert/strict";
import {
  emptyRtpHeader,
  looksLikeRtcp,
  readRtpHeader,
  timestampDistance,
  writeRtpHeader,
} from "../../../../lib/media/rtp/rtp-packet.js";

function packet(...bytes: number[]): Buffer {
  return Buffer.from(bytes);
}

const BASE = [0x80, 0x88, 0x12, 0x34, 0, 0, 0, 0xa0, 0xde, 0xad, 0xbe, 0xef];

describe("readRtpHeader", () => {
  it("reads every field", () => {
    const header = emptyRtpHeader();
    assert.ok(readRtpHeader(packet(...BASE, 1, 2, 3), header));
    assert.deepEqual(header, {
      marker: true,
      payloadType: 8,
      sequenceNumber: 0x1234,
      timestamp: 160,
      ssrc: 0xdeadbeef,
      payloadStart: 12,
      payloadEnd: 15,
    });
  });

  it("steps over contributing sources, an extension and padding", () => {
    const header = emptyRtpHeader();
    const bytes = [0x80 | 0x20 | 0x10 | 2, ...BASE.slice(1)];
    const extension = [0, 0, 0, 1, 9, 9, 9, 9];
    const datagram = packet(...bytes, ...new Array<number>(8).fill(7), ...extension, 1, 2, 0, 0, 3);
    assert.ok(readRtpHeader(datagram, header));
    assert.equal(header.payloadStart, 12 + 8 + 8);
    assert.equal(header.payloadEnd, 12 + 8 + 8 + 2);
  });

  const REFUSED: [string, Buffer][] = [
    ["nothing", packet()],
    ["eleven bytes", packet(...BASE.slice(0, 11))],
    ["version 1", packet(0x40, ...BASE.slice(1))],
    ["version 0 (STUN)", packet(0x00, ...BASE.slice(1))],
    ["contributing sources that are missing", packet(0x8f, ...BASE.slice(1))],
    ["an extension header that is missing", packet(0x90, ...BASE.slice(1))],
    ["an extension longer than the packet", packet(0x90, ...BASE.slice(1), 0, 0, 0xff, 0xff)],
    ["a padding of zero", packet(0xa0, ...BASE.slice(1), 1, 0)],
    ["a padding longer than the payload", packet(0xa0, ...BASE.slice(1), 1, 9)],
  ];
  for (const [name, datagram] of REFUSED) {
    it(`refuses ${name}`, () => assert.equal(readRtpHeader(datagram, emptyRtpHeader()), false));
  }

  it("reads what writeRtpHeader writes, with all values at their limits", () => {
    for (const value of [0, 1, 0x7fff, 0xffff]) {
      const datagram = Buffer.alloc(13);
      const written = {
        marker: value % 2 === 1,
        payloadType: value & 0x7f,
        sequenceNumber: value,
        timestamp: (value * 0x10001) >>> 0,
        ssrc: (0xffff_ffff - value) >>> 0,
      };
      writeRtpHeader(datagram, written);
      const header = emptyRtpHeader();
      assert.ok(readRtpHeader(datagram, header));
      assert.deepEqual(
        { ...header, payloadStart: 0, payloadEnd: 0 },
        { ...written, payloadStart: 0, payloadEnd: 0 },
      );
    }
  });
});

describe("the circle of timestamps", () => {
  it("has a distance that survives the wrap", () => {
    assert.equal(timestampDistance(160, 0), 160);
    assert.equal(timestampDistance(0, 160), -160);
    assert.equal(timestampDistance(80, 0xffff_ffb0), 160);
    assert.equal(timestampDistance(0xffff_ffb0, 80), -160);
  });
});

describe("looksLikeRtcp", () => {
  it("tells reports from audio with and without marker", () => {
    for (const type of [200, 201, 202, 203, 204, 205]) assert.ok(looksLikeRtcp(packet(0x80, type)));
    for (const type of [0, 8, 13, 101, 127, 0x80, 0x88, 0x80 | 101]) {
      assert.equal(looksLikeRtcp(packet(0x80, type)), false);
    }
    assert.equal(looksLikeRtcp(packet()), false);
  });
});
