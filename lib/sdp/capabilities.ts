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
  /** Milliseconds that its packets can have, ascending. Absent = every multiple of 10 up to 60. */
  readonly packetTimes?: readonly number[] | undefined;
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

/** Our own numbers of events beside codecs of that clock rate; any other number where it is in use. */
const EVENT_PAYLOAD_TYPES: Readonly<Record<number, number>> = { 8000: 101, 48000: 110 };

/** Telephone events at each clock rate of these codecs (RFC 4733 §2.5.1.1), in their order. */
export function telephoneEventsFor(codecs: readonly CodecCapability[]): CodecCapability[] {
  const rates = new Set(codecs.map(({ clockRate }) => clockRate));
  return [...rates].map((clockRate) => ({
    ...TELEPHONE_EVENT,
    clockRate,
    payloadType: EVENT_PAYLOAD_TYPES[clockRate] ?? TELEPHONE_EVENT.payloadType,
  }));
}

/** Every telephone has these. */
const G711: readonly CodecCapability[] = [
  { name: "PCMU", clockRate: 8000, channels: 1, payloadType: 0 },
  { name: "PCMA", clockRate: 8000, channels: 1, payloadType: 8 },
];

/** Best first, as the nodes have it by default. */
const KNOWN: readonly CodecCapability[] = [
  {
    name: "opus",
    clockRate: 48_000,
    // Written so whatever is sent (RFC 7587 §7).
    channels: 2,
    payloadType: 111,
    parameters: "minptime=10;useinbandfec=1",
    packetTimes: [10, 20, 40, 60],
  },
  // Sixteen thousand samples a second on a clock of eight (RFC 3551 §4.5.2).
  { name: "G722", clockRate: 8000, channels: 1, payloadType: 9 },
  ...G711,
];

function known(codecName: string): CodecCapability | undefined {
  const wanted = codecName.trim().toLowerCase();
  return KNOWN.find((codec) => codec.name.toLowerCase() === wanted);
}

/**
 * The capabilities that stand behind a list of codec names by preference; none = opus, G722, PCMU, PCMA. Names that
 * this version cannot encode are left out; if none remains, PCMU and PCMA are taken, which every telephone has.
 */
export function capabilitiesOf(codecNames: readonly string[]): Capabilities {
  if (codecNames.length === 0) return { codecs: KNOWN, ptime: 20 };
  const codecs = new Set(codecNames.map(known).filter((codec) => codec !== undefined));
  return { codecs: codecs.size > 0 ? [...codecs] : G711, ptime: 20 };
}

/** Those of the names that `capabilitiesOf` leaves out; telephone-event is always offered and no error. */
export function unknownCodecs(codecNames: readonly string[]): string[] {
  return codecNames.filter(
    (name) => known(name) === undefined && !isTelephoneEvent({ name: name.trim() }),
  );
}

/** The same without the codecs of these names. */
export function withoutCodecs(capabilities: Capabilities, names: readonly string[]): Capabilities {
  const left = capabilities.codecs.filter(
    (codec) => !names.some((name) => name.toLowerCase() === codec.name.toLowerCase()),
  );
  return { ...capabilities, codecs: left.length > 0 ? left : G711 };
}

/**
 * RFC 4855 §3: names without case, same clock rate, same channels. Opus has two channels in every description (RFC 7587
 * §7); descriptions that forget them are understood.
 */
export function sameCodec(
  a: Pick<SdpCodec, "name" | "clockRate" | "channels">,
  b: Pick<SdpCodec, "name" | "clockRate" | "channels">,
): boolean {
  if (a.clockRate !== b.clockRate) return false;
  const name = a.name.toLowerCase();
  if (a.name !== b.name && name !== b.name.toLowerCase()) return false;
  return a.channels === b.channels || name === "opus";
}

export function isTelephoneEvent(codec: Pick<SdpCodec, "name">): boolean {
  return codec.name.toLowerCase() === "telephone-event";
}
