/**
 * Hard cases: the sequence number wraps under loss; the first packets before a wrap are lost; repeats; forged and cut
 * packets of every length; a new source; new keys with and without new numbers; keys taken back.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { SrtpProtection } from "../../../../lib/media/srtp/srtp-protection.js";
import type { SrtpSettings } from "../../../../lib/media/srtp/srtp-protection.js";
import { SRTP_SUITES } from "../../../../lib/sdp/index.js";
import type { SrtpSuite } from "../../../../lib/sdp/index.js";

const suites = Object.keys(SRTP_SUITES) as SrtpSuite[];

function keyFor(suite: SrtpSuite): string {
  const { masterKey, masterSalt } = SRTP_SUITES[suite];
  return randomBytes(masterKey + masterSalt).toString("base64");
}

/** Two ends of one call. */
function pair(suite: SrtpSuite = "AES_CM_128_HMAC_SHA1_80") {
  const a = keyFor(suite);
  const b = keyFor(suite);
  const here: SrtpSettings = { suite, localKey: a, remoteKey: b, remoteKeyIdentifier: "" };
  const there: SrtpSettings = { suite, localKey: b, remoteKey: a, remoteKeyIdentifier: "" };
  return { here, there, alice: new SrtpProtection(here), bob: new SrtpProtection(there) };
}

function rtp(sequenceNumber: number, options: { ssrc?: number; text?: string } = {}): Buffer {
  const header = Buffer.alloc(12);
  header[0] = 0x80;
  header.writeUInt16BE(sequenceNumber & 0xffff, 2);
  header.writeUInt32BE(options.ssrc ?? 0x1234_5678, 8);
  return Buffer.concat([header, Buffer.from(options.text ?? `packet ${sequenceNumber}`)]);
}

function rtcp(text = "report"): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(0x80c9_0001, 0);
  header.writeUInt32BE(0x1234_5678, 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

const SAMPLE_KEY = Buffer.from(
  "e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6",
  "hex",
).toString("base64");

describe("encryption of a call", () => {
  for (const suite of suites) {
    it(`${suite}: what one end protects the other reads, RTP and RTCP, with extension and sources`, () => {
      const { alice, bob } = pair(suite);
      const { rtpTag, rtcpTag } = SRTP_SUITES[suite];
      const plain = rtp(7);
      const sealed = alice.protectRtp(plain);
      assert.equal(sealed.length, plain.length + rtpTag);
      assert.notDeepEqual(sealed.subarray(12, plain.length), plain.subarray(12));
      assert.deepEqual(sealed.subarray(0, 12), plain.subarray(0, 12));
      assert.deepEqual(bob.unprotectRtp(Buffer.from(sealed)), plain);

      const extended = Buffer.concat([
        rtp(8).subarray(0, 12),
        Buffer.alloc(4),
        Buffer.from("bede000100aabbcc", "hex"),
        Buffer.from("sound"),
      ]);
      extended[0] = 0x91;
      const sealedExtended = alice.protectRtp(extended);
      assert.deepEqual(sealedExtended.subarray(0, 24), extended.subarray(0, 24));
      assert.deepEqual(bob.unprotectRtp(sealedExtended), extended);

      for (const text of ["", "first", "second"]) {
        const control = rtcp(text);
        const sealedControl = alice.protectRtcp(control);
        assert.equal(sealedControl.length, control.length + rtcpTag + 4);
        assert.deepEqual(bob.unprotectRtcp(sealedControl), control);
      }
      assert.deepEqual(
        bob.unprotectRtp(alice.protectRtp(rtp(9, { text: "" }))),
        rtp(9, { text: "" }),
      );
    });

    it(`${suite}: any changed bit and any cut is found, and leaves no trace`, () => {
      const { alice, bob } = pair(suite);
      const sealed = alice.protectRtp(rtp(1));
      const control = alice.protectRtcp(rtcp());
      for (let i = 0; i < sealed.length; i++) {
        const forged = Buffer.from(sealed);
        forged[i] ^= 1;
        assert.equal(bob.unprotectRtp(forged), undefined, `byte ${i}`);
      }
      for (let i = 0; i < control.length; i++) {
        const forged = Buffer.from(control);
        forged[i] ^= 0x40;
        assert.equal(bob.unprotectRtcp(forged), undefined, `byte ${i}`);
      }
      for (let length = 0; length < sealed.length; length++) {
        assert.equal(bob.unprotectRtp(Buffer.from(sealed.subarray(0, length))), undefined);
      }
      for (let length = 0; length < control.length; length++) {
        assert.equal(bob.unprotectRtcp(Buffer.from(control.subarray(0, length))), undefined);
      }
      assert.equal(bob.unprotectRtp(Buffer.alloc(2000, 0xff)), undefined);
      assert.equal(bob.unprotectRtp(rtp(1)), undefined);
      assert.deepEqual(bob.unprotectRtp(sealed), rtp(1));
      assert.deepEqual(bob.unprotectRtcp(control), rtcp());
    });
  }

  it("writes the bytes that other implementations write for the same key", () => {
    const settings: SrtpSettings = {
      suite: "AES_CM_128_HMAC_SHA1_80",
      localKey: SAMPLE_KEY,
      remoteKey: SAMPLE_KEY,
      remoteKeyIdentifier: "",
    };
    const plain = Buffer.concat([
      Buffer.from("800f1234decafbadcafebabe", "hex"),
      Buffer.alloc(16, 0xab),
    ]);
    const sealed = "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb";
    const protection = new SrtpProtection(settings);
    assert.equal(protection.protectRtp(plain).toString("hex"), sealed);
    assert.deepEqual(protection.unprotectRtp(Buffer.from(sealed, "hex")), plain);
    const control = "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798";
    assert.deepEqual(
      protection.unprotectRtcp(Buffer.from(control, "hex")),
      Buffer.concat([Buffer.from("81c8000bcafebabe", "hex"), Buffer.alloc(16, 0xab)]),
    );
  });
});

describe("packet numbers", () => {
  it("follow the sequence number over many wraps, with loss and disorder around each", () => {
    const { alice, bob } = pair();
    let taken = 0;
    let lost = 0;
    for (let wrap = 65_536; wrap <= 4 * 65_536; wrap += 65_536) {
      // What lies between is sent in strides; only the sender sees every number.
      for (let number = wrap - 60_000; number < wrap - 350; number += 15_000) {
        assert.ok(bob.unprotectRtp(alice.protectRtp(rtp(number))));
      }
      for (let number = wrap - 350; number < wrap + 350; number += 7) {
        const packets = Array.from({ length: 7 }, (_, i) => alice.protectRtp(rtp(number + i)));
        // One of seven is lost, the rest comes backwards.
        for (const [i, packet] of packets.reverse().entries()) {
          if (i === 3) lost += 1;
          else if (bob.unprotectRtp(packet)) taken += 1;
        }
      }
    }
    assert.equal(taken, lost * 6);
  });

  it("are right where thousands of packets around the wrap are lost", () => {
    const { alice, bob } = pair();
    for (let number = 50_000; number < 80_000; number += 50) {
      const sealed = alice.protectRtp(rtp(number));
      if (number < 55_000 || number > 75_000) {
        assert.deepEqual(bob.unprotectRtp(sealed), rtp(number));
      }
    }
  });

  it("are right where the peer began just before the wrap and its first packets were lost", () => {
    const { alice, bob } = pair();
    for (let number = 65_530; number < 65_540; number++) {
      const sealed = alice.protectRtp(rtp(number));
      if (number > 65_537) assert.deepEqual(bob.unprotectRtp(sealed), rtp(number));
    }
  });

  it("count once: repeats and packets older than the window are dropped, late ones within are taken", () => {
    const { alice, bob } = pair();
    const sealed = Array.from({ length: 300 }, (_, i) => alice.protectRtp(rtp(i)));
    const copy = (i: number): Buffer => Buffer.from(sealed[i]);
    assert.ok(bob.unprotectRtp(copy(200)));
    assert.equal(bob.unprotectRtp(copy(200)), undefined);
    assert.ok(bob.unprotectRtp(copy(73)));
    assert.equal(bob.unprotectRtp(copy(73)), undefined);
    assert.equal(bob.unprotectRtp(copy(72)), undefined);
    assert.ok(bob.unprotectRtp(copy(299)));
    assert.equal(bob.unprotectRtp(copy(200)), undefined);
    assert.ok(bob.unprotectRtp(copy(201)));
    const control = alice.protectRtcp(rtcp());
    assert.ok(bob.unprotectRtcp(Buffer.from(control)));
    assert.equal(bob.unprotectRtcp(control), undefined);
  });

  it("belong to one source each; a new source begins anew and the old one is not forgotten", () => {
    const { alice, bob } = pair();
    assert.ok(bob.unprotectRtp(alice.protectRtp(rtp(60_000, { ssrc: 1 }))));
    const old = alice.protectRtp(rtp(60_001, { ssrc: 1 }));
    assert.ok(bob.unprotectRtp(alice.protectRtp(rtp(5, { ssrc: 2 }))));
    assert.ok(bob.unprotectRtp(Buffer.from(old)));
    assert.equal(bob.unprotectRtp(old), undefined);
    for (let ssrc = 10; ssrc < 200; ssrc++) {
      assert.ok(bob.unprotectRtp(alice.protectRtp(rtp(5, { ssrc }))));
    }
  });
});

describe("keys that change in a call", () => {
  it("are not begun anew by a description that repeats them", () => {
    const { alice, bob, here, there } = pair();
    const first = alice.protectRtp(rtp(100));
    assert.ok(bob.unprotectRtp(Buffer.from(first)));
    alice.configure({ ...here });
    bob.configure({ ...there });
    assert.equal(bob.unprotectRtp(first), undefined);
    assert.ok(bob.unprotectRtp(alice.protectRtp(rtp(101))));
  });

  it("let packet numbers go on, as RFC 3711 wants, or begin anew, as some peers do", () => {
    for (const beginsAnew of [false, true]) {
      const { alice, bob, here, there } = pair();
      for (let number = 65_000; number < 66_000; number++) {
        assert.ok(bob.unprotectRtp(alice.protectRtp(rtp(number))));
      }
      const localKey = keyFor(here.suite);
      const sender = beginsAnew ? new SrtpProtection({ ...here, localKey }) : alice;
      sender.configure({ ...here, localKey });
      bob.configure({ ...there, remoteKey: localKey });
      assert.ok(bob.unprotectRtp(sender.protectRtp(rtp(66_000))), `anew: ${beginsAnew}`);
      assert.ok(bob.unprotectRtp(sender.protectRtp(rtp(66_001))));
    }
  });

  it("may change their suite", () => {
    const { alice, bob } = pair();
    assert.ok(bob.unprotectRtp(alice.protectRtp(rtp(1))));
    const suite = "AEAD_AES_256_GCM";
    const a = keyFor(suite);
    const b = keyFor(suite);
    alice.configure({ suite, localKey: a, remoteKey: b, remoteKeyIdentifier: "" });
    bob.configure({ suite, localKey: b, remoteKey: a, remoteKeyIdentifier: "" });
    assert.ok(bob.unprotectRtp(alice.protectRtp(rtp(2))));
    assert.ok(alice.unprotectRtcp(bob.protectRtcp(rtcp())));
  });

  it("are known again when an exchange is taken back: repeats stay repeats", () => {
    const { alice, bob, there } = pair();
    const sealed = alice.protectRtp(rtp(9));
    assert.ok(bob.unprotectRtp(Buffer.from(sealed)));
    bob.configure({ ...there, remoteKey: keyFor(there.suite) });
    assert.equal(bob.unprotectRtp(Buffer.from(sealed)), undefined);
    bob.configure(there);
    assert.equal(bob.unprotectRtp(sealed), undefined);
    assert.ok(bob.unprotectRtp(alice.protectRtp(rtp(10))));
  });
});

describe("key identifiers", () => {
  for (const suite of suites) {
    it(`${suite}: are read where the peer announced one, and must be the announced one`, () => {
      const { alice, there } = pair(suite);
      const { rtpTag } = SRTP_SUITES[suite];
      const bob = new SrtpProtection({ ...there, remoteKeyIdentifier: "00000001" });
      const isAead = suite.startsWith("AEAD");
      const insert = (packet: Buffer, identifier: string, fromEnd: number): Buffer =>
        Buffer.concat([
          packet.subarray(0, packet.length - fromEnd),
          Buffer.from(identifier, "hex"),
          packet.subarray(packet.length - fromEnd),
        ]);
      const sealed = alice.protectRtp(rtp(1));
      assert.equal(bob.unprotectRtp(Buffer.from(sealed)), undefined);
      assert.equal(bob.unprotectRtp(insert(sealed, "00000002", isAead ? 0 : rtpTag)), undefined);
      assert.deepEqual(bob.unprotectRtp(insert(sealed, "00000001", isAead ? 0 : rtpTag)), rtp(1));
      const control = alice.protectRtcp(rtcp());
      assert.deepEqual(bob.unprotectRtcp(insert(control, "00000001", isAead ? 0 : 10)), rtcp());
    });
  }
});
