/**
 * Attempts of `sip-invite` nodes: the limit and queue of each node (`maxCalls`), the link to the session that
 * asked for the call (`linked`), and the messages of the owner. All of it lives through a deploy.
 */
import { randomBytes } from "node:crypto";
import {
  type InviteOptions,
  InvalidStateError,
  type Session,
  type SessionEvent,
} from "../../lib/index.js";
import { type Call, callOf, findCall, type Owner } from "./call.js";
import { deploys } from "./deploys.js";
import type { Delivery } from "./dispatcher.js";
import type { Engine } from "./engine.js";
import { sessionEventFields, sessionEventPayload } from "./event-fields.js";
import type { Input } from "./input.js";
import type { UserAgentPort } from "./environment.js";
import { liveNode } from "./live-nodes.js";
import { jsonCopy, type SipFields, withoutUndefined } from "./sip-fields.js";

export interface OutgoingRequest {
  readonly input: Input;
  readonly engine: Engine;
  readonly options: InviteOptions;
  /** Ends the attempt when this session ends before the answer; undefined = not linked. */
  readonly linkedTo: string | undefined;
  /** 0 = no limit. */
  readonly maxCalls: number;
  /** Above the limit: wait instead of failing. */
  readonly queue: boolean;
}

/** What a node has under way. */
class Gate {
  active = 0;
  readonly queue: Attempt[] = [];
}

const gates = new Map<string, Gate>();

deploys.listen({
  started: () => {
    // Waiting inputs of nodes that are gone are dropped.
    for (const [nodeId, gate] of gates) {
      if (liveNode(nodeId) === undefined) gate.queue.length = 0;
    }
  },
  stopped: () => {
    for (const gate of gates.values()) gate.queue.length = 0;
  },
});

export function placeCall(request: OutgoingRequest): void {
  const { nodeId } = request.input;
  let gate = gates.get(nodeId);
  if (gate === undefined) gates.set(nodeId, (gate = new Gate()));
  const attempt = new Attempt(request, gate);
  if (request.maxCalls === 0 || gate.active < request.maxCalls) attempt.start();
  else if (request.queue) gate.queue.push(attempt);
  else attempt.failWithoutCall("limit");
}

function release(nodeId: string, gate: Gate): void {
  gate.active--;
  const next = gate.queue[0];
  if (next !== undefined && gate.active < next.maxCalls) {
    gate.queue.shift();
    next.start();
  }
  if (gate.active === 0 && gate.queue.length === 0) gates.delete(nodeId);
}

class Attempt {
  readonly #gate: Gate;
  readonly #request: OutgoingRequest;
  #call: Call | undefined;
  #cancelled = false;
  #unlink: () => void = () => undefined;

  constructor(request: OutgoingRequest, gate: Gate) {
    this.#request = request;
    this.#gate = gate;
    this.#link();
  }

  get maxCalls(): number {
    return this.#request.maxCalls;
  }

  start(): void {
    this.#gate.active++;
    this.#begin().catch((error: unknown) => {
      this.#unlink();
      release(this.#request.input.nodeId, this.#gate);
      this.#request.input.fail(error);
    });
  }

  async #begin(): Promise<void> {
    const { input, engine } = this.#request;
    const userAgent = await engine.ready();
    if (this.#cancelled) {
      release(input.nodeId, this.#gate);
      this.failWithoutCall("cancelled");
      return;
    }
    const session = this.#invite(userAgent);
    if (session === undefined) {
      release(input.nodeId, this.#gate);
      this.failWithoutCall("no-session");
      return;
    }
    const call = callOf(session, engine.stackId);
    this.#call = call;
    call.setOwner(new InviteOwner(input, call));
    const ended = (): void => {
      this.#unlink();
      release(input.nodeId, this.#gate);
    };
    call.closers.add(ended);
    call.onAbandoned = ended;
  }

  /** Undefined when the call that is to be replaced is over: the race with a hang-up. */
  #invite(userAgent: UserAgentPort): Session | undefined {
    try {
      return userAgent.invite(this.#request.options);
    } catch (error) {
      if (error instanceof InvalidStateError && error.rule === "no-session") return undefined;
      throw error;
    }
  }

  /** `failed` of an attempt for which no INVITE was sent. */
  failWithoutCall(cause: "limit" | "cancelled" | "no-session"): void {
    this.#unlink();
    const { input, engine, options } = this.#request;
    const sip: SipFields = withoutUndefined({
      event: "failed",
      session: randomBytes(16).toString("hex"),
      state: "terminated",
      signaling: "closed",
      direction: "outgoing",
      stack: engine.stackId,
      account: options.account,
      cause,
      statusCode: 0,
      targets: options.targets.map((target) => ({
        uri: typeof target === "string" ? target : target.uri,
        state: cause === "cancelled" ? "cancelled" : "failed",
        cause,
      })),
      data: jsonCopy(options.data ?? {}) as Record<string, unknown>,
    });
    input.leave(3, () => ({ sip, payload: 0 }));
  }

  #link(): void {
    const { linkedTo } = this.#request;
    const other = linkedTo === undefined ? undefined : findCall(linkedTo);
    if (other === undefined) return;
    const cancel = (): void => this.#cancel();
    other.dependants.add(cancel);
    this.#unlink = () => other.dependants.delete(cancel);
  }

  #cancel(): void {
    const call = this.#call;
    if (call !== undefined) {
      if (!call.answered && !call.over) {
        // What goes wrong here shows in the session's own last event.
        call.session.end({ cause: "cancelled" }).catch(() => undefined);
      }
      return;
    }
    this.#cancelled = true;
    const index = this.#gate.queue.indexOf(this);
    if (index < 0) return;
    this.#gate.queue.splice(index, 1);
    this.failWithoutCall("cancelled");
  }
}

class InviteOwner implements Owner {
  readonly nodeId: string;
  #inviting = false;
  #answered = false;

  constructor(
    private readonly input: Input,
    private readonly call: Call,
  ) {
    this.nodeId = input.nodeId;
  }

  deliver(event: SessionEvent): Delivery | undefined {
    switch (event.name) {
      case "inviting":
        if (this.#inviting) return undefined;
        this.#inviting = true;
        return this.#message(2, event, sessionEventPayload(event), false);
      case "progress":
      case "redirecting":
        return this.#message(2, event, sessionEventPayload(event), false);
      case "answered":
        if (this.#answered) return undefined;
        this.#answered = true;
        this.input.settle();
        return this.#message(1, event, event.snapshot.remote.uri, true);
      case "failed":
        this.input.settle();
        return this.#failure(event);
      case "ended":
        return this.#answered
          ? this.#message(4, event, event.snapshot.cause ?? event.name, false)
          : this.#failure(event);
      default:
        return undefined;
    }
  }

  #failure(event: SessionEvent): Delivery {
    const statusCode = event.statusCode ?? 0;
    const cause = event.snapshot.cause ?? "failed";
    const delivery = this.#message(3, event, statusCode, true);
    return {
      nodeId: delivery.nodeId,
      run: (live) => {
        live.status.failure(statusCode > 0 ? `${cause} ${statusCode}` : cause);
        delivery.run(live);
      },
    };
  }

  #message(output: number, event: SessionEvent, payload: unknown, completes: boolean): Delivery {
    const { call } = this;
    return this.input.delivery(
      output,
      () => ({ sip: sessionEventFields(call.stackId, call.session, event), payload }),
      completes,
    );
  }
}
