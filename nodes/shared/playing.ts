/** Starts sounds in a session and keeps track of whose they are. */
import type { AudioSource, Playback, PlayOptions } from "../../lib/index.js";
import type { ActivePlayback, Call } from "./call.js";
import { misuse } from "./errors.js";

export interface PlaySettings extends PlayOptions {
  readonly nodeId: string;
  readonly bargeIn: boolean;
}

/** @throws InvalidArgumentError `no-media` before SDP was negotiated; MediaError of the media handler. */
export async function startPlaying(
  call: Call,
  source: AudioSource,
  { nodeId, bargeIn, ...options }: PlaySettings,
): Promise<ActivePlayback> {
  const release = await call.useSound();
  let playback: Playback;
  try {
    const { audio } = call.session;
    if (audio?.ready !== true) {
      throw misuse("no-media", "no sound has been negotiated in this call yet: answer it first");
    }
    playback = await audio.play(source, options);
  } catch (error) {
    release();
    throw error;
  }
  const active: ActivePlayback = { nodeId, bargeIn, playback, stoppedByDigit: false };
  call.playbacks.add(active);
  void playback.done.then(() => {
    call.playbacks.delete(active);
    release();
  });
  return active;
}

/** A later turn of the event loop: what closes a session stops its sounds first. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
