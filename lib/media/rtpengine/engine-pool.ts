/**
 * The rtpengines of a stack: which of them answer, and which one gets the next bridge. A bridge stays on its engine. An
 * engine that stops answering, or has forgotten a bridge because it was started again, loses its bridges, which then go
 * to another one.
 */
import { errorText, randomInteger } from "../../foundation/index.js";
import type { Clock, Logger, RandomSource, Timer } from "../../foundation/index.js";
import type { BencodeDictionary, BencodeInput } from "./bencode.js";
import type { EngineAddress } from "./engine-address.js";
import { isNoEngine, NgClient, type OpenChannel } from "./ng-client.js";

export interface EnginePoolOptions {
  readonly engines: readonly EngineAddress[];
  /** Names of SDP that an engine may translate to where two sides have none in common. */
  readonly codecs: readonly string[];
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly open: OpenChannel;
  /** One more answers, or one less. */
  readonly onChange?: (() => void) | undefined;
}

/** What is on an engine. */
export interface EngineTenant {
  readonly callId: string;
  /** The engine has lost it. */
  onEngineLost(): void;
  /** Somebody whom the engine heard pressed a key. @param tag - whose. */
  onKey(tag: string, digit: string, durationMs: number): void;
}

export interface EngineFacts {
  readonly address: string;
  readonly isUp: boolean;
  /** Bridges on it. */
  readonly calls: number;
}

const CHECK_MS = 2_000;
/** So many tenants are looked after at once when an engine seems to have been started again. */
const CHECKED_AT_ONCE = 50;

export class MediaEngine {
  readonly tenants = new Set<EngineTenant>();
  readonly client: NgClient;
  /** Until it is known to be away. */
  isUp = true;
  isChecking = false;

  constructor(
    readonly address: EngineAddress,
    { clock, random, open }: EnginePoolOptions,
  ) {
    const { host, port } = address;
    this.client = new NgClient({ host, port, clock, random, open });
  }
}

export class EnginePool {
  readonly options: EnginePoolOptions;
  readonly #engines: readonly MediaEngine[];
  readonly #tenants = new Map<string, EngineTenant>();
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(options: EnginePoolOptions) {
    this.options = options;
    this.#engines = options.engines.map((address) => new MediaEngine(address, options));
    this.#check();
  }

  get engines(): readonly EngineFacts[] {
    return this.#engines.map(({ address, isUp, tenants }) => ({
      address: address.text,
      isUp,
      calls: tenants.size,
    }));
  }

  /** The engine of that address, for a bridge that is taken over. */
  find(address: string): MediaEngine | undefined {
    return this.#engines.find((engine) => engine.address.text === address);
  }

  /** The one for the next bridge, by weight; undefined = none answers. */
  pick(except: ReadonlySet<MediaEngine>): MediaEngine | undefined {
    const up = this.#engines.filter((engine) => engine.isUp && !except.has(engine));
    const total = up.reduce((sum, { address }) => sum + address.weight, 0);
    if (total === 0) return up[0];
    let place = randomInteger(this.options.random, total);
    return up.find(({ address }) => (place -= address.weight) < 0);
  }

  /** As `NgClient.ask`; an engine that does not answer is not asked for new bridges until it does. */
  async ask(
    engine: MediaEngine,
    command: string,
    fields: Readonly<Record<string, BencodeInput | undefined>>,
  ): Promise<BencodeDictionary> {
    try {
      const answer = await engine.client.ask(command, fields);
      this.#mark(engine, true);
      return answer;
    } catch (error) {
      if (isNoEngine(error)) this.#mark(engine, false, errorText(error));
      throw error;
    }
  }

  settle(tenant: EngineTenant, engine: MediaEngine): void {
    this.#tenants.set(tenant.callId, tenant);
    engine.tenants.add(tenant);
  }

  leave(tenant: EngineTenant, engine: MediaEngine): void {
    engine.tenants.delete(tenant);
    if (this.#engines.some(({ tenants }) => tenants.has(tenant))) return;
    this.#tenants.delete(tenant.callId);
  }

  /** A key that an engine reported (`dtmf-log-dest`). @returns false = no call of ours. */
  key(callId: string, tag: string, digit: string, durationMs: number): boolean {
    const tenant = this.#tenants.get(callId);
    tenant?.onKey(tag, digit, durationMs);
    return tenant !== undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    for (const { client } of this.#engines) client.close();
  }

  #check(): void {
    for (const engine of this.#engines) void this.#checkOne(engine);
    this.#timer = this.options.clock.setTimer(CHECK_MS, () => this.#check());
  }

  async #checkOne(engine: MediaEngine): Promise<void> {
    if (engine.isChecking) return;
    engine.isChecking = true;
    try {
      await this.ask(engine, "ping", {});
      // The oldest: it is the first to be forgotten.
      const [tenant] = engine.tenants;
      if (tenant !== undefined && !(await this.#knows(engine, tenant))) {
        for (const other of [...engine.tenants].slice(0, CHECKED_AT_ONCE)) {
          if (!(await this.#knows(engine, other))) this.#lose(engine, other);
        }
      }
    } catch {
      // It has been marked.
    } finally {
      engine.isChecking = false;
    }
  }

  /** Rejects when the engine is away. */
  async #knows(engine: MediaEngine, { callId }: EngineTenant): Promise<boolean> {
    try {
      await this.ask(engine, "query", { "call-id": callId });
      return true;
    } catch (error) {
      if (isNoEngine(error)) throw error;
      return false;
    }
  }

  #mark(engine: MediaEngine, isUp: boolean, why = ""): void {
    if (engine.isUp === isUp || this.#isClosed) return;
    engine.isUp = isUp;
    const { logger, onChange } = this.options;
    const { text } = engine.address;
    if (isUp) logger.info(`rtpengine ${text} answers again`);
    else logger.warn(`rtpengine ${text}: ${why}`);
    onChange?.();
    if (isUp) return;
    for (const tenant of [...engine.tenants]) this.#lose(engine, tenant);
  }

  #lose(engine: MediaEngine, tenant: EngineTenant): void {
    if (!engine.tenants.has(tenant)) return;
    this.leave(tenant, engine);
    tenant.onEngineLost();
  }
}
