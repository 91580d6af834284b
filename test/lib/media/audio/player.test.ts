import assert from "node:assert/strict";
import type { SampleSource } from "../../../../lib/media/audio/audio-source.js";
import { Player } from "../../../../lib/media/audio/player.js";
import { digitFrequencies, digitTones } from "../../../../lib/media/audio/tones.js";
import { toneAmplitude } from "../../../support/rtp-phone.js";

/** Gives `length` samples of one value. */
class Constant implements SampleSource {
  readonly sampleRate = 8000;
  failed = false;
  closed = 0;
  starved = false;
  #left: number;

  constructor(
    readonly value: number,
    length: number,
  ) {
    this.#left = length;
  }

  get ended(): boolean {
    return this.#left === 0;
  }

  get left(): number {
    return this.#left;
  }

  read(target: Int16Array, count: number): number {
    if (this.starved) return 0;
    const given = Math.min(count, this.#left);
    target.fill(this.value, 0, given);
    this.#left -= given;
    return given;
  }

  close(): void {
    this.closed += 1;
  }
}

function setUp() {
  const done: string[] = [];
  const player = new Player((id, result) => done.push(`${id} ${result}`));
  let last = 0;
  return {
    player,
    done,
    play(
      source: SampleSource,
      options: { background?: boolean; settle?: number; id?: number } = {},
    ) {
      const id = options.id ?? ++last;
      player.play({
        id,
        source,
        background: options.background ?? false,
        settle: options.settle ?? 0,
      });
      return id;
    },
    /** One packet: what was heard, as value × count. */
    frame(): string {
      const samples = new Int16Array(160).fill(99);
      if (!player.read(samples, 160)) {
        player.sent();
        return "silence";
      }
      player.sent();
      const parts: string[] = [];
      for (let i = 0; i < 160;) {
        let end = i;
        while (end < 160 && samples[end] === samples[i]) end += 1;
        parts.push(`${samples[i]}×${end - i}`);
        i = end;
      }
      return parts.join(" ");
    },
  };
}

describe("Player", () => {
  it("plays to the end and is done after the packet with the last sample", () => {
    const { done, play, frame } = setUp();
    const source = new Constant(5, 200);
    play(source);
    assert.equal(frame(), "5×160");
    assert.deepEqual(done, []);
    assert.equal(frame(), "5×40 0×120");
    assert.deepEqual(done, ["1 completed"]);
    assert.equal(source.closed, 1);
    assert.equal(frame(), "silence");
  });

  it("is done with the packet when the samples fill it exactly", () => {
    const { done, play, frame } = setUp();
    play(new Constant(5, 160));
    frame();
    assert.deepEqual(done, ["1 completed"]);
  });

  it("waits the settle time first", () => {
    const { play, frame } = setUp();
    play(new Constant(5, 1000), { settle: 30 });
    assert.deepEqual([frame(), frame(), frame()], ["silence", "0×80 5×80", "5×160"]);
  });

  it("keeps the settle time of an empty source", () => {
    const { done, play, frame } = setUp();
    play(new Constant(5, 0), { settle: 40 });
    frame();
    assert.deepEqual(done, []);
    frame();
    assert.deepEqual(done, ["1 completed"]);
  });

  it("stops the older of a kind for a newer one", () => {
    const { done, play, frame } = setUp();
    play(new Constant(1, 1e6));
    play(new Constant(2, 1e6), { background: true });
    play(new Constant(3, 1e6));
    assert.deepEqual(done, ["1 stopped"]);
    assert.equal(frame(), "3×160");
    play(new Constant(4, 1e6), { background: true });
    assert.deepEqual(done, ["1 stopped", "2 stopped"]);
  });

  it("lets no late request displace a newer one", () => {
    const { done, play, frame } = setUp();
    play(new Constant(2, 160), { id: 2 });
    const late = new Constant(1, 1e6);
    play(late, { id: 1 });
    assert.deepEqual(done, ["1 stopped"]);
    assert.equal(late.closed, 1);
    assert.equal(frame(), "2×160");
    play(new Constant(1, 1e6), { id: 1 });
    assert.equal(frame(), "silence");
  });

  it("covers the background, which goes on underneath", () => {
    const { done, play, frame } = setUp();
    const background = new Constant(7, 800);
    play(background, { background: true });
    assert.equal(frame(), "7×160");
    play(new Constant(1, 320));
    assert.deepEqual([frame(), frame()], ["1×160", "1×160"]);
    assert.equal(background.left, 320);
    assert.equal(frame(), "7×160");
    frame();
    assert.deepEqual(done, ["2 completed", "1 completed"]);
  });

  it("pauses without losing samples, and stops while paused", () => {
    const { player, done, play, frame } = setUp();
    const source = new Constant(5, 1000);
    const id = play(source);
    frame();
    player.pause(id, true);
    assert.equal(frame(), "silence");
    player.pause(id, false);
    assert.equal(frame(), "5×160");
    assert.equal(source.left, 680);
    player.pause(id, true);
    player.stop(id);
    assert.deepEqual(done, ["1 stopped"]);
    player.stop(id);
    player.pause(id, false);
    assert.deepEqual(done, ["1 stopped"]);
  });

  it("is silent while data are late, and goes on", () => {
    const { done, play, frame } = setUp();
    const source = new Constant(5, 320);
    play(source);
    frame();
    source.starved = true;
    assert.equal(frame(), "silence");
    assert.deepEqual(done, []);
    source.starved = false;
    assert.equal(frame(), "5×160");
    assert.deepEqual(done, ["1 completed"]);
  });

  it("tells of a source that failed", () => {
    const { done, play, frame } = setUp();
    const source = new Constant(5, 160);
    source.failed = true;
    play(source, { settle: 1000 });
    frame();
    assert.deepEqual(done, []);
    source.read(new Int16Array(160), 160);
    frame();
    assert.deepEqual(done, ["1 failed"]);
  });

  it("stops everything", () => {
    const { player, done, play } = setUp();
    play(new Constant(1, 10));
    play(new Constant(2, 10), { background: true });
    player.stopAll();
    player.stopAll();
    assert.deepEqual(done, ["1 stopped", "2 stopped"]);
  });
});

describe("digits in band", () => {
  it("have the two frequencies of ITU-T Q.23", () => {
    for (const [digit, low, high] of [
      ["1", 697, 1209],
      ["5", 770, 1336],
      ["9", 852, 1477],
      ["0", 941, 1336],
      ["*", 941, 1209],
      ["#", 941, 1477],
      ["A", 697, 1633],
      ["D", 941, 1633],
    ] as const) {
      assert.deepEqual(digitFrequencies(digit), [low, high]);
      const samples = new Int16Array(800);
      assert.equal(digitTones(digit, 100, 0, 8000).read(samples, 800), 800);
      for (const frequency of [697, 770, 852, 941, 1209, 1336, 1477, 1633]) {
        const amplitude = toneAmplitude(samples, frequency);
        if (frequency === low || frequency === high) assert.ok(amplitude > 5000);
        else assert.ok(amplitude < 700, `${digit}: ${frequency} Hz at ${amplitude}`);
      }
    }
    assert.deepEqual(digitFrequencies("d"), digitFrequencies("D"));
    for (const none of ["", "E", "12", ","]) assert.equal(digitFrequencies(none), undefined);
  });

  it("last and pause as asked, a comma for half a second", () => {
    const source = digitTones("1,2", 100, 50, 8000);
    const samples = new Int16Array(10_000);
    const count = source.read(samples, 10_000);
    assert.equal(count, 8 * (100 + 500 + 50 + 100));
    assert.ok(source.ended);
    assert.ok(samples.slice(800, 800 + 8 * 550).every((sample) => sample === 0));
  });
});
