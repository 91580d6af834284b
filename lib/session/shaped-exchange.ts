/**
 * What one exchange of a shaped media session says, and where its m-lines stand: those of the media handler, which sees only
 * its own, and those of the handlers of streams (RFC 3264 §8: places stay, their number never shrinks).
 */
import { isDeclined, readStreams, SDP_LIMITS } from "../sdp/index.js";
import type { DescriptionModifier } from "./description-modifier.js";
import type { Slot } from "./handled-streams.js";
import type { MediaDescription, MediaDirection } from "./media-handler.js";
import type { HandledStream } from "./sdp-stream.js";

/** What one exchange says, or the last complete one. */
export interface Exchange {
  readonly slots: readonly Slot[];
  /** The place of each m-line that the media handler knows, in its order. */
  readonly places: readonly number[];
  /** One of them is taken. */
  readonly hasMedia: boolean;
  readonly wanted: MediaDirection;
  readonly localSdp: string | undefined;
  readonly remoteSdp: string | undefined;
  /** The streams of handlers as flows see them. */
  readonly handled: readonly MediaDescription[];
}

/** An exchange under way. */
export interface Draft extends Exchange {
  readonly kind: "offer" | "answer";
  readonly modifiers: readonly DescriptionModifier[];
  /** The media handler was asked for its part. */
  readonly askedMedia: boolean;
}

/** Before the first exchange. */
export const NOTHING: Exchange = {
  slots: [],
  places: [],
  hasMedia: false,
  wanted: "sendrecv",
  localSdp: undefined,
  remoteSdp: undefined,
  handled: [],
};

/** Is the stream there and a handler's? */
export function isHandled({ stream, section }: Slot): boolean {
  return stream !== undefined && !stream.isOver && !isDeclined(section);
}

/** Puts the media handler's m-lines where they belong; a new one, or one whose place is taken, goes to the end. */
export function placeMedia(
  sections: readonly (readonly string[])[],
  places: readonly number[],
  slots: Slot[],
): number[] {
  const result = [...places];
  for (const [index, section] of sections.entries()) {
    const place = result.at(index);
    const slot = place === undefined ? undefined : slots.at(place);
    if (place !== undefined && (slot === undefined || !isHandled(slot))) {
      slots[place] = { section, stream: undefined };
    } else if (place === undefined || !isDeclined(section)) {
      result[index] = slots.length;
      slots.push({ section, stream: undefined });
    }
  }
  return result;
}

/** New streams take the places of declined ones of handlers, else they follow at the end (RFC 3264 §8.1). */
export function placeAdditions(
  added: readonly Slot[],
  places: readonly number[],
  slots: Slot[],
  drop: (stream: HandledStream) => void,
): void {
  for (const slot of added) {
    const free = slots.findIndex(
      (other, index) =>
        other.stream === undefined && isDeclined(other.section) && !places.includes(index),
    );
    if (free >= 0) slots[free] = slot;
    else if (slots.length < SDP_LIMITS.media) slots.push(slot);
    else if (slot.stream !== undefined) drop(slot.stream);
  }
}

/** The streams of handlers as flows see them. */
export function handledMedia(
  slots: readonly Slot[],
  localSdp: string | undefined,
  remoteSdp: string,
): MediaDescription[] {
  if (localSdp === undefined || !slots.some(isHandled)) return [];
  const local = readStreams(localSdp);
  const remote = readStreams(remoteSdp);
  return slots.flatMap((slot, index) => {
    const { streamType, codecs, formats, direction } = local[index];
    const { address, port } = remote[index];
    if (!isHandled(slot) || port === 0) return [];
    const codec = codecs.at(0)?.name ?? formats[0];
    const clockRate = codecs.at(0)?.clockRate ?? 0;
    return [
      { kind: streamType, codec, clockRate, direction, address, port, dtmf: "none" as const },
    ];
  });
}
