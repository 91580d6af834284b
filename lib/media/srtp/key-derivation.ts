/** From the master key of the description to the keys of packets (RFC 3711 §4.3 with a derivation rate of zero). */
import { createCipheriv } from "node:crypto";
import type { SrtpSuite } from "../../sdp/index.js";
import { SRTP_SUITES } from "../../sdp/index.js";

/** The keys of either RTP or RTCP. */
export interface PacketKeys {
  readonly encryption: Buffer;
  /** Empty for the suites that authenticate as they encrypt. */
  readonly authentication: Buffer;
  /** 14 bytes, or 12 for GCM. */
  readonly salt: Buffer;
}

/** RFC 3711 §4.3.1: what is derived, the number that makes the difference. */
const LABELS = {
  rtp: { encryption: 0, authentication: 1, salt: 2 },
  rtcp: { encryption: 3, authentication: 4, salt: 5 },
} as const;
/** RFC 3711 §5.2: of HMAC-SHA1. */
const AUTHENTICATION_KEY_LENGTH = 20;
const BLOCK = 16;
/** RFC 3711 §4.3.1: the salt of the derivation; shorter ones are filled up at the end (RFC 7714 §11). */
const DERIVATION_SALT_LENGTH = 14;

/** @param key - Base64 of master key and master salt, of the lengths that the suite wants. */
export function derivePacketKeys(
  suite: SrtpSuite,
  key: string,
): { readonly rtp: PacketKeys; readonly rtcp: PacketKeys } {
  const lengths = SRTP_SUITES[suite];
  const bytes = Buffer.from(key, "base64");
  const masterKey = bytes.subarray(0, lengths.masterKey);
  const masterSalt = Buffer.alloc(DERIVATION_SALT_LENGTH);
  bytes.copy(masterSalt, 0, lengths.masterKey, lengths.masterKey + lengths.masterSalt);
  const isAead = suite.startsWith("AEAD_");
  const keysFor = (labels: (typeof LABELS)["rtp" | "rtcp"]): PacketKeys => ({
    encryption: derive(masterKey, masterSalt, labels.encryption, lengths.masterKey),
    authentication: isAead
      ? Buffer.alloc(0)
      : derive(masterKey, masterSalt, labels.authentication, AUTHENTICATION_KEY_LENGTH),
    salt: derive(masterKey, masterSalt, labels.salt, lengths.masterSalt),
  });
  return { rtp: keysFor(LABELS.rtp), rtcp: keysFor(LABELS.rtcp) };
}

/** AES in counter mode over zeros, begun at the salt with the label in it (RFC 3711 §4.3.3, RFC 6188 §3). */
function derive(masterKey: Buffer, masterSalt: Buffer, label: number, length: number): Buffer {
  const start = Buffer.alloc(BLOCK);
  masterSalt.copy(start);
  // Eight bits of label before 48 bits of index, at the end of the 14 bytes.
  start[DERIVATION_SALT_LENGTH - 7] ^= label;
  const cipher = createCipheriv(`aes-${masterKey.length * 8}-ctr`, masterKey, start);
  return cipher.update(Buffer.alloc(length));
}
