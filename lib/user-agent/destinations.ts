/**
 * From a request to the servers that it may be sent to (RFC 3261 §8.1.2, §12.2.1.1; RFC 3263; RFC 5923 connection
 * reuse within a dialog).
 */
import { errorText, SipError, TransportError } from "../foundation/index.js";
import { SipUri, TelUri, type Uri } from "../message/index.js";
import type { AccountHandle } from "../session/index.js";
import { isLoopback, sameAddress, type ResolveOptions, type Resolver } from "../transport/index.js";
import type {
  Flow,
  FlowTarget,
  TransportLayer,
  TransportProtocol,
} from "../transport/transport.js";
import { LOCAL_NETWORKS } from "./address-list.js";
import type { Destination } from "./client-environment.js";
import type { ExchangeOptions } from "./client-exchange.js";
import type { ManagedAccount } from "./managed-account.js";
import { targetKey } from "./target-health.js";
import { routeOf, type NextHop } from "./routing.js";

export type DestinationCallback = (
  error: SipError | undefined,
  destination: Destination | undefined,
) => void;

export interface DestinationsOptions {
  readonly resolver: Pick<Resolver, "resolve">;
  readonly transport: Pick<TransportLayer, "protocols">;
  /** Address families of our transports. */
  readonly families: readonly (4 | 6)[];
  account(handle: AccountHandle | undefined): ManagedAccount | undefined;
}

export class Destinations {
  readonly #options: DestinationsOptions;
  /** Outbound proxies that are to be looked up once only (`cacheOutboundProxy`). */
  readonly #proxies = new Map<string, readonly FlowTarget[]>();

  constructor(options: DestinationsOptions) {
    this.#options = options;
  }

  /** Calls back at once when no name has to be looked up. Never throws. */
  locate(options: ExchangeOptions, callback: DestinationCallback): void {
    const account = this.#options.account(options.account);
    try {
      if (options.inDialog) this.#inDialog(options, callback);
      else this.#outOfDialog(options, account, callback);
    } catch (error) {
      callback(
        error instanceof SipError ? error : new TransportError(errorText(error), "target"),
        undefined,
      );
    }
  }

  /** Looks an account's servers up, so that they are known before the first request of theirs comes. */
  learnServers(account: ManagedAccount): void {
    const { registrar, outboundProxy, transport } = account.settings;
    for (const server of [outboundProxy, registrar]) {
      if (server === undefined) continue;
      this.#resolve(server.uri, { path: server.path, preferred: transport }, (_error, targets) =>
        account.servers.learn(targets),
      );
    }
  }

  forget(accountId: string): void {
    this.#proxies.delete(accountId);
  }

  #outOfDialog(
    options: ExchangeOptions,
    account: ManagedAccount | undefined,
    callback: DestinationCallback,
  ): void {
    const nextHop = sameWay(options.nextHop, options.preferredFlow);
    const hop = routeOf(nextHop, account, options.isRegister === true);
    const cached =
      account?.settings.cacheOutboundProxy === true && hop.isOutboundProxy === true
        ? this.#proxies.get(account.id)
        : undefined;
    if (cached !== undefined) {
      callback(undefined, this.#destination(cached, hop, account));
      return;
    }
    const { uri, path, preferred } = hop;
    const { namedBy } = options;
    const allowLoopback = hop.isOwnServer || namedBy === undefined || isOfThisMachine(namedBy);
    this.#resolve(uri, { path, preferred, allowLoopback }, (error, targets) => {
      if (error !== undefined) {
        callback(error, undefined);
        return;
      }
      if (account !== undefined && hop.isOwnServer) account.servers.learn(targets);
      if (account?.settings.cacheOutboundProxy === true && hop.isOutboundProxy === true) {
        this.#proxies.set(account.id, targets);
      }
      callback(undefined, this.#destination(targets, hop, account));
    });
  }

  /** The server that holds our registration first: it knows our nonces, and the way to us. */
  #destination(
    targets: readonly FlowTarget[],
    hop: NextHop,
    account: ManagedAccount | undefined,
  ): Destination {
    const flow = account?.flow;
    const { routes, isOwnServer } = hop;
    if (flow === undefined || targets.length < 2) return { targets, routes, isOwnServer };
    const isPresent = (target: FlowTarget): boolean => leadsTo(flow, target);
    return {
      targets: [...targets.filter(isPresent), ...targets.filter((target) => !isPresent(target))],
      routes,
      isOwnServer,
    };
  }

  #inDialog(options: ExchangeOptions, callback: DestinationCallback): void {
    const { nextHop, preferredFlow } = options;
    const flow = preferredFlow?.reliable && preferredFlow.isOpen ? preferredFlow : undefined;
    // A flow that was recovered carries the dialogs of the one that was lost (RFC 5626 §4.3).
    const recovered = flow ?? this.#recovered(options);
    if (recovered !== undefined && isBehind(recovered, nextHop)) {
      callback(undefined, inDialogDestination([targetOf(recovered)]));
      return;
    }
    const { uri, path, preferred } = this.#dialogHop(options);
    const allowLoopback = preferredFlow === undefined || isOfThisMachine(preferredFlow);
    this.#resolve(uri, { path, preferred, allowLoopback }, (error, targets) => {
      if (flow === undefined) {
        // A peer elsewhere that gives such a Contact is behind the address that it sends from.
        if (error?.rule === "loopback" && preferredFlow !== undefined) {
          callback(undefined, inDialogDestination([targetOf(preferredFlow)]));
        } else if (error !== undefined) callback(error, undefined);
        else callback(undefined, inDialogDestination(targets));
        return;
      }
      // The connection that brought us here is the last resort, and the first choice when it leads there anyway.
      const own = targetOf(flow);
      const leads = targets.some((target) => sameAddress(target.address, own.address));
      callback(undefined, inDialogDestination(leads ? [own] : [...targets, own]));
    });
  }

  /** The connection of the account's present registration, when that of the dialog is gone. */
  #recovered(options: ExchangeOptions): Flow | undefined {
    if (options.preferredFlow?.reliable !== true) return undefined;
    const flow = this.#options.account(options.account)?.flow;
    return flow?.reliable && flow.isOpen ? flow : undefined;
  }

  /** A peer whose Contact is a telephone number is reached through the account's server. */
  #dialogHop(options: ExchangeOptions): {
    uri: Uri;
    path?: string | undefined;
    preferred?: TransportProtocol | undefined;
  } {
    const { nextHop } = options;
    const account = this.#options.account(options.account);
    if (!(nextHop instanceof TelUri) || account === undefined) return { uri: nextHop };
    return routeOf(nextHop, account, true);
  }

  #resolve(
    uri: Uri,
    way: Pick<ResolveOptions, "path" | "preferred" | "allowLoopback">,
    callback: (error: TransportError | undefined, targets: readonly FlowTarget[]) => void,
  ): void {
    const options: ResolveOptions = {
      protocols: this.#options.transport.protocols,
      families: this.#options.families,
      ...way,
    };
    this.#options.resolver.resolve(uri, options, callback);
  }
}

function inDialogDestination(targets: readonly FlowTarget[]): Destination {
  return { targets, routes: [], isOwnServer: false };
}

function targetOf(flow: Flow): FlowTarget {
  const { protocol, remoteAddress: address, remotePort: port } = flow;
  return flow.reliable ? { protocol, address, port, flow } : { protocol, address, port };
}

/**
 * A peer that sends us to its own address and names no transport is reached the way we already talk to it: RFC 3263 §4.1
 * would choose UDP, where perhaps nobody listens.
 */
function sameWay(uri: Uri, flow: Flow | undefined): Uri {
  if (!(uri instanceof SipUri) || uri.transport !== undefined || uri.scheme !== "sip") return uri;
  if (flow?.protocol !== "tcp" && flow?.protocol !== "tls") return uri;
  const { protocol, remoteAddress, remotePort } = flow;
  const port = uri.port ?? (protocol === "tls" ? 5061 : 5060);
  const isPeer = sameAddress(uri.host, remoteAddress) && port === remotePort;
  if (!isPeer || uri.parameters.has("maddr")) return uri;
  return uri.with({ parameters: new Map([...uri.parameters, ["transport", protocol]]) });
}

/** A peer on this machine may name it; any other that does wants us to talk to ourselves. */
function isOfThisMachine(flow: Flow): boolean {
  return isLoopback(flow.remoteAddress) || sameAddress(flow.remoteAddress, flow.localAddress);
}

function leadsTo(flow: Flow, target: FlowTarget): boolean {
  return targetKey(targetOf(flow)) === targetKey(target);
}

/**
 * Is the next hop the peer at the other end of this connection, and reachable only through it? True for the address
 * itself, for a WebSocket client's invalid name (RFC 7118 §5.2), and for a private address seen through a NAT.
 */
function isBehind(flow: Flow, nextHop: Uri): boolean {
  if (!(nextHop instanceof SipUri)) return false;
  const { transport, host } = nextHop;
  const fits =
    transport === undefined ||
    transport === flow.protocol ||
    (transport === "ws" && flow.protocol === "wss") ||
    (transport === "tcp" && flow.protocol === "tls");
  if (!fits || nextHop.parameters.has("maddr")) return false;
  if (host.endsWith(".invalid") || sameAddress(host, flow.remoteAddress)) return true;
  return LOCAL_NETWORKS.includes(host) && !LOCAL_NETWORKS.includes(flow.remoteAddress);
}
