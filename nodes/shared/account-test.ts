/**
 * The test button of an account (contract §8 "Test endpoints"): the way to its server step by step, then a REGISTER with a
 * Contact of its own that is taken away again, so that the registration which runs stays. An account that runs unchanged
 * is refreshed instead.
 */
import type { Node, NodeAPI } from "node-red";
import {
  type AccountOptions,
  type AccountWay,
  accountServers,
  accountWay,
  type ActionOutcome,
  errorText,
  type FlowTarget,
  type Logger,
  probeConnection,
  probeDatagram,
  SipError,
  type TransportOptions,
} from "../../lib/index.js";
import { accountFingerprint } from "./account-book.js";
import { readAccount } from "./account-settings.js";
import type { Engine } from "./engine.js";
import { findEngine } from "./engines.js";
import { environment } from "./environment.js";
import { migrated } from "./migrations.js";
import type { NodeConfig } from "./property-values.js";
import { isRecord } from "./sip-fields.js";
import { readStackSettings, type StackSettings } from "./stack-settings.js";
import { certificateStep } from "./test-certificates.js";
import { testReason } from "./test-reasons.js";
import { type StepText, TestFailure, type TestRun, type TestStepName } from "./test-run.js";
import { translate } from "./texts.js";

/** What Node-RED's editor puts into a password field that nobody has touched. */
const UNCHANGED = "__PWRD__";
const CONNECT_MS = 4_000;
const ANSWER_MS = 8_000;
/** Taking the binding away, and stopping. */
const CLEAN_UP_MS = 2_000;
const MOST_SERVERS = 3;
const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

interface Plan {
  readonly RED: NodeAPI;
  readonly run: TestRun;
  readonly options: AccountOptions;
  readonly transports: readonly TransportOptions[];
  readonly settings: StackSettings;
  readonly engine: Engine | undefined;
  /** It runs with exactly these settings. */
  readonly live: Engine | undefined;
}

/** @param body - Properties as the dialog holds them, with `id`, `stack`, `password`, and `stackSettings` of an unsaved stack. */
export async function testAccount(
  RED: NodeAPI,
  body: Readonly<Record<string, unknown>>,
  run: TestRun,
): Promise<void> {
  const plan = await settingsStep(RED, body, run);
  const way = await dnsStep(plan);
  const target = await socketStep(plan, way);
  if (plan.live === undefined) await registerAside(plan, target);
  else await refresh(plan, plan.live, target);
}

async function settingsStep(
  RED: NodeAPI,
  body: Readonly<Record<string, unknown>>,
  run: TestRun,
): Promise<Plan> {
  try {
    return planOf(RED, body, run);
  } catch (error) {
    const text = errorText(error);
    await run.step("settings", () => ({ text, ok: false }));
    throw error instanceof TestFailure ? error : new TestFailure(text);
  }
}

function planOf(RED: NodeAPI, body: Readonly<Record<string, unknown>>, run: TestRun): Plan {
  const config = migrated({ ...body, type: "sip-account" } as unknown as NodeConfig);
  const stackId = typeof body["stack"] === "string" ? body["stack"] : "";
  const engine = findEngine(stackId);
  const unsaved = body["stackSettings"];
  const stackConfig = isRecord(unsaved)
    ? ({ ...unsaved, id: stackId, type: "sip-stack" } as unknown as NodeConfig)
    : deployed(RED, stackId, "sip-stack");
  if (stackConfig === undefined) throw new TestFailure(translate(RED, "test.reason.noStack"));
  const settings = readStackSettings(RED, nodeOf(RED, stackId), migrated(stackConfig));
  const isSavedStack = engine?.settings.fingerprint === settings.fingerprint;
  const node = nodeOf(RED, config.id, stackId);
  const password = passwordFor(RED, node, config, isSavedStack);
  const options = readAccount(RED, node, config, password);
  accountServers(options); // throws for what cannot be
  const entry = engine?.accounts.entry(config.id);
  const isLive =
    isSavedStack &&
    engine.state === "running" &&
    options.register !== false &&
    entry?.fingerprint === accountFingerprint(options);
  return {
    RED,
    run,
    options,
    transports: settings.transports(),
    settings,
    engine,
    live: isLive ? engine : undefined,
  };
}

/** The node for `${ENV}`: of the account, else of its stack, else the process's environment alone. */
function nodeOf(RED: NodeAPI, ...ids: string[]): Node {
  const found = ids.map((id) => RED.nodes.getNode(id) as Node | null).find((node) => node !== null);
  return found ?? ({} as Node);
}

/** A config node as it was deployed. */
function deployed(RED: NodeAPI, id: string, type: string): NodeConfig | undefined {
  let found: NodeConfig | undefined;
  RED.nodes.eachNode((def) => {
    if (def.id === id && def.type === type) found = def as NodeConfig;
  });
  return found;
}

/** The saved password goes only to whom it was saved for. @throws TestFailure that asks for it. */
function passwordFor(
  RED: NodeAPI,
  node: Node,
  config: NodeConfig,
  isSavedStack: boolean,
): string | undefined {
  const typed = config["password"];
  if (typed !== UNCHANGED) return typeof typed === "string" && typed !== "" ? typed : undefined;
  const saved = deployed(RED, config.id, "sip-account");
  const credentials = RED.nodes.getCredentials(config.id) as { password?: unknown } | undefined;
  const servers = (each: NodeConfig): string =>
    accountServers(readAccount(RED, node, each, undefined));
  const isSame =
    isSavedStack &&
    saved !== undefined &&
    saved["stack"] === config["stack"] &&
    servers(migrated(saved)) === servers(config);
  if (!isSame) throw new TestFailure(translate(RED, "test.reason.passwordAgain"));
  return typeof credentials?.password === "string" ? credentials.password : undefined;
}

async function dnsStep({ RED, run, options, transports, settings }: Plan): Promise<AccountWay> {
  let way: AccountWay | undefined;
  const protocols = [...new Set(transports.map(({ protocol }) => protocol))];
  const families = ([4, 6] as const).filter((family) =>
    transports.some(({ address }) => address.includes(":") === (family === 6)),
  );
  await reasoned({ RED, run }, "dns", undefined, async () => {
    const { dnsServers } = settings.surroundings();
    const looking = accountWay(options, { protocols, families, dnsServers });
    way = await run.within(looking, run.left, () => {
      throw new TestFailure(translate(RED, "test.reason.unknownName"));
    });
    const { host, targets } = way;
    const isAddress = targets.some(({ address }) => host === address || host === `[${address}]`);
    const places = targets.slice(0, 5).map(placeOf).join(", ");
    return isAddress
      ? { text: translate(RED, "test.numeric", { host }), detail: places }
      : { text: translate(RED, "test.dns", { host, places }) };
  });
  if (way === undefined) throw new TestFailure(translate(RED, "test.reason.unknownName"));
  return way;
}

/** The first server that can be reached, as the stack would go to the next one, too. */
async function socketStep(plan: Plan, way: AccountWay): Promise<FlowTarget> {
  const servers = way.targets.slice(0, MOST_SERVERS);
  for (const target of servers) {
    try {
      await reachStep(plan, target);
      return target;
    } catch (error) {
      if (error instanceof TestFailure && target === servers.at(-1)) throw error;
      plan.run.signal.throwIfAborted();
    }
  }
  throw new TestFailure(translate(plan.RED, "test.reason.noAnswer"));
}

async function reachStep(plan: Plan, target: FlowTarget): Promise<void> {
  const { RED, run, transports } = plan;
  const { signal } = run;
  const place = placeOf(target);
  const tls = transports.find(({ protocol }) => protocol === target.protocol)?.tls;
  let after: (() => void) | undefined;
  await reasoned(plan, "socket", target, async () => {
    if (target.protocol === "udp") {
      const local = await probeDatagram(target, { signal });
      return { text: translate(RED, "test.datagram", { place, local }) };
    }
    const limitMs = Math.min(CONNECT_MS, run.left);
    const probe = await probeConnection(target, { signal, limitMs, tls });
    const { peer, ms } = probe.tls ?? {};
    if (peer !== undefined) after = () => certificateStep(plan, peer, ms ?? 0, tls);
    return { text: translate(RED, "test.connected", { place, local: probe.localAddress }) };
  });
  after?.();
}

/** The account that runs asks its registrar anew; its binding stays what it is. */
async function refresh(plan: Plan, engine: Engine, target: FlowTarget): Promise<void> {
  const account = engine.userAgent?.accounts.get(plan.options.id);
  if (account === undefined) return registerAside(plan, target);
  await answerStep(plan, "register", target, account.register(), (status) =>
    translate(plan.RED, "test.refreshed", {
      status,
      seconds: account.registration.expires ?? "?",
    }),
  );
}

/** A user agent on ports of its own, for this one question. */
async function registerAside(plan: Plan, target: FlowTarget): Promise<void> {
  const { RED, run, options, settings } = plan;
  const { dnsServers, userAgent: product } = settings.surroundings();
  const userAgent = environment().createUserAgent({
    // Neither the port nor the public address of the stack: its Contact must not be ours.
    transports: plan.transports.map(({ protocol, address, tls, path, port }) => ({
      protocol,
      address,
      tls,
      path,
      port: port === undefined ? undefined : 0,
    })),
    userAgent: product,
    dnsServers,
    deny: ["0.0.0.0/0", "::/0"],
    logger: silent,
  });
  try {
    await userAgent.start();
    const account = userAgent.addAccount({
      ...options,
      register: false,
      learnPublicAddress: false,
      keepAlive: 0,
      instanceId: undefined,
    });
    if (options.register === false) {
      await answerStep(
        plan,
        "options",
        target,
        userAgent.request({ method: "OPTIONS", to: domainOf(options.uri), account: options.id }),
        (status) => translate(RED, "test.answered", { status }),
      );
      return;
    }
    await answerStep(plan, "register", target, account.register(), (status) =>
      translate(RED, "test.registered", { status, seconds: account.registration.expires ?? "?" }),
    );
    await run.step("unregister", async () => {
      const left = await run.within(account.unregister(), CLEAN_UP_MS, noAnswer);
      const text = translate(RED, left.ok ? "test.removed" : "test.notRemoved");
      return { text, detail: left.ok ? undefined : statusOf(left) };
    });
    restore(plan);
  } finally {
    await userAgent.stop({ graceMs: CLEAN_UP_MS / 2 });
  }
}

/**
 * A registrar that takes one Contact per user has put ours in the place of the one that runs: that comes back at once.
 */
function restore({ engine, options }: Plan): void {
  const account = engine?.userAgent?.accounts.get(options.id);
  if (account?.registration.state === "registered") void account.register();
}

/** Waits for the answer to a REGISTER or OPTIONS and says what it means. @throws TestFailure for a bad one. */
async function answerStep(
  plan: Plan,
  step: "register" | "options",
  { protocol }: FlowTarget,
  answer: Promise<ActionOutcome>,
  good: (status: string) => string,
): Promise<void> {
  const { RED, run, options } = plan;
  let outcome: ActionOutcome = noAnswer();
  await run.step(step, async () => {
    outcome = await run.within(answer, ANSWER_MS, noAnswer);
    const { statusCode } = outcome;
    const isGood = outcome.ok || (step === "options" && isAlive(statusCode));
    if (isGood) return { text: good(statusOf(outcome)) };
    const seconds = ANSWER_MS / 1000;
    return statusCode > 0
      ? { text: translate(RED, "test.answered", { status: statusOf(outcome) }), ok: false }
      : { text: translate(RED, "test.noAnswer", { seconds }), detail: outcome.reason, ok: false };
  });
  const { statusCode, ok } = outcome;
  if (ok || (step === "options" && isAlive(statusCode))) return;
  const hasPassword = options.password !== undefined;
  const key = testReason({ step, statusCode, protocol, hasPassword }) ?? "refused";
  const values = { status: statusCode, user: options.authUser ?? userOf(options.uri) };
  throw new TestFailure(translate(RED, `test.reason.${key}`, values));
}

/** Somebody who speaks SIP is there, and does not doubt who we are. */
function isAlive(statusCode: number): boolean {
  return statusCode >= 200 && statusCode < 500 && ![401, 403, 407, 408].includes(statusCode);
}

function noAnswer(): ActionOutcome {
  return { ok: false, cause: "timeout", statusCode: 0 };
}

/** The step; where it fails, the sentence that the table has for that. */
async function reasoned(
  { RED, run }: Pick<Plan, "RED" | "run">,
  step: TestStepName,
  target: FlowTarget | undefined,
  work: () => Promise<StepText>,
): Promise<void> {
  try {
    await run.step(step, work);
  } catch (error) {
    if (error instanceof TestFailure) throw error;
    const code = codeOf(error);
    const key = testReason({ step, code, protocol: target?.protocol });
    const text = errorText(error);
    throw new TestFailure(key === undefined ? text : translate(RED, `test.reason.${key}`));
  }
}

/** Of the system call that failed, else of the error itself. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof SipError)) return undefined;
  const { cause } = error;
  const isSystem = isRecord(cause) && typeof cause["code"] === "string";
  return isSystem ? (cause["code"] as string) : error.code;
}

function placeOf({ protocol, address, port }: FlowTarget): string {
  return `${protocol} ${address.includes(":") ? `[${address}]` : address}:${port}`;
}

function statusOf({ statusCode, reason }: ActionOutcome): string {
  return `${statusCode} ${reason ?? ""}`.trim();
}

function domainOf(uri: string): string {
  return uri.replace(/^(sips?:)?[^@]*@/i, (_whole, scheme?: string) => scheme ?? "sip:");
}

function userOf(uri: string): string {
  return uri.replace(/^sips?:/i, "").replace(/@.*$/, "");
}
