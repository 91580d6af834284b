/** Many calls, evenly and without a loss; and the same while an instance is drained. */
import { Calls, Telephone, Watcher } from "../../test/support/fleet/callers.js";
import type { Fleet } from "../../test/support/fleet/fleet.js";
import { pause } from "../../test/support/node-red.js";
import { measure, type Measured } from "./figures.js";
import { figure, type Report } from "./report.js";

async function counts(fleet: Fleet, name: string): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  for (const number of fleet.instances.keys())
    found.set(number, (await fleet.count(number)).count[name] ?? 0);
  return found;
}

export async function evenly(
  fleet: Fleet,
  report: Report,
  calls: number,
  rate: number,
): Promise<Measured> {
  report.title(`${figure(calls)} calls through flows`);
  const before = await counts(fleet, "ivr-ended");
  const plan = { calls, rate };
  const result = await measure(fleet, new Calls(fleet, { story: "ivr", ...plan }), plan);
  await pause(500);
  const after = await counts(fleet, "ivr-ended");
  const each = [...after].map(([number, value]) => value - (before.get(number) ?? 0));
  const mean = calls / each.length;
  const off = Math.max(...each.map((value) => Math.abs(value / mean - 1)));
  const lost = `${result.ok} ok, ${result.failed} failed, ${result.retransmissions} messages repeated, in ${figure(result.seconds, 1)} s`;
  report.check(
    "none is lost",
    result.ok === calls && result.failed === 0,
    lost + (result.failed > 0 ? `: ${result.problem.slice(0, 600)}` : ""),
  );
  report.check(
    "even within 10 %",
    off <= 0.1,
    `${each.join(", ")} per instance, ${figure(off * 100, 1)} % off at most`,
  );
  return result;
}

export async function reachable(fleet: Fleet, report: Report): Promise<void> {
  report.title("A telephone that is registered at Kamailio");
  const phone = await Telephone.start(fleet);
  try {
    for (const number of fleet.instances.keys()) {
      const { ok, status } = await fleet.call(number, "alice");
      report.check(`instance ${number} reaches it`, ok, ok ? "answered" : `status ${status}`);
    }
  } finally {
    await phone.stop();
  }
}

export async function drained(
  fleet: Fleet,
  report: Report,
  calls: number,
  rate: number,
): Promise<void> {
  report.title("One instance is drained");
  const number = fleet.instances.size;
  const address = fleet.places.instance(number);
  const watcher = await Watcher.start(fleet);
  try {
    const held = Array.from({ length: fleet.instances.size * 3 }, () => watcher.call("hold"));
    for (const call of held) await call.settled();
    const stream = new Calls(fleet, { story: "ivr", calls, rate });
    await pause((calls / rate) * 300);
    const status = await fleet.drain(number);
    const { ok, failed, problem } = await stream.result();
    report.check("POST sip/stacks/:id/drain", status === 202, `${status}`);
    const lost = `${ok} of ${calls} ok, ${failed} failed`;
    report.check(
      "no call is lost",
      ok === calls && failed === 0,
      lost + (failed > 0 ? `: ${problem.slice(0, 600)}` : ""),
    );
    await pause(1500);
    const before = (await fleet.count(number)).count["ivr"] ?? 0;
    const more = await new Calls(fleet, { story: "ivr", calls: 30, rate: 30 }).result();
    const taken = ((await fleet.count(number)).count["ivr"] ?? 0) - before;
    report.check("it gets no new ones", taken === 0 && more.ok === 30, `${taken} of ${more.ok}`);
    const own = held.filter(({ instance }) => instance === address);
    const up = own.filter(({ isUp }) => isUp).length;
    report.check(
      "its calls stay up",
      own.length > 0 && up === own.length,
      `${up} of ${own.length}`,
    );
    const ended = await Promise.all(held.map((call) => call.hangUp()));
    report.check(
      "and end as they should",
      ended.every(Boolean),
      `${ended.filter(Boolean).length} of ${ended.length}`,
    );
    await fleet.drain(number, "DELETE");
    await fleet.active(fleet.instances.size, 5000);
    report.check(
      "DELETE takes it in again",
      true,
      `${fleet.targets().length} instances take calls`,
    );
  } finally {
    await watcher.stop();
  }
}
