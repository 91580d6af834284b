/**
 * `sip-supplement`: sees every message of a stack, changes headers, makes requests wait (contract §4.6).
 * Outputs: 1 incoming request, 2 incoming response, 3 outgoing request, 4 outgoing response, 5 session begin, 6 end.
 */
import type { Node, NodeAPI } from "node-red";
import {
  errorText,
  type Session,
  type SipRequest,
  type SipResponse,
  type SupplementContext,
  type SupplementMessage,
} from "../lib/index.js";
import { deploys } from "./shared/deploys.js";
import { dispatcher } from "./shared/dispatcher.js";
import { misuse, nodeError } from "./shared/errors.js";
import { sessionFields } from "./shared/event-fields.js";
import { attachNode } from "./shared/flow-node.js";
import { checkedHeader } from "./shared/header-input.js";
import { hideKeys } from "./shared/media-keys.js";
import { messageFields, partyFields } from "./shared/message-fields.js";
import { list, milliseconds, number } from "./shared/properties.js";
import { type NodeConfig, readLiterals } from "./shared/property-values.js";
import { isRecord, type SipFields, withoutUndefined } from "./shared/sip-fields.js";
import {
  addSupplementNode,
  removeSupplementNode,
  type SupplementNode,
} from "./shared/supplement-nodes.js";

const LONGEST_WAIT_MS = 20_000;
const OUTPUTS = [
  "incoming-request",
  "incoming-response",
  "outgoing-request",
  "outgoing-response",
  "session-begin",
  "session-end",
] as const;

const CANNOT_WAIT: ReadonlySet<string> = new Set(["ACK", "CANCEL"]);
/** Context stores and JSONata may answer in a later turn. */
const SLOW: ReadonlySet<string> = new Set(["flow", "global", "jsonata"]);

const properties = { methods: list, directions: list, order: number(0), wait: milliseconds(0) };

interface Rule {
  readonly action: "set" | "add" | "remove";
  readonly header: string;
  readonly value: string;
  readonly valueType: string;
}

type Watched = SupplementMessage<SipRequest | SipResponse>;

export default function (RED: NodeAPI): void {
  deploys.watch(RED);
  RED.nodes.registerType("sip-supplement", function (this: Node, config: NodeConfig) {
    RED.nodes.createNode(this, config);
    const live = attachNode(RED, this, config, "always");
    if (live.stackId === undefined) return;
    try {
      const supplement = nodeSupplement(RED, this, config, live.stackId);
      addSupplementNode(supplement);
      this.on("close", () => removeSupplementNode(supplement));
    } catch (error) {
      const shown = nodeError(RED, error);
      live.status.broken(shown.message);
      this.error(shown);
    }
  });
}

function nodeSupplement(
  RED: NodeAPI,
  node: Node,
  config: NodeConfig,
  stackId: string,
): SupplementNode {
  const { methods, directions, order, wait } = readLiterals(RED, node, config, properties);
  const rules = readRules(config["rules"]);
  /** Are there values that may come in a later turn? */
  const isSlow = rules.some(({ valueType }) => SLOW.has(valueType));

  const fieldsOf = (event: string, { message }: Watched, context: SupplementContext): SipFields => {
    const { session, accountId } = context;
    return withoutUndefined({
      ...partyFields(message),
      ...(session === undefined ? {} : sessionFields(stackId, session, session.snapshot())),
      ...messageFields(message),
      account: accountId,
      stack: stackId,
      event,
    });
  };
  const send = (output: number, sip: SipFields, payload: unknown): void =>
    dispatcher.event(undefined, sip.event, () => [
      {
        nodeId: node.id,
        run: (live) => {
          const outputs = new Array<{ topic: string; payload: unknown; sip: SipFields } | null>(
            output,
          ).fill(null);
          outputs[output - 1] = { topic: sip.event, payload, sip: hideKeys(sip) };
          live.node.send(outputs);
        },
      },
    ]);
  const apply = (message: Watched, rule: Rule, value: unknown): void => {
    if (value === undefined || value === null) return;
    const [name, text] = checkedHeader(rule.header, value);
    message[rule.action === "add" ? "add" : "set"](name, text);
  };
  /** @returns a promise only when a value is not there at once. */
  const runRules = (message: Watched, sip: SipFields): Promise<void> | undefined => {
    let later: Promise<void> | undefined;
    const attempt = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        node.error(nodeError(RED, error), { sip });
      }
    };
    for (const rule of rules) {
      if (rule.action === "remove") {
        attempt(() => message.remove(rule.header));
        continue;
      }
      let isHere = false;
      const waiting = new Promise<void>((resolve) =>
        attempt(() =>
          RED.util.evaluateNodeProperty(
            rule.value,
            rule.valueType,
            node,
            { sip, payload: sip["method"] },
            (error, value: unknown) => {
              isHere = true;
              attempt(() => {
                if (error) throw misuse("bad-property", `${rule.header}: ${errorText(error)}`);
                apply(message, rule, value);
              });
              resolve();
            },
          ),
        ),
      );
      if (!isHere) later = Promise.all([later, waiting]).then(() => undefined);
    }
    return later;
  };

  return {
    nodeId: node.id,
    stackId,
    order,
    directions: new Set(directions),
    methods: new Set(methods.map((method) => method.toUpperCase())),
    incoming(message, context) {
      const { method } = message;
      const show = () => {
        const mayWait = wait > 0 && !CANNOT_WAIT.has(method);
        const hold = mayWait ? context.hold(Math.min(wait, LONGEST_WAIT_MS)) : undefined;
        const sip = fieldsOf(OUTPUTS[0], message, context);
        if (hold?.handle !== undefined) sip.request = hold.handle;
        send(1, sip, method);
        return hold?.verdict;
      };
      const later = runRules(message, fieldsOf(OUTPUTS[0], message, context));
      return later === undefined ? show() : later.then(show);
    },
    prepare: (message, context) =>
      isSlow ? runRules(message, fieldsOf(OUTPUTS[2], message, context)) : undefined,
    watch(direction, message, context) {
      const isPrepared = direction === "outgoing-request" && !CANNOT_WAIT.has(message.method);
      // A response, ACK or CANCEL on its way cannot wait: a value that comes later changes nothing that was sent.
      if (!isSlow || !isPrepared) void runRules(message, fieldsOf(direction, message, context));
      const payload =
        message.message.kind === "request" ? message.method : message.message.statusCode;
      const output = OUTPUTS.indexOf(direction) + 1;
      send(output, fieldsOf(direction, message, context), payload);
    },
    session(event: "begin" | "end", session: Session) {
      const name = event === "begin" ? OUTPUTS[4] : OUTPUTS[5];
      const snapshot = session.snapshot();
      const sip: SipFields = { ...sessionFields(stackId, session, snapshot), event: name };
      const payload = event === "begin" ? snapshot.remote.uri : (snapshot.cause ?? "");
      send(event === "begin" ? 5 : 6, sip, payload);
    },
  };
}

/** @throws InvalidArgumentError `bad-option` or `bad-header` for what could never work. */
function readRules(rules: unknown): Rule[] {
  if (rules === undefined || rules === null || rules === "") return [];
  if (!Array.isArray(rules)) throw misuse("bad-option", `"rules" must be a list`);
  return (rules as unknown[]).map((rule) => {
    if (!isRecord(rule)) throw misuse("bad-option", `a rule must be an object`);
    const { action = "set", header, value = "", valueType } = rule;
    if (action !== "set" && action !== "add" && action !== "remove") {
      throw misuse("bad-option", `the action of a rule must be set, add or remove`);
    }
    checkedHeader(String(header), "");
    const type = typeof valueType === "string" && valueType !== "" ? valueType : "str";
    return { action, header: String(header), value: String(value), valueType: type };
  });
}
