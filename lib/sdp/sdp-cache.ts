/**
 * Remembers what depends only on texts and our own side: read descriptions and first answers. Descriptions of a
 * server or of a load test are often equal but for the origin line, which negotiation does not read; they cost
 * then no parsing at all. Bounded; results are shared, so nobody may change them.
 */
import type { Capabilities } from "./capabilities.js";
import type { AnswerResult, LocalStream, Mismatch } from "./offer-answer.js";
import { parseSdp } from "./sdp.js";
import type { SdpMedia, SdpParseResult } from "./sdp.js";

interface Place {
  readonly capabilities: Capabilities;
  readonly address: string;
  readonly port: number;
  readonly direction: string;
}

/** A description of a peer with the answer that a session gave to it first. */
export interface KnownDescription {
  readonly parsed: SdpParseResult;
  answer: { readonly place: Place; readonly result: AnswerResult | Mismatch } | undefined;
}

/** Descriptions longer than this are not kept. */
const LONGEST_KEPT = 4_096;

export class SdpCache {
  readonly #capacity: number;
  readonly #known = new Map<string, KnownDescription>();
  #lastOffer: { readonly place: Place; readonly media: readonly SdpMedia[] } | undefined;

  /** @param capacity - Number of descriptions kept at most; when it is reached, all are forgotten. */
  constructor(capacity = 64) {
    this.#capacity = capacity;
  }

  read(text: string): KnownDescription {
    // Keys are never kept, and no two descriptions with keys are equal.
    if (text.length > LONGEST_KEPT || text.includes("a=crypto:"))
      return { parsed: parseSdp(text), answer: undefined };
    const key = withoutOrigin(text);
    const known = this.#known.get(key);
    if (known) return known;
    const description: KnownDescription = { parsed: parseSdp(text), answer: undefined };
    if (this.#known.size >= this.#capacity) this.#known.clear();
    this.#known.set(key, description);
    return description;
  }

  /** The first answer of a session to this description. */
  firstAnswer(
    description: KnownDescription,
    local: LocalStream,
    make: () => AnswerResult | Mismatch,
  ): AnswerResult | Mismatch {
    const known = description.answer;
    if (known && samePlace(known.place, local)) return known.result;
    const result = make();
    description.answer = { place: placeOf(local), result };
    return result;
  }

  /** The first offer of a session. */
  firstOffer(local: LocalStream, make: () => readonly SdpMedia[]): readonly SdpMedia[] {
    const known = this.#lastOffer;
    if (known && samePlace(known.place, local)) return known.media;
    const media = make();
    this.#lastOffer = { place: placeOf(local), media };
    return media;
  }
}

function placeOf(local: LocalStream): Place {
  const { capabilities, address, port, direction } = local;
  return { capabilities, address, port, direction };
}

function samePlace(place: Place, local: LocalStream): boolean {
  return (
    place.capabilities === local.capabilities &&
    place.port === local.port &&
    place.address === local.address &&
    place.direction === local.direction
  );
}

/** The text without its `o=` line, where it stands in its only legal place, the second line (RFC 8866 §5). */
function withoutOrigin(text: string): string {
  const start = text.indexOf("\n") + 1;
  if (start === 0 || !text.startsWith("o=", start)) return text;
  const end = text.indexOf("\n", start);
  return end < 0 ? text : text.slice(0, start) + text.slice(end + 1);
}
