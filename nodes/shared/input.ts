/**
 * One message on its way through a node (contract §4.1): cloned at arrival without its payload, every output a
 * fresh clone, exactly one `done`, and whatever was read as an override is not sent on.
 */
import type { NodeMessage, NodeMessageInFlow } from "node-red";
import { type Delivery, dispatcher } from "./dispatcher.js";
import { nodeError } from "./errors.js";
import { isWired, type LiveNode } from "./live-nodes.js";
import { hideKeys } from "./media-keys.js";
import { carriedHandles, readCarried, type CarriedFields, type SipFields } from "./sip-fields.js";

/** What an output says, built freshly for each message. */
export interface Outgoing {
  readonly sip: SipFields;
  readonly payload: unknown;
}

/** An output, counted from 1; a function where a deploy may renumber the outputs while the message waits. */
export type OutputPort = number | ((live: LiveNode) => number);

/** With which event a result leaves, if that event is still on its way. */
export interface LeavesWith {
  readonly sessionId: string | undefined;
  readonly events: readonly string[];
}

const ON_ITS_OWN: LeavesWith = { sessionId: undefined, events: [] };

export class Input {
  readonly nodeId: string;
  /** The age of the wait that this input is. */
  readonly since = dispatcher.nextSequence();
  /** What was read of the input's `msg.sip`. */
  readonly carried: CarriedFields;
  /** `peer` of the outputs when it differs from the carried one. */
  peer: string | undefined;
  /** The request that was answered here: outputs drop it. */
  requestAnswered = false;
  readonly #origin: LiveNode;
  #base: NodeMessage;
  readonly #done: (error?: Error) => void;
  #settled = false;
  #onSettled: () => void = () => undefined;
  #isPlain: boolean | undefined;

  constructor(live: LiveNode, msg: NodeMessageInFlow, done: (error?: Error) => void) {
    this.nodeId = live.id;
    this.#origin = live;
    this.#done = done;
    const kept: NodeMessage = { ...msg };
    delete kept.payload;
    // Rebuilt for each output: only its handles and data are read.
    this.carried = readCarried(kept["sip"], (data) => live.RED.util.cloneMessage(data));
    delete kept["sip"];
    this.#base = kept;
    this.#base = this.#copy(live);
    this.peer = this.carried.peer;
  }

  /** True once the message has left or failed. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Is anybody there who would get this output? */
  isWired(output: number): boolean {
    return isWired(this.#origin, output);
  }

  /** These properties of the message were read and are not sent on. */
  consume(names: readonly string[]): void {
    this.#isPlain = undefined;
    for (const name of names) delete this.#base[name];
  }

  /** Sends a result; the input is done with it. */
  leave(output: OutputPort, build: () => Outgoing, leavesWith: LeavesWith = ON_ITS_OWN): void {
    if (this.#settled) return;
    this.settle();
    dispatcher.output(
      leavesWith.sessionId,
      leavesWith.events,
      this.since,
      this.delivery(output, build, true),
    );
  }

  /** Sends a further message (`sip-invite` 2 and 4, `sip-refer` 2); the input stays as it is. */
  also(output: number, build: () => Outgoing, leavesWith: LeavesWith = ON_ITS_OWN): void {
    dispatcher.output(
      leavesWith.sessionId,
      leavesWith.events,
      this.since,
      this.delivery(output, build, false),
    );
  }

  /**
   * One of many messages a second, cheaply (`sip-stream` 1): `msg.sip` holds what `build` says and nothing that was
   * carried.
   */
  stream(output: number, build: () => Outgoing): void {
    dispatcher.output(undefined, [], this.since, {
      nodeId: this.nodeId,
      run: (live) => {
        const { sip, payload } = build();
        const msg = this.#copy(live);
        msg.topic = sip.event;
        msg.payload = payload;
        msg["sip"] = sip;
        const outputs: (NodeMessage | null)[] = new Array<null>(output).fill(null);
        outputs[output - 1] = msg;
        live.node.send(outputs);
      },
    });
  }

  /** A copy of the base; a deep one where two copies could share something. */
  #copy(live: LiveNode): NodeMessage {
    this.#isPlain ??= Object.values(this.#base).every((value) =>
      ["string", "number", "boolean", "undefined"].includes(typeof value),
    );
    return this.#isPlain ? { ...this.#base } : live.RED.util.cloneMessage(this.#base);
  }

  /** For owners, whose messages are put into the event's slot: marks the input as settled. */
  settle(): void {
    this.#settled = true;
    this.#onSettled();
  }

  /** Called once, when the message leaves or fails. */
  onSettled(listener: () => void): void {
    this.#onSettled = listener;
  }

  /** One message of this input as something to deliver; with `completes` the input's `done()` follows it. */
  delivery(output: OutputPort, build: () => Outgoing, completes: boolean): Delivery {
    return {
      nodeId: this.nodeId,
      run: (live) => {
        const port = typeof output === "number" ? output : output(live);
        if (isWired(live, port)) {
          const { sip, payload } = build();
          const msg = this.#copy(live);
          msg.topic = sip.event;
          msg.payload = payload;
          msg["sip"] = hideKeys({ ...this.#carriedFields(), ...sip });
          const outputs: (NodeMessage | null)[] = new Array<null>(port).fill(null);
          outputs[port - 1] = msg;
          live.node.send(outputs);
        }
        if (completes) this.#complete(live);
      },
    };
  }

  /** Ends the input without a message (`msg.control` words such as `stop`). */
  complete(): void {
    if (this.#settled) return;
    this.settle();
    dispatcher.output(undefined, [], this.since, {
      nodeId: this.nodeId,
      run: (live) => this.#complete(live),
    });
  }

  /** Ends the input with an error for the Catch nodes. */
  fail(error: unknown): void {
    if (this.#settled) return;
    this.settle();
    dispatcher.output(undefined, [], this.since, {
      nodeId: this.nodeId,
      run: (live) => {
        const shown = nodeError(live.RED, error);
        if (live === this.#origin) this.#done(shown);
        else live.node.error(shown, this.#baseWithSip());
      },
    });
  }

  #carriedFields(): Partial<SipFields> {
    const fields = { ...carriedHandles(this.carried) };
    if (this.peer !== undefined) fields.peer = this.peer;
    if (this.requestAnswered) delete fields.request;
    return fields;
  }

  /**
   * `done()` of a node that a deploy has replaced would tell the Complete nodes of the old flow; the new
   * instance tells its own.
   */
  #complete(live: LiveNode): void {
    const replacement: { _complete?: unknown } = live.node as object;
    if (live === this.#origin || typeof replacement._complete !== "function") this.#done();
    else replacement._complete.call(live.node, this.#baseWithSip());
  }

  #baseWithSip(): NodeMessage {
    const msg = this.#copy(this.#origin);
    msg["sip"] = this.#carriedFields();
    return msg;
  }
}
