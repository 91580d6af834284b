/** One instance dies by SIGKILL: what becomes of its calls, of the others', and of new ones. */
import { Telephone, Watcher, type WatchedCall } from "../../test/support/fleet/callers.js";
import type { Fleet } from "../../test/support/fleet/fleet.js";
import { pause } from "../../test/support/node-red.js";
import { figure, type Report } from "./report.js";

const seconds = (ms: number): string => `${figure(ms / 1000, 1)} s`;
const many = (list: readonly unknown[], of: readonly unknown[]): string =>
  `${list.length} of ${of.length}`;

/** Both legs of a call that a flow has joined. */
interface Pair {
  readonly caller: WatchedCall;
  readonly phone: WatchedCall;
}

async function pairs(watcher: Watcher, phone: Telephone, number: number): Promise<Pair[]> {
  const found: Pair[] = [];
  for (let made = 0; made < number; made++) {
    const before = phone.calls.length;
    const caller = watcher.call("bridge-alice");
    await caller.settled();
    for (let tries = 0; phone.calls.length === before && tries < 200; tries++) await pause(20);
    const leg = phone.calls.at(-1);
    if (leg === undefined || phone.calls.length === before)
      throw new Error(`no second leg: ${caller.cause}`);
    await leg.settled();
    found.push({ caller, phone: leg });
  }
  await pause(1500);
  for (const { caller, phone: leg } of found) {
    await caller.talk();
    await leg.talk();
  }
  return found;
}

/** Frames of 100 ms that came between two times. */
const heard = (call: WatchedCall, from: number, to: number): number =>
  call.heardAt.filter((at) => at >= from && at < to).length;

export async function killed(fleet: Fleet, report: Report): Promise<void> {
  report.title("One instance is killed");
  const number = fleet.instances.size;
  const address = fleet.places.instance(number);
  const survivors = [...fleet.instances.keys()].filter((each) => each !== number);
  const watcher = await Watcher.start(fleet);
  const phone = await Telephone.start(fleet);
  try {
    const single = Array.from({ length: fleet.instances.size * 3 }, () => watcher.call("hold"));
    for (const call of single) await call.settled();
    const joined = await pairs(watcher, phone, fleet.instances.size * 2);
    const ofIt = joined.filter(({ caller }) => caller.instance === address);
    const ivr = single.filter(({ instance }) => instance === address);
    const others = single.filter(({ instance }) => instance !== address);
    await pause(2000);
    const sessions = await fleet.rtpengineSessions();
    if (sessions !== undefined && fleet.options.bridge?.mode !== "signaling")
      report.check(
        "sound of bridged calls goes by way of rtpengine",
        sessions === joined.length,
        `${sessions} of ${joined.length} calls`,
      );
    const at = Date.now();
    await fleet.kill(number);

    const fresh: WatchedCall[] = [];
    for (let made = 0; made < 30; made++) {
      fresh.push(watcher.call("hold"));
      await pause(100);
    }
    for (const call of fresh) await call.settled(5000);
    const late = Math.max(
      ...fresh.map(({ answeredAt = Infinity, startedAt }) => answeredAt - startedAt),
    );
    report.check(
      "new calls go elsewhere within 3 s",
      fresh.every(({ isUp }) => isUp) && late < 3000,
      `${many(
        fresh.filter(({ isUp }) => isUp),
        fresh,
      )} answered, the slowest after ${seconds(late)}`,
    );

    await Promise.all(ivr.map((call) => call.over(Math.max(0, at + 10_000 - Date.now()))));
    const ends = ivr.map(({ endedAt = Infinity }) => endedAt - at);
    const byBye = ivr.filter(({ cause }) => cause === "remote-bye");
    report.check(
      "its calls of announcements and menus end with BYE within 10 s",
      ivr.length > 0 && byBye.length === ivr.length,
      `${many(byBye, ivr)}, the last after ${seconds(Math.max(...ends))}`,
    );

    await pause(Math.max(0, at + 11_000 - Date.now()));
    const up = ofIt.filter(({ caller, phone: leg }) => caller.isUp && leg.isUp);
    report.check(
      "its bridged calls live on",
      ofIt.length > 0 && up.length === ofIt.length,
      many(up, ofIt),
    );
    const frames = ofIt.flatMap(({ caller, phone: leg }) =>
      [caller, leg].map((call) => heard(call, at + 500, at + 10_500)),
    );
    report.check(
      "and hear each other without a gap",
      frames.length > 0 && frames.every((count) => count >= 97),
      `${frames.join(", ")} of 100 frames in the 10 s after`,
    );

    for (const { caller, phone: leg } of ofIt) {
      const talked = (Date.now() - (caller.answeredAt ?? 0)) / 1000;
      const callId = caller.session.snapshot().callId;
      const taken = await caller.hangUp();
      const passed = await leg.over(4000);
      report.check(
        "BYE of one leg ends the other",
        taken && passed && leg.cause === "remote-bye",
        `${caller.cause}, ${leg.cause ?? "still up"}`,
      );
      await pause(300);
      const told = (await Promise.all(survivors.map((each) => fleet.count(each))))
        .flatMap(({ ended }) => ended)
        .find((end) => end.callId === callId);
      report.check(
        "`ended` at a survivor, with the whole duration",
        told !== undefined && Math.abs((told.duration ?? 0) - talked) < 2,
        told === undefined
          ? "nothing"
          : `${told.cause}, ${told.duration} s of ${figure(talked, 1)} s`,
      );
    }

    const stayed = [
      ...others,
      ...joined.filter((pair) => !ofIt.includes(pair)).map(({ caller }) => caller),
    ];
    const unharmed = stayed.filter(({ isUp }) => isUp);
    const ended = await Promise.all([...unharmed, ...fresh].map((call) => call.hangUp()));
    report.check(
      "calls that were not on it are unharmed",
      unharmed.length === stayed.length && ended.every(Boolean),
      `${many(unharmed, stayed)} up, ${ended.filter(Boolean).length} of ${ended.length} ended as they should`,
    );
    for (const each of survivors) {
      const { ok, status } = await fleet.call(each, "alice");
      report.check(
        `the telephone is reached from instance ${each}`,
        ok,
        ok ? "answered" : `status ${status}`,
      );
    }
  } finally {
    await watcher.stop();
    await phone.stop();
  }
}
