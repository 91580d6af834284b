/**
 * The sessions of a worker and messages that are lost, doubled or out of order: whatever the main thread says, after `shutdown`
 * every port is free and no timer waits, and no message makes it throw.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import type { FromWorker, ToWorker } from "../../../../lib/media/rtp/worker-protocol.js";
import { WorkerSessions } from "../../../../lib/media/rtp/worker-sessions.js";
import { ManualClock } from "../../../support/manual-clock.js";
import { ownNetwork, ownPort } from "../../../support/port-range.js";
import { SeededRandom } from "../../../support/seeded-random.js";

const ADDRESS = `${ownNetwork()}.3`;
const FIRST = ownPort(60);
const PAIRS = 8;

type Message = Exclude<ToWorker, { type: "shutdown" }>;

const open = (id: number, session: number): Message => ({
  type: "open",
  id,
  session,
  address: ADDRESS,
  portMin: FIRST,
  portMax: FIRST + 2 * PAIRS - 1,
  codecs: ["PCMU"],
  mediaTimeout: 0,
});

/** What two calls that are joined, play, record and stream say. */
const STORY: readonly Message[] = [
  open(1, 1),
  open(2, 2),
  { type: "configure", session: 1, settings: undefined, started: true },
  { type: "play", id: 3, session: 1, source: { kind: "tone", name: "ring" }, options: {} },
  { type: "control", session: 1, playback: 3, action: "pause" },
  { type: "digits", id: 4, session: 1, digits: "1", method: "inband", duration: 100, gap: 100 },
  {
    type: "record",
    id: 5,
    session: 2,
    options: { channels: "mixed", maxDuration: 0, silence: 0 },
  },
  { type: "bridge", id: 6, session: 1, other: 2 },
  {
    type: "stream",
    id: 7,
    session: 2,
    options: { format: "pcm16", sampleRate: 8000, frame: 20 },
    fetched: new SharedArrayBuffer(4),
  },
  { type: "streamAudio", session: 2, stream: 7, data: new Uint8Array(640) },
  { type: "streamMark", session: 2, stream: 7, mark: 1 },
  { type: "unbridge", session: 1, bridge: 6 },
  { type: "controlRecording", session: 2, recording: 5, action: "stopped" },
  { type: "close", id: 8, session: 1 },
  { type: "close", id: 9, session: 2 },
];

/** Says all of it, waiting for each answer as the main thread does, and then ends the worker. */
async function say(messages: readonly Message[]): Promise<readonly FromWorker[]> {
  const clock = new ManualClock();
  const heard: FromWorker[] = [];
  const sessions = new WorkerSessions({
    clock,
    random: new SeededRandom(5),
    send: (message) => heard.push(message),
  });
  for (const message of messages) {
    sessions.receive(message);
    if ("id" in message && message.type !== "digits") {
      await until(() => heard.some((one) => "id" in one && one.id === message.id));
    }
    clock.advance(20);
  }
  let ended = false;
  void sessions.shutdown().then(() => (ended = true));
  await until(() => ended || (clock.advance(20), false));
  await clock.advanceAsync(5_000);
  assert.equal(clock.pendingTimers(), 0, `timers at ${clock.schedule().join()}`);
  return heard;
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2_000 && !condition(); turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(condition(), "nothing came");
}

async function boundPorts(): Promise<number[]> {
  const bound: number[] = [];
  for (let port = FIRST; port < FIRST + 2 * PAIRS; port++) {
    const socket = createSocket("udp4");
    const isFree = await new Promise<boolean>((resolve) => {
      socket.once("error", () => resolve(false));
      socket.bind({ address: ADDRESS, port, exclusive: true }, () => resolve(true));
    });
    if (!isFree) bound.push(port);
    await new Promise<void>((resolve) => socket.close(() => resolve()));
  }
  return bound;
}

describe("the sessions of a worker", () => {
  it("answer every request of two calls and leave nothing", async () => {
    const heard = await say(STORY);
    const ids = heard.flatMap((one) => (one.type === "reply" ? [one.id] : []));
    assert.deepEqual(
      [1, 2, 3, 5, 6, 7, 8, 9].filter((id) => !ids.includes(id)),
      [],
    );
    assert.deepEqual(await boundPorts(), []);
  });

  const changes: Readonly<Record<string, (n: number) => readonly Message[]>> = {
    lost: (n) => STORY.filter((_, at) => at !== n),
    doubled: (n) => STORY.flatMap((message, at) => (at === n ? [message, message] : [message])),
    late: (n) => {
      const rest = STORY.filter((_, at) => at !== n);
      const message = STORY[n];
      return [...rest.slice(0, n + 2), ...(message ? [message] : []), ...rest.slice(n + 2)];
    },
  };
  for (const [name, change] of Object.entries(changes)) {
    it(`leave no port and no timer whichever message is ${name}`, async function () {
      this.timeout(20_000);
      for (let n = 0; n < STORY.length; n++) {
        try {
          await say(change(n));
          assert.deepEqual(await boundPorts(), []);
        } catch (error) {
          throw new Error(`with ${STORY[n]?.type} ${n + 1} ${name}`, { cause: error });
        }
      }
    });
  }
});
