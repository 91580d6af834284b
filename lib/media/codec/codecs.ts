/** The codecs that this endpoint can speak, by name. */
import type { AudioCodec } from "./audio-codec.js";
import { pcma, pcmu } from "./g711-codec.js";

const CODECS: ReadonlyMap<string, AudioCodec> = new Map(
  [pcmu, pcma].map((codec) => [codec.name, codec]),
);

/** @returns undefined for a name that this version does not speak. */
export function audioCodec(name: string): AudioCodec | undefined {
  return CODECS.get(name.toUpperCase());
}

/** Loads the codecs of these names; call before a stream of theirs is configured. */
export async function loadCodecs(names: readonly string[]): Promise<void> {
  for (const name of names) await audioCodec(name)?.load?.();
}
