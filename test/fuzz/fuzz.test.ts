/** A bounded run of the fuzzer with a seed of its own; `npm run fuzz -- --n 1000000` is the long one. */
import assert from "node:assert/strict";
import { CallLayer } from "./call-layer.js";
import { documentLayer } from "./document-layer.js";
import { fuzz } from "./fuzz.js";
import { LiveLayer } from "./live-layer.js";
import { messageLayer } from "./message-layer.js";
import { PacketLayer } from "./packet-layer.js";
import { sdpLayer } from "./sdp-layer.js";
import { SoundLayer } from "./sound-layer.js";

const INPUTS = 100_000;
const SEED = 20_261_121;

describe("hostile input", () => {
  for (const layer of [
    messageLayer,
    sdpLayer,
    documentLayer,
    new PacketLayer(),
    new SoundLayer(),
    new CallLayer(),
    new LiveLayer(),
  ]) {
    const inputs = Math.ceil(INPUTS * layer.share);
    it(`${inputs} for the layer ${layer.name} harm nothing`, async function () {
      this.timeout(300_000);
      const { failures } = await fuzz(layer, { seed: SEED, inputs });
      const shown = failures.map(
        ({ number, error, input }) => `input ${number}: ${error}\n${JSON.stringify(input)}`,
      );
      assert.equal(failures.length, 0, shown.join("\n"));
    });
  }
});
