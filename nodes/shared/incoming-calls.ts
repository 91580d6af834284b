/** Gives an incoming call to its `sip-incoming` node: rings, watches the time, sends its two messages. */
import { errorText, type Logger, type SessionEvent } from "../../lib/index.js";
import type { Call, Owner } from "./call.js";
import type { Delivery } from "./dispatcher.js";
import { environment } from "./environment.js";
import { sessionEventFields } from "./event-fields.js";
import { chooseIncoming, type IncomingRule } from "./incoming-nodes.js";
import { isWired } from "./live-nodes.js";
import { hideKeys } from "./media-keys.js";
import type { SipFields } from "./sip-fields.js";

export interface IncomingContext {
  readonly stackId: string;
  readonly unhandledStatus: number;
  /** The user or number that is called. */
  readonly called: string;
  readonly logger: Logger;
}

/** @returns false when no node takes the call. */
export function takeIncoming(call: Call, context: IncomingContext): boolean {
  const { session } = call;
  const rule = chooseIncoming(context.stackId, session, context.called);
  if (rule === undefined) return false;
  call.setOwner(new IncomingOwner(rule, call));
  const attempt = (action: Promise<unknown>): void => {
    action.catch((error: unknown) =>
      context.logger.warn(`session ${call.id}: ${errorText(error)}`),
    );
  };
  if (rule.ring) {
    // Not inside the stack's own turn: `incoming` comes before `progress`.
    setImmediate(() => {
      if (session.state === "incoming") attempt(session.progress({ statusCode: 180 }));
    });
  }
  if (rule.answerTimeout > 0) {
    call.answerDeadline = environment().clock.setTimer(rule.answerTimeout, () => {
      if (call.answered || call.over) return;
      attempt(session.end({ statusCode: context.unhandledStatus, cause: "no-answer" }));
    });
  }
  return true;
}

class IncomingOwner implements Owner {
  readonly nodeId: string;
  #sentCall = false;
  #sentEnd = false;

  constructor(
    rule: IncomingRule,
    private readonly call: Call,
  ) {
    this.nodeId = rule.nodeId;
  }

  deliver(event: SessionEvent): Delivery | undefined {
    if (event.name === "incoming" && !this.#sentCall) {
      this.#sentCall = true;
      return this.#message(1, event, event.snapshot.remote.uri);
    }
    const isEnd = event.name === "ended" || event.name === "failed";
    if (!isEnd || !this.#sentCall || this.#sentEnd) return undefined;
    this.#sentEnd = true;
    return this.#message(2, event, event.snapshot.cause ?? event.name);
  }

  #message(output: number, event: SessionEvent, payload: unknown): Delivery {
    return {
      nodeId: this.nodeId,
      run: (live) => {
        if (!isWired(live, output)) return;
        const sip: SipFields = sessionEventFields(this.call.stackId, this.call.session, event);
        const msg = { topic: sip.event, payload, sip: hideKeys(sip) };
        live.node.send(output === 1 ? msg : [null, msg]);
      },
    };
  }
}
