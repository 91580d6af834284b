/** The calls of a stack that belongs to a group: kept for the others, and taken over from those that are gone. */
import type { Clock, Logger } from "../../../lib/index.js";
import type { Call } from "../call.js";
import type { UserAgentPort } from "../environment.js";
import { CallHeir } from "./call-heir.js";
import { CallKeeper } from "./call-keeper.js";
import type { Group } from "./group.js";

export interface SharedCallsOptions {
  readonly group: Group;
  readonly stackId: string;
  readonly clock: Clock;
  readonly logger: Logger;
  isDraining(): boolean;
}

export class SharedCalls {
  readonly #keeper: CallKeeper;
  readonly #heir: CallHeir;
  #userAgent: UserAgentPort | undefined;

  constructor(options: SharedCallsOptions) {
    this.#keeper = new CallKeeper(options.group, options.clock);
    this.#heir = new CallHeir({
      ...options,
      userAgent: () => this.#userAgent,
      onTaken: (call) => this.#keeper.observe(call, "taken"),
    });
  }

  /** Calls that are kept now. */
  get size(): number {
    return this.#keeper.size;
  }

  /** Calls that were taken over, since the start. */
  get taken(): number {
    return this.#heir.taken;
  }

  /** A user agent of the stack. @returns lets go of it. */
  attach(userAgent: UserAgentPort): () => void {
    this.#userAgent = userAgent;
    userAgent.onUnknownDialog = (request, text) => this.#heir.find(request, text);
    return () => {
      userAgent.onUnknownDialog = undefined;
      if (this.#userAgent === userAgent) this.#userAgent = undefined;
    };
  }

  stop(): void {
    this.#keeper.stop();
    this.#heir.stop();
  }

  /** Something happened in a call. */
  observe(call: Call, event: string): void {
    this.#keeper.observe(call, event);
  }
}
