/** A prompt of a digit collector: a sound that a digit ends, also while it is still being loaded. */
import { type AudioSource, MediaError } from "../../lib/index.js";
import type { ActivePlayback, Call } from "./call.js";
import { startPlaying } from "./playing.js";

export class Prompt {
  #active: ActivePlayback | undefined;
  #stopped = false;

  constructor(
    private readonly call: Call,
    private readonly nodeId: string,
  ) {}

  /**
   * Resolves when the sound is over, at once after `stop`. @throws InvalidArgumentError `no-media`; MediaError when
   * it cannot be played to its end.
   */
  async play(source: AudioSource): Promise<void> {
    if (this.#stopped) return;
    const active = await startPlaying(this.call, source, { nodeId: this.nodeId, bargeIn: false });
    this.#active = active;
    // A digit, or the end of the call, may have come while it was being loaded.
    if (this.#stopped) active.playback.stop();
    const result = await active.playback.done;
    this.#active = undefined;
    if (result === "failed" && !this.#stopped) {
      throw new MediaError("the prompt broke off", { rule: "media-failed" });
    }
  }

  /** Ends the sound; nothing is played any more. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#active?.playback.stop();
  }
}
