/** Calls that lead to the end of all their sessions, for tests in which something goes wrong on the way. */
import assert from "node:assert/strict";
import { InvalidStateError, MediaError } from "../../lib/foundation/index.js";
import type { Session } from "../../lib/session/index.js";
import type { Person } from "./alice-and-bob.js";

/** What a story is played on: two people, a third, and time. */
export interface StoryStage {
  readonly alice: Person;
  readonly bob: Person;
  readonly carol: Person;
  pass(ms: number): Promise<void>;
  /** How somebody is called. */
  uri(person: Person): string;
}

export interface Story {
  readonly name: string;
  play(stage: StoryStage): Promise<void>;
  /** How alice's first call ends when nothing goes wrong for good. */
  readonly expected: RegExp;
}

/** What the application starts and does not wait for. After a fault the state may forbid it; anything else is a mistake of ours. */
export function start(promise: Promise<unknown> | undefined): void {
  promise?.catch((error: unknown) => {
    if (!(error instanceof InvalidStateError)) unexpected.push(String(error));
  });
}

/** What actions rejected with although nobody misused them; tests look here at the end. */
export const unexpected: string[] = [];

/** What sound may answer when its worker is gone. */
function startSound(promise: Promise<unknown> | undefined): void {
  promise?.catch((error: unknown) => {
    if (!(error instanceof MediaError || error instanceof InvalidStateError))
      unexpected.push(String(error));
  });
}

function place({ alice, bob, uri }: StoryStage, delayedOffer = false): Session {
  return alice.userAgent.invite({ targets: [uri(bob)], delayedOffer });
}

function every(person: Person, act: (session: Session) => Promise<unknown>): void {
  for (const session of person.userAgent.sessions.values()) start(act(session));
}

export const STORIES: readonly Story[] = [
  {
    name: "a call that the caller ends",
    expected: /^ended:local-bye$/,
    async play(stage) {
      stage.bob.takeCalls((session) => start(session.progress()));
      const call = place(stage);
      await stage.pass(2_000);
      every(stage.bob, (session) => session.accept());
      await stage.pass(40_000);
      start(call.end());
    },
  },
  {
    name: "a call with the offer in the 200, that the called one ends",
    expected: /^ended:remote-bye$/,
    async play(stage) {
      stage.bob.takeCalls((session) => start(session.accept()));
      place(stage, true);
      await stage.pass(40_000);
      every(stage.bob, (session) => session.end());
    },
  },
  {
    name: "a call that the called one ends before the ACK",
    expected: /^ended:remote-bye$/,
    async play(stage) {
      stage.bob.takeCalls((session) => {
        session.on("event", ({ name }) => {
          if (name === "answered") start(session.end());
        });
        start(session.accept());
      });
      place(stage);
      await stage.pass(40_000);
    },
  },
  {
    name: "a call that both end at once",
    expected: /^ended:(local|remote)-bye$/,
    async play(stage) {
      stage.bob.takeCalls((session) => start(session.accept()));
      const call = place(stage, true);
      await stage.pass(40_000);
      start(call.end());
      every(stage.bob, (session) => session.end());
    },
  },
  {
    name: "a call that is cancelled as it is answered",
    expected: /^(failed:cancelled|ended:local-bye)$/,
    async play(stage) {
      stage.bob.takeCalls((session) => start(session.progress()));
      const call = place(stage);
      await stage.pass(3_000);
      every(stage.bob, (session) => session.accept());
      start(call.end());
    },
  },
  {
    name: "a call with digits and requests inside",
    expected: /^ended:remote-bye$/,
    async play(stage) {
      stage.bob.takeCalls((session) => start(session.accept()));
      const call = place(stage);
      await stage.pass(40_000);
      start(call.sendDigits({ digits: "1,#", method: "info-relay", gap: 50 }));
      start(call.request({ method: "OPTIONS" }));
      await stage.pass(80_000);
      every(stage.bob, (session) => session.end());
    },
  },
  {
    name: "a call that is cancelled while it rings",
    expected: /^failed:cancelled$/,
    async play(stage) {
      stage.bob.takeCalls((session) =>
        start(session.progress({ statusCode: 183, earlyMedia: true })),
      );
      const call = place(stage);
      await stage.pass(3_000);
      start(call.end());
    },
  },
  {
    name: "a call that is refused",
    expected: /^failed:busy$/,
    async play(stage) {
      stage.bob.takeCalls((session) => start(session.reject()));
      place(stage);
      await stage.pass(3_000);
    },
  },
  {
    name: "a call that is held and taken back, by either side",
    expected: /^ended:local-bye$/,
    async play(stage) {
      stage.bob.takeCalls((session) => start(session.accept()));
      const call = place(stage);
      await stage.pass(40_000);
      start(call.reinvite({ action: "hold" }));
      await stage.pass(40_000);
      start(call.reinvite({ action: "resume" }));
      await stage.pass(40_000);
      every(stage.bob, (session) => session.reinvite({ action: "hold", delayedOffer: true }));
      await stage.pass(40_000);
      start(call.end());
    },
  },
  {
    name: "a call with sound, digits and a recording",
    expected: /^ended:local-bye$/,
    async play(stage) {
      stage.bob.takeCalls((session) => start(session.accept()));
      const call = place(stage);
      await stage.pass(40_000);
      const recording = { channels: "mixed", maxDuration: 0, silence: 0 } as const;
      startSound(call.audio?.record(recording).then(({ done }) => done));
      startSound(call.audio?.play({ kind: "tone", name: "beep" }).then(({ done }) => done));
      startSound(call.sendDigits({ digits: "12", gap: 50 }));
      every(stage.bob, (session) => session.sendDigits({ digits: "3", method: "info-relay" }));
      await stage.pass(40_000);
      start(call.end());
    },
  },
  {
    name: "a call that is transferred",
    expected: /^ended:transferred$/,
    async play(stage) {
      stage.carol.takeCalls((session) => {
        start(session.progress());
        start(session.accept());
      });
      stage.bob.takeCalls((session) => start(session.accept()));
      follow(stage.bob);
      const call = place(stage);
      await stage.pass(40_000);
      start(call.refer({ to: stage.uri(stage.carol) }));
      await stage.pass(100_000);
      start(call.end());
      every(stage.carol, (session) => session.end());
      every(stage.bob, (session) => session.end());
    },
  },
  {
    name: "a call that is transferred after a consultation",
    expected: /^ended:transferred$/,
    async play(stage) {
      stage.carol.takeCalls((session) => start(session.accept()));
      stage.bob.takeCalls((session) => start(session.accept()));
      follow(stage.bob);
      const call = place(stage);
      await stage.pass(40_000);
      start(call.reinvite({ action: "hold" }));
      const other = stage.alice.userAgent.invite({ targets: [stage.uri(stage.carol)] });
      await stage.pass(40_000);
      if (other.state === "established") start(call.refer({ target: other.id }));
      await stage.pass(100_000);
      for (const person of [stage.alice, stage.carol, stage.bob])
        every(person, (session) => session.end());
    },
  },
];

function follow({ userAgent }: Person): void {
  userAgent.requestPolicy = (name) => ({
    listened: name === "refer",
    holdMs: name === "refer" ? 500 : 0,
  });
  userAgent.on("sessionEvent", (_session, { pending }) => {
    if (pending !== undefined) start(pending.accept({ follow: true }));
  });
}

/** How each session of a person ended; fails when one ended twice, not at all, or not last. */
export function endings(person: Person): string[] {
  const bySession = new Map<Session, string[]>();
  for (const [session, { name, snapshot }] of person.events) {
    const list = bySession.get(session) ?? [];
    bySession.set(session, list);
    const isEnd = name === "ended" || name === "failed";
    list.push(isEnd ? `${name}:${String(snapshot.cause)}` : name);
  }
  return [...bySession.values()].map((names) => {
    const ends = names.filter((name) => /^(ended|failed):/.test(name));
    assert.equal(ends.length, 1, `${person.name} heard ${names.join(" ")}`);
    assert.equal(names.at(-1), ends[0]);
    const answered = names.includes("answered");
    assert.equal(ends[0]?.startsWith("ended"), answered, names.join(" "));
    return ends[0] ?? "";
  });
}

/** Everybody hangs up whatever is left: the other side may know nothing of the end. */
export function hangUpAll(people: readonly Person[]): void {
  for (const person of people) every(person, (session) => session.end());
}
