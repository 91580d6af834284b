/** What a peer wants to receive of Opus, from its `a=fmtp` line (RFC 7587 §6.1, §7). */
import type { Bandwidth, EncoderOptions } from "libopus-wasm" with { "resolution-mode": "import" };

/** Names of the library's numbers that are chosen from. */
export interface OpusNames {
  readonly Application: { readonly Audio: 2049 };
  readonly Bandwidth: {
    readonly Narrowband: 1101;
    readonly Mediumband: 1102;
    readonly Wideband: 1103;
    readonly Superwideband: 1104;
    readonly Fullband: 1105;
  };
}

/** Bits per second for speech of that bandwidth with something to spare for music (RFC 7587 §3.1.1). */
const BITS_NARROW = 14_000;
const BITS_WIDE = 24_000;
const BITS_SUPER_WIDE = 32_000;
const BITS_FULL = 40_000;
const FEWEST_BITS = 6_000;
/** Of 0 to 10: from here on hardly anybody hears a difference in speech, and the work doubles. */
const COMPLEXITY = 5;
/** The share of packets that the encoder reckons to be lost when the peer wants FEC; more costs sound quality. */
const EXPECTED_LOSS_PERCENT = 5;

/** @param parameters - Text of the line after the payload type; unknown and senseless ones count as not there. */
export function encoderOptions(parameters: string | undefined, names: OpusNames): EncoderOptions {
  const values = readParameters(parameters ?? "");
  const [maxBandwidth, normal] = bandwidthOf(values.get("maxplaybackrate"), names);
  const most = values.get("maxaveragebitrate") ?? Infinity;
  const fec = values.get("useinbandfec") === 1;
  return {
    sampleRate: 48_000,
    channels: 1,
    application: names.Application.Audio,
    complexity: COMPLEXITY,
    bitrate: Math.max(FEWEST_BITS, Math.min(normal, most)),
    maxBandwidth,
    fec,
    packetLossPercent: fec ? EXPECTED_LOSS_PERCENT : 0,
    dtx: values.get("usedtx") === 1,
    vbr: values.get("cbr") !== 1,
  };
}

function bandwidthOf(rate: number | undefined, names: OpusNames): [Bandwidth, number] {
  const { Bandwidth: bands } = names;
  if (rate === undefined || rate > 24_000) return [bands.Fullband, BITS_FULL];
  if (rate > 16_000) return [bands.Superwideband, BITS_SUPER_WIDE];
  if (rate > 12_000) return [bands.Wideband, BITS_WIDE];
  if (rate > 8_000) return [bands.Mediumband, BITS_WIDE];
  return [bands.Narrowband, BITS_NARROW];
}

/** `name=number` pairs between semicolons; the first of a name counts. */
function readParameters(text: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const part of text.slice(0, 1_000).split(";")) {
    const match = /^\s*([\w-]{1,40})\s*=\s*(\d{1,9})\s*$/.exec(part);
    if (match === null) continue;
    const name = match[1].toLowerCase();
    if (!values.has(name)) values.set(name, Number(match[2]));
  }
  return values;
}
