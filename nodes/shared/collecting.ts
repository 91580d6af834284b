/** What every node that collects the digits of a call demands of it (contract §4.7). */
import type { NodeAPI } from "node-red";
import type { AudioSource } from "../../lib/index.js";
import type { Call } from "./call.js";
import { misuse } from "./errors.js";
import type { SourceValue } from "./properties.js";
import { resolveSource } from "./sources.js";

/**
 * @throws InvalidArgumentError `no-media` before sound was negotiated. Without a media handler digits can still come
 *   by INFO once the call is up.
 */
export function checkMedia(call: Call): void {
  const { audio, state } = call.session;
  if (audio === undefined ? state === "established" : audio.ready) return;
  throw misuse("no-media", "no sound has been negotiated in this call yet: answer it first");
}

/** @throws InvalidArgumentError `busy` when another node collects. */
export function checkFree(call: Call): void {
  if (call.collector === undefined) return;
  throw misuse("busy", "another node is collecting the digits of this call");
}

/** The sound of a prompt; undefined when none is wanted. @throws like `resolveSource`. */
export async function resolvePrompt(
  RED: NodeAPI,
  prompt: SourceValue,
  options: Record<string, unknown> | undefined,
): Promise<AudioSource | undefined> {
  const { value } = prompt;
  if (value === undefined || value === null || value === "") return undefined;
  return (await resolveSource(RED, prompt, options)).source;
}
