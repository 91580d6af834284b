/**
 * The nodes of a call that another instance has brought here: the flow is the same, its messages went with the other one.
 * What such a node says is a new message.
 */
import type { NodeMessage } from "node-red";
import type { SessionEvent } from "../../lib/index.js";
import type { Call, Owner } from "./call.js";
import { type Delivery, dispatcher } from "./dispatcher.js";
import { sessionEventFields } from "./event-fields.js";
import type { LeavesWith, Outgoing, OutputPort } from "./input.js";
import { isWired } from "./live-nodes.js";
import { hideKeys } from "./media-keys.js";

/** `ended` of `sip-incoming` and of `sip-invite`. */
const END_OUTPUT = { incoming: 2, outgoing: 4 } as const;

/** A node that has sent its call, and says how it ended (contract §4.1 c). */
export class RestoredOwner implements Owner {
  #sentEnd = false;

  constructor(
    readonly nodeId: string,
    private readonly call: Call,
  ) {}

  deliver(event: SessionEvent): Delivery | undefined {
    if (event.name !== "ended" || this.#sentEnd) return undefined;
    this.#sentEnd = true;
    const { session, stackId } = this.call;
    return delivery(this.nodeId, END_OUTPUT[session.direction], () => ({
      sip: sessionEventFields(stackId, session, event),
      payload: event.snapshot.cause ?? event.name,
    }));
  }
}

/** A message that waits in a node. */
export class RestoredInput {
  readonly #since = dispatcher.nextSequence();

  constructor(readonly nodeId: string) {}

  leave(output: OutputPort, build: () => Outgoing, leavesWith?: LeavesWith): void {
    this.also(output, build, leavesWith);
  }

  also(output: OutputPort, build: () => Outgoing, leavesWith?: LeavesWith): void {
    const { sessionId, events = [] } = leavesWith ?? {};
    dispatcher.output(sessionId, events, this.#since, delivery(this.nodeId, output, build));
  }
}

function delivery(nodeId: string, output: OutputPort, build: () => Outgoing): Delivery {
  return {
    nodeId,
    run: (live) => {
      const port = typeof output === "number" ? output : output(live);
      if (!isWired(live, port)) return;
      const { sip, payload } = build();
      const outputs: (NodeMessage | null)[] = new Array<null>(port).fill(null);
      const msg: NodeMessage = { topic: sip.event, payload };
      msg["sip"] = hideKeys(sip);
      outputs[port - 1] = msg;
      live.node.send(outputs);
    },
  };
}
