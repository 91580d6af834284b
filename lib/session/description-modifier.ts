/**
 * Modifiers of descriptions: functions of the application that change ours before they are sent and the peer's before they
 * are read. Each gets what the one before has left.
 */
import { InvalidArgumentError, MediaError, SipError, errorText } from "../foundation/index.js";
import { hasControl, joinSdp, readStreams, splitSdp } from "../sdp/index.js";
import type { MaybePromise } from "./media-handler.js";
import type { TimeLimit } from "./time-limit.js";

export interface SessionDescription {
  readonly type: "offer" | "answer";
  /** The text (RFC 8866). */
  readonly sdp: string;
}

export interface DescriptionContext {
  readonly sessionId: string;
  readonly kind: "offer" | "answer";
  /** Ours, which is going to be sent, or the peer's, which is going to be read. */
  readonly direction: "local" | "remote";
  /** An answer in an unreliable provisional response; another one follows. */
  readonly early: boolean;
}

/**
 * Returns the description as it shall be: the streams in number, type and order as they are (RFC 3264 §6, §8); port 0
 * declines one. The origin line stays ours: its version is counted by what is sent. Anything else, an exception, or no result
 * within 5 s fails the exchange: an offer of the peer gets 500, a call of ours ends.
 */
export type DescriptionModifier = (
  description: SessionDescription,
  context: DescriptionContext,
) => MaybePromise<SessionDescription>;

/** @throws InvalidArgumentError for anything but functions. */
export function checkedModifiers(
  modifiers: readonly DescriptionModifier[] | undefined,
): readonly DescriptionModifier[] {
  const list: unknown = modifiers ?? [];
  if (Array.isArray(list) && list.every((modifier) => typeof modifier === "function")) {
    return modifiers ?? [];
  }
  throw new InvalidArgumentError("descriptionModifiers is a list of functions", {
    rule: "bad-option",
  });
}

/** Rejects with MediaError, `statusHint` 500 unless the modifier has thrown one itself. */
export async function modifyDescription(
  text: string,
  modifiers: readonly DescriptionModifier[],
  context: DescriptionContext,
  limit: TimeLimit,
): Promise<string> {
  let sdp = text;
  for (const modifier of modifiers) {
    let result: unknown;
    try {
      const given = modifier({ type: context.kind, sdp }, context);
      result = await limit.wait<unknown>(given, () => undefined);
    } catch (error) {
      if (error instanceof MediaError) throw error;
      throw unfit(`failed: ${errorText(error)}`, error);
    }
    sdp = checked(result, sdp, context);
  }
  return sdp;
}

function checked(result: unknown, before: string, { direction }: DescriptionContext): string {
  const sdp =
    typeof result === "object" && result !== null && "sdp" in result ? result.sdp : undefined;
  if (typeof sdp !== "string") throw unfit("returned no description");
  if (sdp === before) return sdp;
  const sections = splitSdp(sdp);
  if (direction === "local" && [...sections.session, ...sections.media.flat()].some(hasControl)) {
    throw unfit("left a control character in the description");
  }
  let types: string;
  try {
    types = typesOf(sdp);
  } catch (error) {
    throw unfit(`returned ${errorText(error)}`, error);
  }
  if (types !== typesOf(before)) throw unfit("added, removed or exchanged streams");
  return joinSdp(sections);
}

function typesOf(sdp: string): string {
  return readStreams(sdp)
    .map(({ streamType }) => streamType)
    .join(" ");
}

function unfit(what: string, cause?: unknown): MediaError {
  const rule = cause instanceof SipError ? cause.rule : undefined;
  return new MediaError(`A modifier of descriptions ${what}`, {
    cause,
    rule: rule ?? "bad-modifier",
    statusHint: 500,
  });
}
