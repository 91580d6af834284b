/** The `sip-supplement` nodes of a stack: one supplement of its user agent that works through them in order. */
import type {
  IncomingRequestContext,
  Session,
  SipRequest,
  SipResponse,
  Supplement,
  SupplementContext,
  SupplementMessage,
  SupplementVerdict,
} from "../../lib/index.js";

export type Direction =
  "incoming-request" | "incoming-response" | "outgoing-request" | "outgoing-response";

/** One node as the stack sees it. */
export interface SupplementNode {
  readonly nodeId: string;
  readonly stackId: string;
  readonly order: number;
  readonly directions: ReadonlySet<string>;
  /** Upper case; empty = all. */
  readonly methods: ReadonlySet<string>;
  incoming(
    message: SupplementMessage<SipRequest>,
    context: IncomingRequestContext,
  ): SupplementVerdict | Promise<SupplementVerdict>;
  /** Has it something to do before a request is sent that may take a while? */
  prepare(
    message: SupplementMessage<SipRequest>,
    context: SupplementContext,
  ): Promise<void> | undefined;
  watch(
    direction: Direction,
    message: SupplementMessage<SipRequest | SipResponse>,
    context: SupplementContext,
  ): void;
  session(event: "begin" | "end", session: Session): void;
}

const byStack = new Map<string, SupplementNode[]>();

export function addSupplementNode(node: SupplementNode): void {
  const nodes = [...(byStack.get(node.stackId) ?? []), node];
  nodes.sort((a, b) => a.order - b.order || (a.nodeId < b.nodeId ? -1 : 1));
  byStack.set(node.stackId, nodes);
}

export function removeSupplementNode(node: SupplementNode): void {
  const nodes = (byStack.get(node.stackId) ?? []).filter((each) => each !== node);
  if (nodes.length === 0) byStack.delete(node.stackId);
  else byStack.set(node.stackId, nodes);
}

export function hasSupplements(stackId: string): boolean {
  return byStack.has(stackId);
}

/** All nodes of a stack, whichever there are when a message comes. */
export function stackSupplement(stackId: string): Supplement {
  const wanting = (direction: Direction, method: string): SupplementNode[] =>
    (byStack.get(stackId) ?? []).filter(
      ({ directions, methods }) =>
        (directions.size === 0 || directions.has(direction)) &&
        (methods.size === 0 || methods.has(method)),
    );
  const watch =
    (direction: Direction) =>
    (message: SupplementMessage<SipRequest | SipResponse>, context: SupplementContext): void => {
      for (const node of wanting(direction, message.method))
        node.watch(direction, message, context);
    };
  const incoming = (
    nodes: readonly SupplementNode[],
    message: SupplementMessage<SipRequest>,
    context: IncomingRequestContext,
  ): SupplementVerdict | Promise<SupplementVerdict> => {
    for (const [index, node] of nodes.entries()) {
      const verdict = node.incoming(message, context);
      if (verdict instanceof Promise) {
        const rest = nodes.slice(index + 1);
        return verdict.then((decided) => decided ?? incoming(rest, message, context));
      }
      if (verdict !== undefined) return verdict;
    }
    return undefined;
  };
  const prepare = (
    nodes: readonly SupplementNode[],
    message: SupplementMessage<SipRequest>,
    context: SupplementContext,
  ): Promise<void> | undefined => {
    for (const [index, node] of nodes.entries()) {
      const done = node.prepare(message, context);
      if (done === undefined) continue;
      const rest = nodes.slice(index + 1);
      return done.then(() => prepare(rest, message, context));
    }
    return undefined;
  };
  const tell = (event: "begin" | "end", session: Session): void => {
    for (const node of byStack.get(stackId) ?? []) node.session(event, session);
  };
  return {
    incomingRequest: (message, context) =>
      incoming(wanting("incoming-request", message.method), message, context),
    prepareRequest: (message, context) =>
      prepare(wanting("outgoing-request", message.method), message, context),
    incomingResponse: watch("incoming-response"),
    outgoingRequest: watch("outgoing-request"),
    outgoingResponse: watch("outgoing-response"),
    sessionBegin: (session) => tell("begin", session),
    sessionEnd: (session) => tell("end", session),
  };
}
