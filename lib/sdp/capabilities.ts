/** What our side can do: the codecs an offer lists and an answer chooses from. */
import type { SdpCodec } from "./sdp.js";

export interface CodecCapability {
  readonly name: string;
  /** Hz. */
  readonly clockRate: number;
  readonly channels: number;
  /** Used in offers; free dynamic numbers (96–127) are taken when it is in use for something else. */
  readonly payloadType: number;
  readonly parameters?: string | undefined;
}

export interface Capabilities {
  /** By preference, best first; never empty. */
  readonly codecs: readonly CodecCapability[];
  /** Milliseconds per packet when the peer does not ask for another value. */
  readonly ptime: number;
}

/** RFC 4733 events 0–15: the digits `0`–`9`, `*`, `#`, `A`–`D`. */
export const TELEPHONE_EVENT: CodecCapability = {
  name: "telephone-event",
  clockRate: 8000,
  channels: 1,
  payloadType: 101,
  parameters: "0-15",
};

const KNOWN: readonly CodecCapability[] = [
  { name: "PCMU", clockRate: 8000, channels: 1, payloadType: 0 },
  { name: "PCMA", clockRate: 8000, channels: 1, payloadType: 8 },
];

/**
 * The capabilities that stand behind a list of codec names by preference. Names that this version cannot
 * encode are left out; if none remains, PCMU and PCMA are taken, which every telephone has.
 */
export function capabilitiesOf(codecNames: readonly string[]): Capabilities {
  const codecs: CodecCapability[] = [];
  for (const name of codecNames) {
    const known = KNOWN.find((codec) => codec.name === name.trim().toUpperCase());
    if (known && !codecs.includes(known)) codecs.push(known);
  }
  return { codecs: codecs.length > 0 ? codecs : KNOWN, ptime: 20 };
}

/** RFC 4855 §3: names without case, same clock rate, same channels. */
export function sameCodec(
  a: Pick<SdpCodec, "name" | "clockRate" | "channels">,
  b: Pick<SdpCodec, "name" | "clockRate" | "channels">,
): boolean {
  return (
    a.clockRate === b.clockRate &&
    a.channels === b.channels &&
    (a.name === b.name || a.name.toLowerCase() === b.name.toLowerCase())
  );
}

export function isTelephoneEvent(codec: Pick<SdpCodec, "name">): boolean {
  return codec.name.toLowerCase() === "telephone-event";
}
