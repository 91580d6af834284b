/** `GET sip/metrics`: the figures of all stacks in the text format of Prometheus, version 0.0.4. */
import { printable } from "../../lib/index.js";
import { callsOfStack } from "./call.js";
import { traces } from "./tracing/index.js";
import type { DirectionTotals } from "./call-statistics.js";
import type { Engine } from "./engine.js";
import { mediaEngines } from "./media-engines.js";

export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

type Kind = "counter" | "gauge";
type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** Names of the user agent's counters that only grow; the others are states. */
const GROWING: ReadonlySet<string> = new Set([
  "received",
  "sent",
  "malformed",
  "dropped",
  "repeatedRequests",
  "repeatedAnswers",
  "strayResponses",
  "mergedRequests",
  "refusedRequests",
  "refusedByGate",
  "refusedByRate",
  "refusedByLoad",
  "malformedRequests",
  "sessionsTotal",
]);

/** The states that a call can be in; each is shown with 0, too, so that a graph has no gaps. */
const STATES = {
  incoming: ["incoming", "early", "established", "terminating"],
  outgoing: ["inviting", "early", "established", "terminating"],
} as const;
const REGISTRATION_STATES = [
  "unregistered",
  "registering",
  "registered",
  "failed",
  "unregistering",
] as const;

class Page {
  readonly #families = new Map<string, { kind: Kind; help: string; samples: Sample[] }>();

  add(name: string, kind: Kind, help: string, labels: Labels, value: number): void {
    let family = this.#families.get(name);
    if (family === undefined) this.#families.set(name, (family = { kind, help, samples: [] }));
    family.samples.push({ labels, value });
  }

  toString(): string {
    let text = "";
    for (const [name, { kind, help, samples }] of this.#families) {
      text += `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`;
      for (const { labels, value } of samples) text += `${name}{${shown(labels)}} ${value}\n`;
    }
    return text;
  }
}

/** The figures now. Nothing of a peer becomes a label, so that there are as many series as stacks and causes. */
export function metricsText(engines: Iterable<Engine>): string {
  const page = new Page();
  for (const engine of engines) describe(page, engine);
  const help = "Memory that the messages of traced calls take, about.";
  page.add("sip_trace_bytes", "gauge", help, {}, traces.size);
  return page.toString();
}

function describe(page: Page, engine: Engine): void {
  const stack = { stack: engine.stackId, name: engine.settings.name };
  const isUp = engine.state === "running";
  page.add("sip_stack_up", "gauge", "1 when the stack is running.", stack, isUp ? 1 : 0);
  const drains = engine.drain.isWanted ? 1 : 0;
  page.add("sip_stack_draining", "gauge", "1 while it takes no new calls.", stack, drains);
  describeGroup(page, engine, stack);
  for (const { address, isUp: answers, calls } of mediaEngines(engine.stackId)?.engines ?? []) {
    const labels = { ...stack, engine: address };
    page.add(
      "sip_rtpengine_up",
      "gauge",
      "1 while the rtpengine answers.",
      labels,
      answers ? 1 : 0,
    );
    page.add("sip_rtpengine_bridges", "gauge", "Bridges of ours on it.", labels, calls);
  }
  for (const entry of engine.accounts.entries()) {
    const { id, uri } = entry.options;
    const isRegistered = engine.accounts.registration(id)?.state === "registered";
    const labels = { ...stack, account: id, uri: printable(uri) };
    const help = "1 while the registrar knows us.";
    page.add("sip_account_registered", "gauge", help, labels, isRegistered ? 1 : 0);
  }
  describeAccounts(page, engine, stack);
  const { totals } = engine;
  const now = callsOfStack(engine.stackId);
  for (const direction of ["incoming", "outgoing"] as const) {
    const labels = { ...stack, direction };
    for (const state of STATES[direction]) {
      const count = now.filter(
        ({ session }) => session.direction === direction && session.state === state,
      ).length;
      page.add("sip_calls", "gauge", "Calls now, by state.", { ...labels, state }, count);
    }
    describeTotals(page, totals[direction], labels);
  }
  const media = (name: string, help: string, value: number): void => {
    page.add(name, "counter", `${help} Of calls that have ended.`, stack, value);
  };
  media("sip_rtp_packets_sent_total", "RTP packets sent.", totals.packetsSent);
  media("sip_rtp_packets_received_total", "RTP packets received.", totals.packetsReceived);
  media("sip_rtp_packets_lost_total", "RTP packets that did not arrive.", totals.packetsLost);
  media("sip_rtp_packets_rejected_total", "SRTP packets refused.", totals.packetsRejected);
  media("sip_rtp_concealed_seconds_total", "Sound made up for losses.", totals.concealed / 1000);
  for (const [name, value] of Object.entries(engine.userAgent?.counters() ?? {})) {
    const grows = GROWING.has(name);
    const base = name
      .replace(/Total$/, "")
      .replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const help = `${grows ? "Total" : "Number"} of the SIP stack's counter ${name}.`;
    page.add(
      `sip_stack_${base}${grows ? "_total" : ""}`,
      grows ? "counter" : "gauge",
      help,
      stack,
      value,
    );
  }
}

function describeGroup(page: Page, { group, leases, callsTaken }: Engine, stack: Labels): void {
  if (group === undefined) return;
  const up = "1 while the shared state answers.";
  page.add("sip_group_connected", "gauge", up, stack, group.isConnected ? 1 : 0);
  const live = "Instances of the group, this one included.";
  page.add("sip_group_members", "gauge", live, stack, group.members.size);
  const held = "Registrations of the group that this instance keeps.";
  page.add("sip_group_leases", "gauge", held, stack, leases);
  const taken = "Calls of instances that are gone, taken over by this one.";
  page.add("sip_group_calls_taken_total", "counter", taken, stack, callsTaken);
}

function describeAccounts(page: Page, engine: Engine, stack: Labels): void {
  const accounts = [...engine.accounts.entries()].map(
    ({ options }) => engine.accounts.registration(options.id)?.state ?? "unregistered",
  );
  for (const state of REGISTRATION_STATES) {
    const count = accounts.filter((one) => one === state).length;
    page.add("sip_accounts", "gauge", "Accounts by registration.", { ...stack, state }, count);
  }
}

function describeTotals(page: Page, totals: DirectionTotals, labels: Labels): void {
  const add = (name: string, kind: Kind, help: string, value: number, more: Labels = {}): void =>
    page.add(name, kind, help, { ...labels, ...more }, value);
  for (const [cause, count] of totals.ended) {
    add("sip_calls_ended_total", "counter", "Calls that ended, by cause.", count, { cause });
  }
  add("sip_calls_answered_total", "counter", "Calls that were answered.", totals.answered);
  const setup = "Seconds from INVITE to answer, of calls that were answered.";
  add("sip_call_setup_seconds_total", "counter", setup, totals.setupSeconds);
  const talk = "Seconds from answer to end, of calls that have ended.";
  add("sip_call_talk_seconds_total", "counter", talk, totals.talkSeconds);
  add("sip_calls_talked_total", "counter", "Answered calls that have ended.", totals.talked);
}

function shown(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, escaped)}"`)
    .join(",");
}

function escaped(character: string): string {
  return character === "\n" ? "\\n" : `\\${character}`;
}
