/**
 * From the cost of each part here to fleets of 1,000 instances. What grows with the calls, with the instances, and with the
 * square of the instances is measured apart: OPTIONS to many addresses, members of a group that beat, registrations, bridged
 * calls. The model is a sum, stated in the report; nothing in it is a queue, a network or a second machine.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SystemClock } from "../../lib/index.js";
import { silentLogger } from "../../lib/foundation/index.js";
import { openGroup } from "../../nodes/shared/fleet/index.js";
import { Calls, Telephone, Watcher } from "../../test/support/fleet/callers.js";
import type { Fleet } from "../../test/support/fleet/fleet.js";
import { memory, processorTime } from "../../test/support/fleet/processor.js";
import { pause } from "../../test/support/node-red.js";
import { measure, type Measured } from "./figures.js";
import { figure, type Report } from "./report.js";

/** All in microseconds of processor time. */
interface Costs {
  /** A call at its instance, at Kamailio. */
  readonly instance: number;
  readonly kamailio: number;
  /** OPTIONS and its answer, at Kamailio. */
  readonly probe: number;
  /** A registration with its challenge, at Kamailio. */
  readonly registration: number;
  /** A beat of a member of a group of n, at Redis: `beat + beatPerMember · n`. */
  readonly beat: number;
  readonly beatPerMember: number;
  /** A record that is written and removed, at Redis. */
  readonly record: number;
  /** A second of a bridged call, at rtpengine. */
  readonly talk: number;
}

/** Taken, not measured. */
const ASSUMED = {
  /** Of a core that an instance may use. */
  load: 0.5,
  /** Of the calls, that are joined to a second one, and for how long. */
  bridged: 0.2,
  talkSeconds: 120,
  phonesPerInstance: 200,
  registerEachSeconds: 600,
  /** Of each machine of Kamailio and rtpengine. */
  cores: 8,
  /** A Kamailio or rtpengine is full at this share of its cores, Redis of its one. */
  full: 0.7,
  /** rtpengine: `port-min` to `port-max` of conf/rtpengine.conf, four ports a call. */
  callsPerRtpengine: 30_000 / 4,
};

function pidOf(fleet: Fleet, part: "kamailio" | "redis" | "rtpengine"): number {
  return fleet.processes().get(part) ?? 0;
}

/** Milliseconds of processor time per second of waiting. */
async function idle(pid: number, seconds: number): Promise<number> {
  const before = processorTime(pid);
  await pause(seconds * 1000);
  return (processorTime(pid) - before) / seconds;
}

async function costOfProbe(fleet: Fleet, seconds: number): Promise<number> {
  const many = 400;
  const pid = pidOf(fleet, "kamailio");
  const few = await idle(pid, seconds);
  const file = join(fleet.folder, "dispatcher.list");
  const list = readFileSync(file, "utf8");
  const address = fleet.places.at(90);
  const answering = createSocket("udp4");
  answering.on("message", (data, { port }) => {
    const [, ...lines] = data.toString("latin1").split("\r\n");
    const kept = lines.filter((line) => /^(via|from|to|call-id|cseq):/i.test(line));
    const text = ["SIP/2.0 200 OK", ...kept, "Content-Length: 0", "", ""].join("\r\n");
    answering.send(text, port, fleet.places.kamailio);
  });
  answering.bind(5070, address);
  await once(answering, "listening");
  try {
    // A set of its own: no calls go there.
    const more = Array.from({ length: many }, (_, at) => `9 sip:${address}:5070;n=${at} 0 0`);
    writeFileSync(file, [list.trim(), ...more, ""].join("\n"));
    fleet.kamcmd("dispatcher.reload");
    await pause(3000);
    const all = await idle(pid, seconds);
    return ((all - few) * 1000) / many;
  } finally {
    writeFileSync(file, list);
    fleet.kamcmd("dispatcher.reload");
    answering.close();
    await fleet.active(fleet.instances.size);
  }
}

async function costOfBeat(fleet: Fleet, members: number, seconds: number): Promise<number> {
  const pid = pidOf(fleet, "redis");
  const alone = await idle(pid, seconds);
  const clock = new SystemClock();
  const groups = Array.from({ length: members }, () =>
    openGroup({ url: fleet.places.sharedState, name: "model", clock, logger: silentLogger }),
  );
  try {
    const all = (): boolean => groups.every((group) => group.members.size === members);
    for (let tries = 0; !all() && tries < 60; tries++) await pause(500);
    if (!all()) throw new Error(`${members} members do not see each other`);
    await pause(2000);
    return (((await idle(pid, seconds)) - alone) * 1000) / members;
  } finally {
    await Promise.all(groups.map((group) => group.close()));
  }
}

async function costOfRecord(fleet: Fleet): Promise<number> {
  const records = 3000;
  const pid = pidOf(fleet, "redis");
  const clock = new SystemClock();
  const group = openGroup({
    url: fleet.places.sharedState,
    name: "model",
    clock,
    logger: silentLogger,
  });
  try {
    for (let tries = 0; !group.isConnected && tries < 100; tries++) await pause(50);
    const before = processorTime(pid);
    const value = "x".repeat(3000);
    for (let at = 0; at < records; at += 50) {
      for (let each = at; each < at + 50; each++) group.put("model", `call-${each}`, value, 60);
      await pause(10);
      for (let each = at; each < at + 50; each++) group.remove("model", `call-${each}`);
      await pause(10);
    }
    await pause(500);
    return ((processorTime(pid) - before) * 1000) / records;
  } finally {
    await group.close();
  }
}

/** A second of one bridged call at rtpengine; NaN when its sound does not go there. */
async function costOfTalk(fleet: Fleet, calls: number, seconds: number): Promise<number> {
  const watcher = await Watcher.start(fleet);
  const phone = await Telephone.start(fleet);
  try {
    const pid = pidOf(fleet, "rtpengine");
    const before = await idle(pid, 2);
    const made = Array.from({ length: calls }, () => watcher.call("bridge-alice"));
    for (const call of made) await call.settled();
    await pause(2000);
    for (const call of [...made, ...phone.calls]) if (call.isUp) await call.talk();
    const up = made.filter(({ isUp }) => isUp).length;
    const talking = await idle(pid, seconds);
    await Promise.all(made.map((call) => call.hangUp()));
    const cost = ((talking - before) * 1000) / up;
    return cost > 100 ? cost : Number.NaN;
  } finally {
    await watcher.stop();
    await phone.stop();
  }
}

async function costOfRegistration(fleet: Fleet, quick: boolean): Promise<number> {
  const plan = { calls: quick ? 300 : 2000, rate: 200 };
  const run = new Calls(fleet, { story: "register", ...plan });
  const { ok, failed, problem, perCall } = await measure(fleet, run, plan);
  if (ok === 0) throw new Error(`${failed} registrations failed: ${problem}`);
  return perCall.get("kamailio") ?? Number.NaN;
}

/** What a fleet of `instances` needs. */
function sizeOf(instances: number, costs: Costs) {
  const perInstance = (ASSUMED.load * 1e6) / costs.instance;
  const calls = perInstance * instances;
  const registrations = (instances * ASSUMED.phonesPerInstance) / ASSUMED.registerEachSeconds;
  const talking = calls * ASSUMED.bridged * ASSUMED.talkSeconds;
  const machine = ASSUMED.cores * ASSUMED.full;
  const kamailio =
    (calls * costs.kamailio + instances * costs.probe + registrations * costs.registration) / 1e6;
  const beats = (instances * (costs.beat + costs.beatPerMember * instances)) / 1e6;
  // A record at the answer, one more in the middle.
  const records = (calls * costs.record * 2) / 1e6;
  const rtpengine = (talking * costs.talk) / 1e6;
  return {
    calls,
    talking,
    kamailio,
    probes: (instances * costs.probe) / 1e6,
    registrar: (registrations * costs.registration) / 1e6,
    redis: beats + records,
    beats,
    rtpengine,
    kamailios: kamailio / machine,
    redises: (beats + records) / ASSUMED.full,
    rtpengines: Math.max(rtpengine / machine, talking / ASSUMED.callsPerRtpengine),
    byPorts: talking / ASSUMED.callsPerRtpengine > rtpengine / machine,
  };
}

/** The number of instances at which a part needs its second machine. */
function fullAt(part: "kamailios" | "redises" | "rtpengines", costs: Costs): number {
  let least = 1;
  let most = 1e6;
  while (most - least > 1) {
    const middle = Math.floor((least + most) / 2);
    if (sizeOf(middle, costs)[part] > 1) most = middle;
    else least = middle;
  }
  return most;
}

export async function model(
  fleet: Fleet,
  report: Report,
  even: Measured,
  quick: boolean,
): Promise<void> {
  report.title("Up to 1,000 instances");
  const seconds = quick ? 2 : 5;
  const instances = [...even.perCall].filter(([part]) => part.startsWith("instance"));
  const [small, large] = quick ? [20, 60] : [50, 200];
  const beats = [
    await costOfBeat(fleet, small, seconds),
    await costOfBeat(fleet, large, seconds),
  ] as const;
  const beatPerMember = Math.max(0, (beats[1] - beats[0]) / (large - small));
  const costs: Costs = {
    instance: instances.reduce((sum, [, value]) => sum + value, 0),
    kamailio: even.perCall.get("kamailio") ?? Number.NaN,
    probe: await costOfProbe(fleet, seconds),
    registration: await costOfRegistration(fleet, quick),
    beat: Math.max(0, beats[0] - beatPerMember * small),
    beatPerMember,
    record: await costOfRecord(fleet),
    talk: await costOfTalk(fleet, quick ? 5 : 10, seconds),
  };
  report.table(
    ["measured here", "µs of a core"],
    [
      ["a call at its instance (answer, tone, BYE)", figure(costs.instance)],
      ["a call at Kamailio", figure(costs.kamailio)],
      ["OPTIONS to one instance, at Kamailio", figure(costs.probe)],
      ["a registration with its challenge, at Kamailio", figure(costs.registration)],
      [
        `a beat of a member in a group of ${small}, of ${large}, at Redis`,
        beats.map((beat) => figure(beat)).join(", "),
      ],
      ["a record of 3 kB written and removed, at Redis", figure(costs.record)],
      ["a second of a bridged call, at rtpengine", figure(costs.talk)],
    ],
  );
  const megabytes = [...fleet.processes()].map(([part, pid]) => `${part} ${figure(memory(pid))}`);
  report.tell(`Memory now, MB: ${megabytes.sort().join(", ")}.`);
  const core = (value: number): string => figure(value, value < 0.1 ? 3 : value < 10 ? 2 : 0);
  report.table(
    [
      "instances",
      "calls/s",
      "bridged at once",
      "Kamailio, cores",
      "of it OPTIONS",
      "of it registrar",
      "Redis, of its one core",
      "of it beats",
      "rtpengine, cores",
      "machines: Kamailio, rtpengine",
    ],
    [1, 3, 10, 100, 1000].map((number) => {
      const size = sizeOf(number, costs);
      return [
        number,
        figure(size.calls),
        figure(size.talking),
        core(size.kamailio),
        core(size.probes),
        core(size.registrar),
        core(size.redis),
        core(size.beats),
        core(size.rtpengine),
        `${figure(Math.ceil(size.kamailios))}, ${figure(Math.ceil(size.rtpengines))}${size.byPorts ? " (ports)" : ""}`,
      ];
    }),
  );
  const parts = [
    [
      `rtpengine (${sizeOf(1, costs).byPorts ? "its ports" : "its cores"})`,
      fullAt("rtpengines", costs),
    ],
    ["Kamailio (its cores; calls, not OPTIONS or registrations)", fullAt("kamailios", costs)],
    ["Redis (its one core)", fullAt("redises", costs)],
  ] as const;
  const order = parts
    .filter(([, at]) => Number.isFinite(at))
    .sort(([, one], [, other]) => one - other)
    .map(([part, at]) => `${part} at ${figure(at)} instances`);
  report.tell(`What is full first: ${order.join("; ")}.`);
  report.tell(
    `The model: calls/s = ${ASSUMED.load * 100} % of a core of each instance; ${ASSUMED.bridged * 100} % of the calls are bridged for ${ASSUMED.talkSeconds} s; ${ASSUMED.phonesPerInstance} telephones per instance register each ${ASSUMED.registerEachSeconds} s; each call has two records in Redis; Kamailio and rtpengine have ${ASSUMED.cores} cores a machine, full at ${ASSUMED.full * 100} %; an rtpengine has ${figure(ASSUMED.callsPerRtpengine)} calls' ports per address. The second leg of a bridged call and its two re-INVITEs are not in it. Costs are added up; cores of other machines differ from these.`,
  );
}
