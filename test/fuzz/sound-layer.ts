/** Files that are to be played: WAV, MP3 and Ogg Opus, opened and decoded; what is no sound is refused as such. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openDecoder } from "../../lib/media/audio/open-stored-audio.js";
import { openBuffer } from "../../lib/media/audio/random-access.js";
import { type Layer, noted } from "./layer.js";
import type { Mutation } from "./mutation.js";
import { wavOfTone } from "../support/rtp-phone.js";

/** Pieces that are decoded of each. */
const MOST_PIECES = 5;
const folder = join(__dirname, "../fixtures/audio");

export class SoundLayer implements Layer {
  readonly name = "sound";
  readonly share = 0.01;
  readonly #seeds = [
    wavOfTone(440, 0.2),
    ...["tone-440.mp3", "tone-440.opus"].map((file) =>
      readFileSync(join(folder, file)).subarray(0, 12_000),
    ),
  ];

  async take(mutation: Mutation): Promise<void> {
    const data = noted(mutation.of(mutation.pick(this.#seeds), mutation.pick(this.#seeds)));
    let decoder;
    try {
      decoder = await openDecoder(openBuffer(data));
    } catch (error) {
      if ((error as { rule?: unknown }).rule === "unsupported-audio") return;
      throw error;
    }
    try {
      for (let i = 0; i < MOST_PIECES; i++) {
        const piece = await decoder.next();
        if (piece === undefined) break;
      }
    } catch {
      // What breaks off ends the playback, with an error of any kind.
    } finally {
      await decoder.close();
    }
  }
}
