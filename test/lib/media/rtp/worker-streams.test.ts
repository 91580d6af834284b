/** Streams in the worker. Hard cases: words for a stream that is over, one that is displaced at once, very many. */
import assert from "node:assert/strict";
import { Player } from "../../../../lib/media/audio/player.js";
import type { PlayRequest } from "../../../../lib/media/audio/player.js";
import type { AudioListener } from "../../../../lib/media/rtp/rtp-session.js";
import { WorkerStreams } from "../../../../lib/media/rtp/worker-streams.js";
import type { FromWorker } from "../../../../lib/media/rtp/worker-protocol.js";

/** The player and the listeners of a session, without its sockets. */
class Line {
  readonly listeners = new Set<AudioListener>();
  readonly done: string[] = [];
  readonly player = new Player((id, result) => this.done.push(`${id} ${result}`));

  listen(listener: AudioListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
  play(request: PlayRequest): void {
    this.player.play(request);
  }
  /** One packet time; the peer says `value`. */
  tick(value = 0): number[] {
    const local = new Int16Array(160);
    const heard = this.player.read(local, 160);
    this.player.sent();
    const remote = new Int16Array(160).fill(value);
    for (const listener of this.listeners) listener.frame(remote, local, 160, 8000, false);
    return heard ? [...local] : [];
  }
}

const OPTIONS = { format: "pcm16", sampleRate: 8000, frame: 20 } as const;

function setUp() {
  const sent: FromWorker[] = [];
  const moved: (readonly ArrayBuffer[])[] = [];
  const streams = new WorkerStreams((message, transfer = []) => {
    sent.push(message);
    moved.push(transfer);
  });
  const line = new Line();
  return {
    streams,
    line,
    sent,
    moved,
    start: (id: number, session = 1, target = line) =>
      streams.start(
        { type: "stream", id, session, options: OPTIONS, fetched: new SharedArrayBuffer(4) },
        target,
      ),
  };
}

describe("WorkerStreams", () => {
  it("send the frames of all calls of one turn together, and give their memory away", async () => {
    const { start, line, sent, moved } = setUp();
    const other = new Line();
    start(1);
    start(2, 2, other);
    line.tick(5);
    other.tick(6);
    assert.equal(sent.length, 0);
    await Promise.resolve();
    assert.equal(sent.length, 1);
    const [message] = sent;
    assert.ok(message.type === "streamFrames");
    assert.deepEqual(
      message.frames.map(({ session, stream, sequence, data }) => [
        session,
        stream,
        sequence,
        data[0],
        data.length,
      ]),
      [
        [1, 1, 0, 5, 320],
        [2, 2, 0, 6, 320],
      ],
    );
    assert.deepEqual(
      moved[0],
      message.frames.map(({ data }) => data.buffer),
    );
    line.tick();
    await Promise.resolve();
    assert.equal(sent.length, 2);
  });

  it("say what comes, clear it, and tell marks in the tick that sends the last of it", () => {
    const { streams, start, line, sent } = setUp();
    start(1);
    const data = new Uint8Array(640).fill(1);
    streams.receive({ type: "streamAudio", session: 1, stream: 1, data });
    streams.receive({ type: "streamMark", session: 1, stream: 1, mark: 7 });
    streams.receive({ type: "streamAudio", session: 1, stream: 1, data });
    streams.receive({ type: "streamMark", session: 1, stream: 1, mark: 8 });
    assert.equal(line.tick()[159], 0x0101);
    assert.deepEqual(sent, []);
    line.tick();
    assert.deepEqual(sent.splice(0), [
      { type: "streamMark", session: 1, stream: 1, mark: 7, milliseconds: 40 },
    ]);
    streams.receive({ type: "streamClear", session: 1, stream: 1 });
    assert.deepEqual(sent.splice(0), [
      { type: "streamMark", session: 1, stream: 1, mark: 8, milliseconds: 40 },
    ]);
    assert.deepEqual([...new Set(line.tick())], [0]);
  });

  it("end like any sound: a newer one, stop, the end of the call; then nothing is left of them", () => {
    const { streams, start, line } = setUp();
    start(1);
    start(2);
    assert.deepEqual(line.done, ["1 stopped"]);
    assert.deepEqual([streams.size, line.listeners.size], [1, 1]);
    line.player.stop(2);
    assert.deepEqual(line.done, ["1 stopped", "2 stopped"]);
    assert.deepEqual([streams.size, line.listeners.size], [0, 0]);
    start(9);
    line.player.stopAll();
    assert.deepEqual([streams.size, line.listeners.size], [0, 0]);
    // Asked for before what plays now.
    start(10);
    start(3);
    assert.deepEqual(line.done.slice(-1), ["3 stopped"]);
    assert.deepEqual([streams.size, line.listeners.size], [1, 1]);
  });

  it("that are over take no words, and their marks are told by their end", () => {
    const { streams, start, line, sent } = setUp();
    start(1);
    const data = new Uint8Array(6400);
    streams.receive({ type: "streamAudio", session: 1, stream: 1, data });
    streams.receive({ type: "streamMark", session: 1, stream: 1, mark: 4 });
    line.player.stop(1);
    assert.equal(sent.length, 1);
    streams.receive({ type: "streamAudio", session: 1, stream: 1, data });
    streams.receive({ type: "streamClear", session: 1, stream: 1 });
    streams.receive({ type: "streamMark", session: 1, stream: 1, mark: 5 });
    assert.equal(sent.length, 1);
  });

  it("leave nothing behind after a thousand starts and stops with sound waiting", async () => {
    const { streams, start, line, sent } = setUp();
    for (let id = 1; id <= 1000; id++) {
      start(id);
      const data = new Uint8Array(3200);
      streams.receive({ type: "streamAudio", session: 1, stream: id, data });
      if (id % 3 === 0) line.tick();
      if (id % 2 === 0) line.player.stop(id);
    }
    line.player.stopAll();
    await Promise.resolve();
    assert.deepEqual([streams.size, line.listeners.size, line.done.length], [0, 0, 1000]);
    assert.ok(sent.length > 0);
    assert.deepEqual(line.tick(), []);
  });
});
