/**
 * Goes on with the calls of instances that are gone: those that are joined past us live on, the others get a BYE. Each is
 * claimed, so that one survivor has it. A request in a dialog that is not known here is taken to its call in the same way,
 * or handed over to the instance that has it.
 */
import { randomBytes, randomInt } from "node:crypto";
import { errorText, type Clock, type Logger, type SipRequest } from "../../../lib/index.js";
import { CallBridge, type BridgeRecord } from "../bridges.js";
import { type Call, callOf, checkedData } from "../call.js";
import type { UserAgentPort } from "../environment.js";
import { RestoredInput, RestoredOwner } from "../restored-owner.js";
import { isEnding } from "../session-action.js";
import { CALL_KIND } from "./call-keeper.js";
import { dialogKey, readUnit, type ReadUnit } from "./call-unit.js";
import type { Group } from "./group.js";

export interface CallHeirOptions {
  readonly group: Group;
  readonly stackId: string;
  readonly clock: Clock;
  readonly logger: Logger;
  userAgent(): UserAgentPort | undefined;
  isDraining(): boolean;
  /** It is established here. */
  onTaken(call: Call): void;
}

/** Topics: `holder id request`, and the id when it has arrived. */
const REQUEST = "request";
const RECEIVED = "received";
/** Milliseconds that an instance has to say that it has got a request. */
const LONGEST_HAND_OVER = 700;
/** Milliseconds from the death of an instance to the news of it, at most. */
const LONGEST_DEATH = 5_500;
/** Calls that are claimed at the same time. */
const AT_ONCE = 8;
const LOST = { statusCode: 503, reason: "Instance lost", cause: "shutdown" } as const;

export class CallHeir {
  readonly #options: CallHeirOptions;
  readonly #unlisten: (() => void)[];
  /** What is being claimed. */
  readonly #taking = new Map<string, Promise<boolean>>();
  /** Requests that were handed over → what is to be done when their arrival is known. */
  readonly #handed = new Map<string, () => void>();
  readonly #waitingForDeath = new Set<(instance: string) => void>();
  #isOver = false;
  /** Calls that were taken, since the start. */
  taken = 0;

  constructor(options: CallHeirOptions) {
    const { group } = options;
    this.#options = options;
    this.#unlisten = [
      group.onMemberGone((instance) => {
        for (const tell of [...this.#waitingForDeath]) tell(instance);
        void this.#inherit(instance);
      }),
      group.subscribe(REQUEST, (text) => this.#receive(text)),
      group.subscribe(RECEIVED, (id) => this.#handed.get(id)?.()),
    ];
  }

  stop(): void {
    this.#isOver = true;
    for (const unlisten of this.#unlisten) unlisten();
  }

  /** Whose dialog is it? For `UserAgent.onUnknownDialog`. */
  async find(request: SipRequest, text: () => string): Promise<"ours" | "others" | "unknown"> {
    const { group } = this.#options;
    if (!group.isConnected) return "unknown";
    let key = dialogKey(request.callId, request.to.tag ?? "");
    for (let round = 0; round < 3; round++) {
      const found = await group.get(CALL_KIND, key);
      if (found === undefined) return "unknown";
      const unit = readUnit(found.value);
      if (typeof unit === "string" && round === 0) {
        key = unit;
        continue;
      }
      const { holder } = found;
      if (holder !== group.instance && group.members.has(holder)) {
        if (await this.#handOver(holder, text())) return "others";
        // It may be dead, and the news of it on its way.
        await this.#death(holder);
        if (group.members.has(holder)) return "unknown";
      }
      if (await this.#take(key)) return "ours";
    }
    return "unknown";
  }

  /** The calls of an instance that is gone; other survivors do the same, each in an order of its own. */
  async #inherit(instance: string): Promise<void> {
    const { group, logger } = this.#options;
    if (this.#options.userAgent()?.running !== true) return;
    // Whoever is about to leave leaves them to the others.
    if (this.#options.isDraining() && group.members.size > 1) return;
    try {
      const keys = await group.heldBy(CALL_KIND, instance);
      for (let i = keys.length - 1; i > 0; i--) {
        const other = randomInt(i + 1);
        [keys[i], keys[other]] = [keys[other] ?? "", keys[i] ?? ""];
      }
      let taken = 0;
      const work = async (): Promise<void> => {
        for (let key = keys.pop(); key !== undefined && !this.#isOver; key = keys.pop()) {
          if (await this.#take(key)) taken++;
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      if (taken > 0) logger.info(`${taken} calls of an instance that is gone were taken over`);
    } catch (error) {
      logger.warn(`The calls of an instance that is gone: ${errorText(error)}`);
    }
  }

  /** @returns true when the calls of that record are here now. */
  #take(key: string): Promise<boolean> {
    let taking = this.#taking.get(key);
    if (taking === undefined) {
      taking = this.#claim(key).finally(() => this.#taking.delete(key));
      this.#taking.set(key, taking);
    }
    return taking;
  }

  async #claim(key: string): Promise<boolean> {
    const { group, logger } = this.#options;
    const found = await group.get(CALL_KIND, key);
    const other = found && readUnit(found.value);
    // What names the other leg's record belongs to whoever has that one.
    if (typeof other === "string") return other !== key && this.#take(other);
    const claimed = await group.claim(CALL_KIND, key);
    if (claimed === undefined || this.#isOver) return false;
    const unit = readUnit(claimed.value);
    if (typeof unit === "string") return false;
    if (unit !== undefined && this.#restore(unit)) return true;
    if (unit === undefined) logger.warn("The record of a call cannot be read; it is dropped");
    group.remove(CALL_KIND, key);
    return false;
  }

  /** @returns false when none of its calls could be gone on with. */
  #restore({ calls, bridge }: ReadUnit): boolean {
    const { logger } = this.#options;
    const restored = calls.flatMap(({ owner, call }) => this.#restoreCall(owner, call) ?? []);
    if (restored.length === 0) return false;
    const [first, second] = restored;
    if (bridge !== undefined && first !== undefined && second !== undefined) {
      try {
        this.#join(bridge, first, second);
        for (const call of restored) this.#options.onTaken(call);
        return true;
      } catch (error) {
        logger.warn(`session ${first.id}: its bridge cannot be gone on with: ${errorText(error)}`);
      }
    }
    for (const call of restored) {
      this.#options.onTaken(call);
      // What came in the dialog is answered first: it may be the end.
      setImmediate(() => this.#hangUp(call));
    }
    return true;
  }

  #restoreCall(owner: string | undefined, record: unknown): Call | undefined {
    const { logger, stackId } = this.#options;
    const session = this.#options.userAgent()?.restore(record);
    if (session === undefined) {
      logger.warn("A call of an instance that is gone cannot be gone on with");
      return undefined;
    }
    try {
      session.data = checkedData(session.data);
    } catch {
      // The flow's data is not worth the call.
      session.data = {};
    }
    const call = callOf(session, stackId);
    call.resume();
    this.taken++;
    if (owner !== undefined) call.setOwner(new RestoredOwner(owner, call));
    logger.debug(`session ${call.id}: taken over from an instance that is gone`);
    return call;
  }

  #join({ node, mode, hangup, relay }: BridgeRecord, first: Call, second: Call): void {
    CallBridge.restore({ input: new RestoredInput(node), mode, hangup }, first, second, relay);
  }

  #hangUp(call: Call): void {
    if (isEnding(call)) return;
    call.session.end(LOST).catch((error: unknown) => {
      this.#options.logger.warn(`session ${call.id}: ${errorText(error)}`);
    });
  }

  /** @returns true when the other one has got it. */
  #handOver(holder: string, text: string): Promise<boolean> {
    const { group, clock } = this.#options;
    const id = randomBytes(12).toString("hex");
    return new Promise((resolve) => {
      const settle = (isThere: boolean): void => {
        this.#handed.delete(id);
        timer.cancel();
        resolve(isThere);
      };
      const timer = clock.setTimer(LONGEST_HAND_OVER, () => settle(false));
      this.#handed.set(id, () => settle(true));
      group.publish(REQUEST, `${holder} ${id} ${text}`);
    });
  }

  #receive(text: string): void {
    const { group } = this.#options;
    const [to, id = "", request = ""] = text.split(" ");
    const userAgent = this.#options.userAgent();
    if (to !== group.instance || userAgent?.running !== true) return;
    group.publish(RECEIVED, id);
    userAgent.handOver(request);
  }

  /** Resolves when that instance is known to be gone, or it lives. */
  #death(instance: string): Promise<void> {
    const { clock } = this.#options;
    return new Promise((resolve) => {
      const settle = (): void => {
        this.#waitingForDeath.delete(hear);
        timer.cancel();
        resolve();
      };
      const hear = (gone: string): void => {
        if (gone === instance) settle();
      };
      const timer = clock.setTimer(LONGEST_DEATH, settle);
      this.#waitingForDeath.add(hear);
    });
  }
}
