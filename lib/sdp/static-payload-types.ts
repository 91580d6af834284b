/** Payload types with a fixed meaning, valid without an rtpmap line (RFC 3551 §6, tables 4 and 5). */

interface StaticPayloadType {
  readonly name: string;
  /** Hz. */
  readonly clockRate: number;
  readonly channels: number;
}

const AUDIO: readonly (readonly [number, string, number, number])[] = [
  [0, "PCMU", 8000, 1],
  [3, "GSM", 8000, 1],
  [4, "G723", 8000, 1],
  [5, "DVI4", 8000, 1],
  [6, "DVI4", 16000, 1],
  [7, "LPC", 8000, 1],
  [8, "PCMA", 8000, 1],
  [9, "G722", 8000, 1],
  [10, "L16", 44100, 2],
  [11, "L16", 44100, 1],
  [12, "QCELP", 8000, 1],
  [13, "CN", 8000, 1],
  [14, "MPA", 90000, 1],
  [15, "G728", 8000, 1],
  [16, "DVI4", 11025, 1],
  [17, "DVI4", 22050, 1],
  [18, "G729", 8000, 1],
  [25, "CelB", 90000, 1],
  [26, "JPEG", 90000, 1],
  [28, "nv", 90000, 1],
  [31, "H261", 90000, 1],
  [32, "MPV", 90000, 1],
  [33, "MP2T", 90000, 1],
  [34, "H263", 90000, 1],
];

const TABLE: ReadonlyMap<number, StaticPayloadType> = new Map(
  AUDIO.map(([payloadType, name, clockRate, channels]) => [
    payloadType,
    { name, clockRate, channels },
  ]),
);

/** @returns undefined for a payload type that needs an rtpmap line. */
export function staticPayloadType(payloadType: number): StaticPayloadType | undefined {
  return TABLE.get(payloadType);
}
