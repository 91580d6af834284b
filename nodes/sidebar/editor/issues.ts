/**
 * What is wrong or will be, from what the runtime tells and from the flows as they stand in the editor: pure, so that
 * every rule has a test. An issue keeps its id as long as its reason stays, so that it can be hidden.
 */
import type { CallSummary, StackSummary } from "./types.js";

export interface Issue {
  readonly id: string;
  readonly severity: "error" | "warning";
  /** Key below `issue.` of the catalogue. */
  readonly key: string;
  readonly values: Readonly<Record<string, string | number>>;
  /** The node to go to. */
  readonly node: string;
}

/** A node of the editor, config nodes included. */
export interface WorkspaceNode {
  readonly id: string;
  readonly type: string;
  readonly label: string;
  /** Disabled, or on a disabled tab. */
  readonly disabled: boolean;
  /** Numbers of outputs from which a wire leaves, counted from 0. */
  readonly wired: readonly number[];
  readonly properties: Readonly<Record<string, unknown>>;
}

export const LONG_HOLD_SECONDS = 2 * 3600;

/** RFC 2606 names and RFC 5737 networks: in examples and documentation, never in use. */
const EXAMPLE =
  /(?:^|[@./:])(?:[\w-]+\.)*example(?:\.(?:com|net|org))?(?=$|[:;>?/,])|\.(?:invalid|test)(?=$|[:;>?/,])|(?<![\d.])(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d+/i;
const LOOPBACK = /(?:^|[@:[])(?:127\.\d+\.\d+\.\d+|localhost|::1)(?=$|[:;\]>])/i;
const EVENT_SOURCES: ReadonlySet<string> = new Set(["sip-incoming", "sip-invite", "sip-event"]);

export interface IssueSources {
  readonly stacks: readonly StackSummary[];
  readonly calls: readonly CallSummary[];
  readonly nodes: readonly WorkspaceNode[];
  /** Milliseconds. */
  readonly now: number;
}

export function findIssues(sources: IssueSources): Issue[] {
  const nodes = sources.nodes.filter((node) => !node.disabled);
  return [
    ...stackIssues(sources.stacks),
    ...accountIssues(sources.stacks),
    ...portIssues(nodes.filter((node) => node.type === "sip-stack")),
    ...addressIssues(nodes),
    ...wireIssues(nodes),
    ...sources.calls.flatMap((call) => holdIssues(call, sources.now)),
  ];
}

function stackIssues(stacks: readonly StackSummary[]): Issue[] {
  return stacks.flatMap((stack) => {
    const about = { name: stack.name || stack.id };
    const issues: Issue[] = [];
    if (stack.problem) {
      issues.push({
        id: `stack-failed ${stack.id} ${stack.problem}`,
        severity: "error",
        key: "stack-failed",
        values: { ...about, problem: stack.problem },
        node: stack.id,
      });
    } else if (stack.state === "failed") {
      issues.push({
        id: `stack-down ${stack.id}`,
        severity: "error",
        key: "stack-down",
        values: about,
        node: stack.id,
      });
    }
    if (stack.warning)
      issues.push({
        id: `stack-warning ${stack.id} ${stack.warning}`,
        severity: "warning",
        key: "stack-warning",
        values: { ...about, problem: stack.warning },
        node: stack.id,
      });
    return issues;
  });
}

function accountIssues(stacks: readonly StackSummary[]): Issue[] {
  return stacks.flatMap((stack) =>
    stack.accounts.flatMap((account): Issue[] => {
      const { registration } = account;
      const issue = (key: string, problem: string): Issue => ({
        id: `${key} ${account.id} ${problem}`,
        severity: "error",
        key,
        values: { name: account.uri, problem },
        node: account.id,
      });
      if (account.problem) return [issue("account-problem", account.problem)];
      if (
        registration === undefined ||
        account.standby !== undefined ||
        !/^(failed|unregistered|rejected)$/.test(registration.state)
      )
        return [];
      const { statusCode, reason, cause } = registration;
      const why = [statusCode, reason ?? cause].filter((part) => part !== undefined).join(" ");
      if (statusCode === 401 || statusCode === 403 || statusCode === 407)
        return [issue("account-password", why)];
      if (why) return [issue("account-failed", why)];
      return registration.state === "failed" ? [issue("account-expired", "")] : [];
    }),
  );
}

interface Listener {
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
}

/** Default ports of RFC 3261 §19.1.2 and RFC 7118. */
const DEFAULT_PORTS: Readonly<Record<string, number>> = { udp: 5060, tcp: 5060, tls: 5061 };

function listenersOf(node: WorkspaceNode): Listener[] {
  const { transports } = node.properties;
  if (!Array.isArray(transports)) return [];
  return transports.flatMap((entry: unknown): Listener[] => {
    if (typeof entry !== "object" || entry === null) return [];
    const { protocol, address, port } = entry as Record<string, unknown>;
    const name = String(protocol);
    const number = port === "" || port === undefined ? DEFAULT_PORTS[name] : Number(port);
    if (number === undefined || !Number.isInteger(number) || number === 0) return [];
    return [
      { protocol: name, address: typeof address === "string" ? address : "0.0.0.0", port: number },
    ];
  });
}

/** TCP, TLS and WebSocket share the ports of TCP. */
const overlap = (a: Listener, b: Listener): boolean => {
  const isAny = (address: string) => ["0.0.0.0", "::", "*", ""].includes(address);
  return (
    a.port === b.port &&
    (a.protocol === "udp") === (b.protocol === "udp") &&
    (a.address === b.address || isAny(a.address) || isAny(b.address))
  );
};

function portIssues(stacks: readonly WorkspaceNode[]): Issue[] {
  const issues: Issue[] = [];
  stacks.forEach((stack, index) => {
    for (const other of stacks.slice(index + 1)) {
      const mine = listenersOf(stack);
      const shared = listenersOf(other).find((each) => mine.some((own) => overlap(own, each)));
      if (shared === undefined) continue;
      issues.push({
        id: `same-port ${stack.id} ${other.id} ${shared.protocol} ${shared.port}`,
        severity: "error",
        key: "same-port",
        values: {
          name: stack.label,
          other: other.label,
          protocol: shared.protocol.toUpperCase(),
          port: shared.port,
        },
        node: other.id,
      });
    }
  });
  return issues;
}

/** Properties that name somebody or a place on the network. */
const ADDRESS_PROPERTIES = ["uri", "registrar", "outboundProxy", "to", "mediaAddress"];

function addressIssues(nodes: readonly WorkspaceNode[]): Issue[] {
  return nodes
    .filter((node) => node.type.startsWith("sip-"))
    .flatMap((node) =>
      ADDRESS_PROPERTIES.flatMap((property): Issue[] => {
        const value = node.properties[property];
        const type = node.properties[`${property}Type`];
        if (typeof value !== "string" || (type !== undefined && type !== "str")) return [];
        const isExample = EXAMPLE.test(value);
        // A phone on this machine is what the examples call; an account there registers nowhere else.
        const isLocal =
          node.type === "sip-account" &&
          property === "registrar" &&
          node.properties.register === true &&
          LOOPBACK.test(value);
        if (!isExample && !isLocal) return [];
        return [
          {
            id: `example-address ${node.id} ${property} ${value}`,
            severity: "warning",
            key: isExample ? "example-address" : "loopback-registrar",
            values: { name: node.label, value },
            node: node.id,
          },
        ];
      }),
    );
}

function wireIssues(nodes: readonly WorkspaceNode[]): Issue[] {
  // Such a node hears of all calls, so that the calling node's own outputs are not needed.
  const isHeard = nodes.some((node) => node.type === "sip-event" && node.wired.length > 0);
  return nodes
    .filter((node) => EVENT_SOURCES.has(node.type) && node.wired.length === 0)
    .filter((node) => node.type === "sip-incoming" || !isHeard)
    .map((node) => ({
      id: `unwired ${node.id}`,
      severity: "warning",
      key: node.type === "sip-incoming" ? "unwired-incoming" : "unwired",
      values: { name: node.label },
      node: node.id,
    }));
}

function holdIssues(call: CallSummary, now: number): Issue[] {
  if (!call.hold || call.hold === "none") return [];
  // When the hold began is not told; a call that old and on hold is worth a look.
  const seconds = (now - Date.parse(call.answerTime ?? call.startTime)) / 1000;
  if (!(seconds > LONG_HOLD_SECONDS)) return [];
  const name = call.remote?.displayName || call.remote?.user || call.remote?.host || "?";
  return [
    {
      id: `long-hold ${call.session}`,
      severity: "warning",
      key: "long-hold",
      values: { name, hours: Math.floor(seconds / 3600) },
      node: call.node ?? call.stack,
    },
  ];
}
