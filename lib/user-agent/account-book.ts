/** The accounts of a user agent: their registrations, what these report, and how they are taken away (RFC 3261 §10). */
import {
  InvalidArgumentError,
  type Clock,
  type Logger,
  type RandomSource,
} from "../foundation/index.js";
import type { SipResponse } from "../message/index.js";
import type { RegisterExchange, RegistrationListener } from "../registration/index.js";
import type { Capabilities } from "./capabilities.js";
import type {
  ConnectionState,
  Flow,
  FlowTarget,
  TransportLayer,
  TransportProtocol,
} from "../transport/transport.js";
import type { ClientExchange } from "./client-exchange.js";
import type { Destinations } from "./destinations.js";
import type { StackEvent } from "./events.js";
import { causeOf, ManagedAccount } from "./managed-account.js";
import type { AccountOptions } from "./options.js";
import { resolveAccount } from "./resolved-options.js";
import { ServerWatch } from "./server-watch.js";
import { targetKey } from "./target-health.js";
import type { UserAgentClient } from "./user-agent-client.js";
import { WakeWatch } from "./wake-watch.js";

const MOST_ACCOUNTS = 1_000;
/** Between two questions to a registrar over UDP that has another server to go to. */
const USUAL_WATCH_MS = 15_000;

export interface AccountBookOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly capabilities: Capabilities;
  readonly destinations: Destinations;
  readonly transport: Pick<TransportLayer, "addressVersion" | "hasAddress">;
  client(): UserAgentClient;
  report(event: StackEvent): void;
  /** Each response of a registrar, for those who listen to `response`. */
  observe?(response: SipResponse, accountId: string): void;
}

export class AccountBook {
  readonly #options: AccountBookOptions;
  readonly #accounts = new Map<string, ManagedAccount>();
  readonly #watches = new Map<string, ServerWatch>();
  /** Account id → the connection over which it was to be registered last. */
  readonly #connections = new Map<string, { protocol: TransportProtocol; key: string }>();

  /** Account id → our address when it registered last. */
  readonly #boundFrom = new Map<string, string>();
  readonly #wake: WakeWatch;
  /** While others have our calls: the accounts that are to be registered again afterwards. */
  #left: Set<string> | undefined;

  constructor(options: AccountBookOptions) {
    this.#options = options;
    this.#wake = new WakeWatch({
      clock: options.clock,
      addressVersion: () => options.transport.addressVersion ?? 0,
      onWake: (sleptMs) => this.#registerAfterSleep(sleptMs),
      onMove: () => this.#registerAfterMove(),
    });
  }

  get all(): ReadonlyMap<string, ManagedAccount> {
    return this.#accounts;
  }

  get(id: string): ManagedAccount | undefined {
    return this.#accounts.get(id);
  }

  /** Is this the address of a registrar or proxy of one of the accounts? */
  ownsServer(address: string): boolean {
    for (const account of this.#accounts.values()) {
      if (account.servers.hasAddress(address)) return true;
    }
    return false;
  }

  /** @throws InvalidArgumentError for settings that cannot be, or an id that is taken. */
  add(options: AccountOptions): ManagedAccount {
    const settings = resolveAccount(options);
    if (this.#accounts.has(settings.id)) {
      throw new InvalidArgumentError("An account with this id exists already.", {
        rule: "bad-account",
      });
    }
    if (this.#accounts.size >= MOST_ACCOUNTS) {
      throw new InvalidArgumentError(`A SIP stack has at most ${MOST_ACCOUNTS} accounts.`, {
        rule: "bad-account",
      });
    }
    const { clock, random, logger, capabilities } = this.#options;
    const account = new ManagedAccount(settings, {
      clock,
      random,
      logger,
      headers: (outbound) => capabilities.registerHeaders(outbound),
      sendRegister: (owner, exchange) => this.#sendRegister(owner, exchange),
      listener: (owner) => this.#listener(owner),
      mayRegister: () => this.#left === undefined,
    });
    this.#accounts.set(account.id, account);
    return account;
  }

  /** Looks its servers up and registers it, if it is to be registered. */
  start(account: ManagedAccount): void {
    this.#options.destinations.learnServers(account);
    // The outcome is told by events; a registration never rejects.
    if (!account.settings.register) return;
    if (this.#left !== undefined) {
      this.#left.add(account.id);
      return;
    }
    this.#wake.start();
    void account.register();
  }

  /** Takes an account out. @returns resolves when its binding is gone, or cannot be taken away. */
  async remove(id: string): Promise<void> {
    const account = this.#accounts.get(id);
    if (account === undefined) return;
    if (account.mayBeBound) await account.unregister();
    account.close();
    this.#forget(account);
  }

  /** Un-REGISTERs all and registers none until `comeBack`. */
  leave(): void {
    const used = [...this.#accounts.values()].filter(
      ({ registration }) =>
        registration.state !== "unregistered" && registration.state !== "unregistering",
    );
    this.#left = new Set(used.map(({ id }) => id));
    // How that went is told by events.
    void this.unregisterAll();
  }

  /** Registers whom `leave` has un-registered, and whoever was to be registered since. */
  comeBack(): void {
    const left = this.#left ?? [];
    this.#left = undefined;
    for (const id of left) void this.#accounts.get(id)?.register();
  }

  /** Un-REGISTERs in parallel. */
  async unregisterAll(): Promise<void> {
    const bound = [...this.#accounts.values()].filter((account) => account.mayBeBound);
    for (const account of this.#accounts.values()) if (!account.mayBeBound) account.close();
    await Promise.all(bound.map((account) => account.unregister()));
  }

  close(): void {
    this.#wake.stop();
    for (const watch of this.#watches.values()) watch.stop();
    for (const account of this.#accounts.values()) account.close();
  }

  /** Seconds until an account tries to open this lost connection again. */
  retryInOf(state: ConnectionState): number | undefined {
    const key = targetKey(state);
    for (const account of this.#accounts.values()) {
      if (this.#connections.get(account.id)?.key !== key) continue;
      const { retryIn } = account.registration;
      if (retryIn !== undefined) return retryIn;
    }
    return undefined;
  }

  /** Bindings of addresses that we have no more, and those that failed for want of a way. */
  #registerAfterMove(): void {
    const { transport, logger } = this.#options;
    for (const account of this.#accounts.values()) {
      const { flow, registration } = account;
      const bound = this.#boundFrom.get(account.id);
      if (registration.state === "failed" && registration.statusCode === 0) {
        void account.register();
      } else if (registration.state === "registered" && flow !== undefined && bound !== undefined) {
        if (flow.localAddress === bound && transport.hasAddress?.(bound) !== false) continue;
        logger.info(`This machine has left the address ${bound}: registering anew.`);
        flow.unanswered?.(0);
        void account.register();
      }
    }
  }

  /** Nobody knows what is left of the bindings. */
  #registerAfterSleep(sleptMs: number): void {
    const registered = [...this.#accounts.values()].filter(
      ({ registration }) => registration.state === "registered",
    );
    const seconds = Math.round(sleptMs / 1000);
    this.#options.logger.info(`This machine has slept for ${seconds} s: registering anew.`);
    for (const account of registered) void account.register();
  }

  #forget(account: ManagedAccount): void {
    this.#unwatch(account);
    this.#watches.delete(account.id);
    if (this.#accounts.get(account.id) === account) this.#accounts.delete(account.id);
    this.#connections.delete(account.id);
    this.#boundFrom.delete(account.id);
    this.#options.destinations.forget(account.id);
  }

  #sendRegister(account: ManagedAccount, exchange: RegisterExchange): { abandon(): void } {
    const { registrar } = account.settings;
    const client = this.#options.client();
    const sent: ClientExchange = client.start({
      nextHop: registrar.uri,
      account,
      inDialog: false,
      isRegister: true,
      buildPerFlow: true,
      build: (flow) => exchange.build(flow),
      nextSequence: () => exchange.nextSequence(),
      onResponse: (response, _request, flow) => {
        if (response.statusCode >= 200) {
          this.#remember(account, sent);
          exchange.onFinalResponse(response, flow);
        }
        this.#options.observe?.(response, account.id);
      },
      onFailure: (error) => {
        this.#remember(account, sent);
        // The cached address of a proxy is not kept beyond its life.
        this.#options.destinations.forget(account.id);
        exchange.onFailure(error);
      },
    });
    return sent;
  }

  /** Asks the server from time to time whether it is still there, where that is wanted or of use. */
  #watch(account: ManagedAccount): void {
    const { flow, settings } = account;
    const usual = flow?.protocol === "udp" && account.servers.size > 1 ? USUAL_WATCH_MS : 0;
    const intervalMs = settings.keepAlive === undefined ? usual : settings.keepAlive * 1000;
    if (flow === undefined || intervalMs === 0) {
      this.#unwatch(account);
      return;
    }
    let watch = this.#watches.get(account.id);
    if (watch === undefined) {
      const { clock, random, capabilities } = this.#options;
      watch = new ServerWatch({
        clock,
        random,
        identity: account.identity,
        registrar: account.registrar,
        headers: () => capabilities.headers("request", "OPTIONS"),
        send: (options) => this.#options.client().start(options),
        onSilent: (silent) => {
          this.#options.client().health.failed(targetOfFlow(silent));
          account.flowFailed();
        },
      });
      this.#watches.set(account.id, watch);
    }
    watch.watch(flow, intervalMs);
  }

  #unwatch(account: ManagedAccount): void {
    this.#watches.get(account.id)?.stop();
  }

  #remember(account: ManagedAccount, exchange: ClientExchange | undefined): void {
    const target = exchange?.target;
    if (target === undefined || !this.#accounts.has(account.id)) return;
    this.#connections.set(account.id, { protocol: target.protocol, key: targetKey(target) });
  }

  #listener(account: ManagedAccount): RegistrationListener {
    const accountId = account.id;
    return {
      onRegistered: ({ expires, statusCode, reason, response }) => {
        this.#watch(account);
        this.#wake.start();
        if (account.flow !== undefined) this.#boundFrom.set(accountId, account.flow.localAddress);
        account.flowRegistered();
        this.#options.report({
          name: "registered",
          accountId,
          expires,
          statusCode,
          reason,
          message: response,
        });
      },
      onUnregistered: (result) => {
        this.#unwatch(account);
        this.#options.report({
          name: "unregistered",
          accountId,
          statusCode: result.statusCode,
          reason: result.reason,
          message: result.response,
        });
      },
      onFailed: (result) => {
        this.#unwatch(account);
        const protocol = this.#connections.get(accountId)?.protocol ?? "udp";
        // Contract §5: while its connection is down, that is told by `disconnected` alone.
        if (result.failure === "transport-error" && protocol !== "udp") return;
        this.#options.report({
          name: "registration-failed",
          accountId,
          statusCode: result.statusCode,
          reason: result.reason,
          cause: causeOf(result),
          retryAfter: result.retryIn,
          message: result.response,
        });
      },
    };
  }
}

function targetOfFlow(flow: Flow): FlowTarget {
  return { protocol: flow.protocol, address: flow.remoteAddress, port: flow.remotePort };
}
