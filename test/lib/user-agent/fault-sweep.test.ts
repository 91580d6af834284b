/**
 * Whole calls by name, with sound in a worker, over UDP and TCP, in which one thing goes wrong: the n-th packet is lost, doubled,
 * late or refused; the n-th connect fails or is late; the n-th question to DNS fails, is empty, late or never answered; the n-th timer
 * fires late; the n-th message to or from the worker is lost, late or doubled, or the worker dies of it. For every n. Requirements:
 * every session ends exactly once with a documented cause; 64·T1 after everybody has hung up no session, dialog, transaction, timer,
 * media session or port is left.
 */
import assert from "node:assert/strict";
import { endings, hangUpAll, STORIES, unexpected, type Story } from "../../support/call-stories.js";
import { FaultStage, Faults, type FaultKind, type FaultPoint } from "../../support/fault-stage.js";

/** Longer than every timer of a call: 64·T1 for the INVITE, and again for its BYE. */
const LONG_ENOUGH = 150_000;

/** What can go wrong at each point; after those marked a call ends as it does without them. */
const FAULTS: Readonly<Record<FaultPoint, readonly (readonly [FaultKind, string, "harmless"?])[]>> =
  {
    send: [
      ["drop", "lost"],
      ["duplicate", "doubled", "harmless"],
      [700, "late", "harmless"],
      ["fail", "refused by the network"],
    ],
    connect: [
      ["fail", "refused"],
      [700, "late", "harmless"],
    ],
    resolve: [
      ["fail", "answered with a failure"],
      ["drop", "answered with nothing"],
      ["silence", "never answered"],
      [700, "late", "harmless"],
    ],
    timer: [[5_000, "late"]],
    toWorker: [
      ["drop", "lost"],
      ["duplicate", "doubled"],
      [700, "late"],
      ["die", "the worker's death"],
    ],
    fromWorker: [
      ["drop", "lost"],
      ["duplicate", "doubled"],
      [700, "late"],
      ["die", "the worker's last"],
    ],
  };

interface Fault {
  readonly point: FaultPoint;
  readonly n: number;
  readonly kind: FaultKind;
  readonly harmless: boolean;
}

/** Plays a story with one fault. @returns how often each point was passed. */
async function play(
  story: Story,
  protocol: "udp" | "tcp",
  fault?: Fault,
): Promise<Readonly<Record<FaultPoint, number>>> {
  const faults = new Faults(fault);
  const stage = await FaultStage.open({ protocol, faults });
  await story.play({
    alice: stage.alice,
    bob: stage.bob,
    carol: stage.carol,
    pass: (ms) => stage.pass(ms),
    uri: (person) => stage.uri(person),
  });
  await stage.pass(LONG_ENOUGH);
  const isHarmless = fault === undefined || fault.harmless;
  if (!isHarmless) {
    hangUpAll(stage.people);
    await stage.pass(LONG_ENOUGH);
  }
  for (const person of stage.people) {
    const kept = [...person.userAgent.sessions.values()].map(({ state }) => state);
    assert.deepEqual(
      kept,
      [],
      `${person.name} keeps a call:\n${stage.network.ladder().join("\n")}`,
    );
  }
  const [ending] = endings(stage.alice);
  endings(stage.bob);
  endings(stage.carol);
  if (isHarmless) assert.match(ending ?? "", story.expected, stage.network.ladder().join("\n"));
  assert.deepEqual(unexpected.splice(0), []);
  await stage.end(fault?.kind === "die" || fault?.kind === "fail");
  return faults.counts;
}

/** Names and sound do not see which transport it is. */
const POINTS = {
  udp: ["send", "connect", "resolve", "timer", "toWorker", "fromWorker"],
  tcp: ["send", "connect", "timer"],
} as const;

for (const protocol of ["udp", "tcp"] as const) {
  for (const story of STORIES) {
    describe(`${story.name}, over ${protocol.toUpperCase()}, with one thing that goes wrong`, () => {
      for (const point of POINTS[protocol]) {
        for (const [kind, title, harmless] of FAULTS[point]) {
          it(`ends well whichever ${point} is ${title}`, async function () {
            this.timeout(120_000);
            const counts = await play(story, protocol);
            for (let n = 1; n <= counts[point] + 1; n++) {
              try {
                await play(story, protocol, { point, n, kind, harmless: harmless === "harmless" });
              } catch (error) {
                throw new Error(`with ${point} ${n} ${title}`, { cause: error });
              }
            }
          });
        }
      }
    });
  }
}
