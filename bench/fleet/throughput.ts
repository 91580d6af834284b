/** The highest rate of calls that 1, 2 and 3 instances carry without a loss, and what stands in the way of more. */
import { cpus } from "node:os";
import { Calls } from "../../test/support/fleet/callers.js";
import type { Fleet } from "../../test/support/fleet/fleet.js";
import { pause } from "../../test/support/node-red.js";
import { measure, sum, type Measured } from "./figures.js";
import { figure, type Report } from "./report.js";

export interface Throughput {
  readonly instances: number;
  readonly best: Measured;
  /** The rate at which it went wrong, and why. */
  readonly limit: Measured | undefined;
}

/** Only the first `number` instances take new calls. */
export async function only(fleet: Fleet, number: number): Promise<void> {
  for (const each of fleet.instances.keys()) {
    const state = each <= number ? "ap" : "dx";
    fleet.kamcmd("dispatcher.set_state", state, "1", `sip:${fleet.places.instance(each)}:5060`);
  }
  await fleet.active(number);
}

async function at(fleet: Fleet, rate: number, seconds: number): Promise<Measured> {
  const plan = { calls: Math.round(rate * seconds), rate };
  return measure(fleet, new Calls(fleet, { story: "ivr", ...plan }), plan);
}

const clean = ({ ok, failed, calls, retransmissions, seconds, asked }: Measured): boolean =>
  ok === calls && failed === 0 && retransmissions < calls / 100 && seconds < calls / asked + 3;

/** Of the rate that was too high: who was busy, and what the callers got. */
function bottleneck(limit: Measured | undefined): string {
  if (limit === undefined) return "not reached";
  const { cores } = limit;
  const all = sum(cores, /./);
  const machine = cpus().length;
  const instance = Math.max(
    ...[...cores].filter(([part]) => part.startsWith("instance")).map(([, value]) => value),
  );
  if (limit.machine > machine * 0.85) {
    const others = limit.machine - all;
    const theirs = others > 0.2 ? `; other programs had ${figure(others * 100)} %` : "";
    return `the ${machine} cores of this machine, shared by all parts and the callers${theirs}`;
  }
  if (instance > 0.85) return "the event loop of an instance";
  if (sum(cores, /kamailio/) > machine * 0.5) return "Kamailio";
  const answer = /received 'SIP\/2.0 ([45]\d\d [^\r\n]*)/.exec(limit.problem)?.[1];
  return answer === undefined ? "repetitions" : `callers got ${answer}`;
}

export async function throughput(
  fleet: Fleet,
  report: Report,
  quick: boolean,
): Promise<Throughput[]> {
  report.title("Throughput of 1, 2 and 3 instances");
  const found: Throughput[] = [];
  const seconds = quick ? 3 : 6;
  const step = quick ? 1.5 : 1.3;
  for (let instances = 1; instances <= fleet.instances.size; instances++) {
    await only(fleet, instances);
    await at(fleet, 30, 2);
    let best: Measured | undefined;
    let limit: Measured | undefined;
    for (let rate = quick ? 60 : 150; rate < 2000; rate = Math.round(rate * step)) {
      const result = await at(fleet, rate, seconds);
      if (!clean(result)) {
        console.log(
          `  ${instances} at ${rate}/s: ${result.ok} ok, ${result.failed} failed, ${result.retransmissions} repeated, ${figure(result.seconds, 1)} s`,
        );
        limit = result;
        break;
      }
      best = result;
    }
    if (best === undefined) throw new Error(`${instances} instances carry no calls`);
    found.push({ instances, best, limit });
    // What was repeated is over before the next one begins.
    await pause(quick ? 1000 : 4000);
  }
  const share = (cores: ReadonlyMap<string, number>, which: RegExp): string =>
    `${figure(sum(cores, which) * 100)} %`;
  report.table(
    [
      "instances",
      "calls/s without a loss",
      "Node-RED",
      "Kamailio",
      "SIPp",
      "failed at",
      "bottleneck",
    ],
    found.map(({ instances, best, limit }) => [
      instances,
      best.asked,
      share(best.cores, /instance/),
      share(best.cores, /kamailio/),
      share(best.cores, /callers/),
      limit === undefined ? "–" : `${limit.asked}/s`,
      bottleneck(limit),
    ]),
  );
  report.tell(
    `A call: INVITE, answered by the flow, a tone, BYE by the flow. 100 % = one core in the busiest second; ${cpus().length} cores in all, shared by everything. The rate rises by ${Math.round((step - 1) * 100)} % until a call fails.`,
  );
  return found;
}
