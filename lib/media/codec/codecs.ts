/** The codecs that this endpoint can speak, by name. */
import { errorText } from "../../foundation/index.js";
import type { AudioCodec } from "./audio-codec.js";
import { pcma, pcmu } from "./g711-codec.js";
import { g722 } from "./g722-codec.js";
import { opus } from "./opus-codec.js";

const CODECS: ReadonlyMap<string, AudioCodec> = new Map(
  [pcmu, pcma, g722, opus].map((codec) => [codec.name, codec]),
);

/** @returns undefined for a name that this version does not speak. */
export function audioCodec(name: string): AudioCodec | undefined {
  return CODECS.get(name.toUpperCase());
}

/** A codec that cannot be used, and why. */
export interface UnusableCodec {
  readonly name: string;
  readonly reason: string;
}

/**
 * Loads the codecs of these names; call before a stream of theirs is configured. Never rejects.
 *
 * @param find - Replaces the list of codecs in tests.
 * @returns those that could not be loaded.
 */
export async function loadCodecs(
  names: readonly string[],
  find: (name: string) => Pick<AudioCodec, "load"> | undefined = audioCodec,
): Promise<readonly UnusableCodec[]> {
  const unusable: UnusableCodec[] = [];
  for (const name of names) {
    try {
      await find(name)?.load?.();
    } catch (error) {
      unusable.push({ name, reason: errorText(error) });
    }
  }
  return unusable;
}
