/**
 * What happens in the calls of the soak. Each story leads all its calls to their ends and fails where one ends otherwise
 * than it must; `weight` is its share of the mixture.
 */
import assert from "node:assert/strict";
import type { ActionOutcome, InviteOptions } from "../../lib/index.js";
import type { SeededRandom } from "../support/seeded-random.js";
import { pause, type Line, type Phone } from "./lines.js";

/** Three telephones of one kind, a number that no other call has, and chance. */
export interface Scene {
  readonly number: string;
  readonly alice: Phone;
  readonly bob: Phone;
  readonly carol: Phone;
  /** There is real sound. */
  readonly loud: boolean;
  readonly random: SeededRandom;
}

export interface Story {
  readonly name: string;
  readonly weight: number;
  play(scene: Scene): Promise<void>;
}

const LONG_CALL = "a long call with a session timer";
const HUNG_UP = "ended:local-bye";
const LEFT = "ended:remote-bye";

function good(outcome: ActionOutcome, what: string): void {
  assert.ok(outcome.ok, `${what}: ${outcome.statusCode} ${outcome.ok ? "" : outcome.cause}`);
}

/** Milliseconds that people talk. */
function talk({ random, loud }: Scene, least = 20): Promise<void> {
  return pause(least + random.next() * (loud ? 1_500 : 1_000));
}

/** Rings, is answered, and both know it. */
async function connect(
  from: Phone,
  to: Phone,
  user: string,
  options: Omit<InviteOptions, "targets"> = {},
): Promise<[Line, Line]> {
  const coming = to.expect(user);
  const caller = from.call(to.uri(user), options);
  const called = await coming;
  good(await called.session.progress(), "180");
  good(await called.session.accept(), "200");
  await caller.heard("confirmed");
  return [caller, called];
}

async function hangUp(who: Line, other: Line): Promise<void> {
  await who.session.end();
  await Promise.all([who.over(HUNG_UP), other.over(LEFT)]);
}

/** Rings at the called side, which has said 180 when it resolves. */
async function ring(scene: Scene) {
  const { alice, bob, number } = scene;
  const coming = bob.expect(number);
  const caller = alice.call(bob.uri(number));
  const called = await coming;
  good(await called.session.progress(), "180");
  await caller.heard("progress");
  return { caller, called };
}

async function hear(line: Line, scene: Scene): Promise<void> {
  if (!scene.loud) return;
  const playback = await line.session.audio?.play({ kind: "tone", name: "beep" });
  await playback?.done;
}

const REFUSALS: readonly (readonly [number, string])[] = [
  [486, "busy"],
  [603, "rejected"],
  [404, "not-found"],
  [480, "unavailable"],
  [488, "incompatible-media"],
  [500, "rejected"],
];

export const STORIES: readonly Story[] = [
  {
    name: "the caller hangs up",
    weight: 28,
    async play(scene) {
      const [caller, called] = await connect(scene.alice, scene.bob, scene.number);
      await hear(called, scene);
      await talk(scene);
      await hangUp(caller, called);
    },
  },
  {
    name: "the called one hangs up",
    weight: 16,
    async play(scene) {
      const [caller, called] = await connect(scene.bob, scene.alice, scene.number);
      await talk(scene);
      await hangUp(called, caller);
    },
  },
  {
    name: "hold and resume",
    weight: 10,
    async play(scene) {
      const [caller, called] = await connect(scene.alice, scene.bob, scene.number);
      const [who, other] = scene.random.next() < 0.5 ? [caller, called] : [called, caller];
      good(await who.session.reinvite({ action: "hold" }), "hold");
      await other.heard("hold");
      await talk(scene);
      good(await who.session.reinvite({ action: "resume" }), "resume");
      await other.heard("resume");
      await hangUp(other, who);
    },
  },
  {
    name: "a change of the call, the offer with us or with them",
    weight: 5,
    async play(scene) {
      const [caller, called] = await connect(scene.alice, scene.bob, scene.number);
      const delayedOffer = scene.random.next() < 0.5;
      good(await caller.session.reinvite({ action: "renegotiate", delayedOffer }), "re-INVITE");
      await talk(scene);
      good(await called.session.reinvite({ action: "refresh" }), "UPDATE");
      await hangUp(caller, called);
    },
  },
  {
    name: "both hold at once",
    weight: 1,
    async play(scene) {
      const [caller, called] = await connect(scene.alice, scene.bob, scene.number);
      const both = [caller, called].map(({ session }) => session.reinvite({ action: "hold" }));
      // Each waits for the other, a few times; where the machine is so busy that they meet each time, one gives in.
      for (const outcome of await Promise.all(both))
        assert.ok(outcome.ok || outcome.statusCode === 491, `hold: ${outcome.statusCode}`);
      await hangUp(caller, called);
    },
  },
  {
    name: "an answer without an offer before",
    weight: 4,
    async play(scene) {
      const [caller, called] = await connect(scene.alice, scene.bob, scene.number, {
        delayedOffer: true,
      });
      await talk(scene);
      await hangUp(caller, called);
    },
  },
  {
    name: "digits",
    weight: 8,
    async play(scene) {
      const [caller, called] = await connect(scene.alice, scene.bob, scene.number);
      const method = scene.loud && scene.random.next() < 0.7 ? "rfc4733" : "info-relay";
      const digits = { digits: "12#", method, duration: 60, gap: 60 } as const;
      good(await caller.session.sendDigits(digits), "digits");
      await called.until("digits", () => called.digits === "12#");
      await hangUp(caller, called);
    },
  },
  {
    name: "a message in the call",
    weight: 3,
    async play(scene) {
      const [caller, called] = await connect(scene.alice, scene.bob, scene.number);
      const message = { method: "MESSAGE", contentType: "text/plain", body: "hello" };
      good(await called.session.request(message), "MESSAGE");
      await caller.heard("message");
      await hangUp(caller, called);
    },
  },
  {
    name: "a message without a call",
    weight: 3,
    async play({ alice, bob, number }) {
      const to = bob.uri(number);
      const request = { method: "MESSAGE", to, contentType: "text/plain", body: number };
      good(await alice.userAgent.request(request), "MESSAGE");
      good(await bob.userAgent.request({ method: "OPTIONS", to: alice.uri(number) }), "OPTIONS");
    },
  },
  {
    name: "given up while it rings",
    weight: 6,
    async play(scene) {
      const { caller, called } = await ring(scene);
      await caller.session.end();
      await Promise.all([caller.over("failed:cancelled"), called.over("failed:cancelled")]);
    },
  },
  {
    name: "given up as it is answered",
    weight: 2,
    async play(scene) {
      const { caller, called } = await ring(scene);
      await Promise.all([caller.session.end(), called.session.accept()]);
      await caller.over("failed:cancelled", HUNG_UP);
      await called.over("failed:cancelled", LEFT);
    },
  },
  {
    name: "nobody answers",
    weight: 2,
    async play(scene) {
      const { alice, bob, number } = scene;
      const coming = bob.expect(number);
      const caller = alice.call(bob.uri(number), { timeoutMs: 3_000 });
      const called = await coming;
      // Where the machine is so busy that the time is over before the 180, nothing has come.
      await called.session.progress();
      await caller.over("failed:no-answer", "failed:timeout");
      await called.over("failed:cancelled");
    },
  },
  {
    name: "a refusal",
    weight: 5,
    async play({ alice, bob, number, random }) {
      const refusal = REFUSALS[Math.floor(random.next() * REFUSALS.length)];
      const [statusCode, cause] = refusal;
      const coming = bob.expect(number);
      const caller = alice.call(bob.uri(number));
      const called = await coming;
      good(await called.session.reject({ statusCode }), "refusal");
      await Promise.all([caller.over(`failed:${cause}`), called.over(`failed:${cause}`)]);
    },
  },
  {
    name: "a number that nobody has",
    weight: 1,
    async play({ alice, bob }) {
      await alice.call(bob.uri("nobody")).over("failed:unavailable");
    },
  },
  {
    name: "blind transfer",
    weight: 3,
    async play(scene) {
      const { alice, bob, carol, number } = scene;
      const [caller, called] = await connect(alice, bob, number);
      const coming = carol.expect(`to-${number}`);
      const referred = called.session.refer({ to: carol.uri(`to-${number}`) });
      const target = await coming;
      good(await target.session.progress(), "180");
      good(await target.session.accept(), "200");
      const fresh = await alice.placed(caller);
      good(await referred, "REFER");
      await Promise.all([called.over("ended:transferred"), caller.over(LEFT)]);
      await talk(scene);
      await hangUp(target, fresh);
    },
  },
  {
    name: "a transfer to somebody who does not want it",
    weight: 1,
    async play(scene) {
      const { alice, bob, carol, number } = scene;
      const [caller, called] = await connect(alice, bob, number);
      const coming = carol.expect(`to-${number}`);
      const referred = called.session.refer({ to: carol.uri(`to-${number}`) });
      const target = await coming;
      good(await target.session.reject({ statusCode: 486 }), "486");
      const outcome = await referred;
      assert.deepEqual([outcome.ok, outcome.statusCode], [false, 486]);
      assert.equal(await alice.refused(caller), 486);
      await hangUp(called, caller);
    },
  },
  {
    name: "attended transfer",
    weight: 2,
    async play(scene) {
      const { alice, bob, carol, number } = scene;
      const [toBob, called] = await connect(alice, bob, number);
      good(await toBob.session.reinvite({ action: "hold" }), "hold");
      const [toCarol, consulted] = await connect(alice, carol, `to-${number}`);
      const coming = carol.expectReplacing(consulted);
      const referred = toBob.session.refer({ target: toCarol.session.id });
      const target = await coming;
      good(await target.session.accept(), "200");
      const fresh = await bob.placed(called);
      good(await referred, "REFER");
      await Promise.all([toBob.over("ended:transferred"), called.over(LEFT)]);
      await Promise.all([
        consulted.over("ended:replaced"),
        toCarol.over("ended:transferred", LEFT),
      ]);
      await talk(scene);
      await hangUp(fresh, target);
    },
  },
  {
    name: LONG_CALL,
    weight: 0.5,
    async play(scene) {
      const [caller, called] = await connect(scene.alice, scene.bob, scene.number, {
        sessionExpires: 90,
      });
      // Refreshed at half the interval.
      await pause(50_000);
      assert.deepEqual([caller.end, called.end], ["", ""]);
      await hangUp(caller, called);
    },
  },
];

/** The next story by chance and weight. @param brief - none that takes long. */
export function drawn(random: SeededRandom, brief = false): Story {
  const stories = brief ? STORIES.filter(({ name }) => name !== LONG_CALL) : STORIES;
  const total = stories.reduce((sum, { weight }) => sum + weight, 0);
  let left = random.next() * total;
  for (const story of stories) {
    left -= story.weight;
    if (left < 0) return story;
  }
  return stories[0];
}
