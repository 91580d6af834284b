/** Where an account's REGISTER would go (RFC 3261 §10.2, RFC 3263), found out without sending anything. */
import { CryptoRandom, SystemClock, type Clock } from "../foundation/index.js";
import { NodeDnsClient, Resolver } from "../transport/index.js";
import type { DnsClient, FlowTarget, TransportProtocol } from "../transport/transport.js";
import type { AccountOptions } from "./options.js";
import { resolveAccount } from "./resolved-options.js";
import { routeOf } from "./routing.js";

export interface AccountWayOptions {
  /** What the stack can send over. */
  readonly protocols: readonly TransportProtocol[];
  readonly families?: readonly (4 | 6)[] | undefined;
  readonly dnsServers?: readonly string[] | undefined;
  readonly dns?: DnsClient | undefined;
  readonly clock?: Clock | undefined;
}

export interface AccountWay {
  /** Of the outbound proxy, else of the registrar: what is looked up. */
  readonly host: string;
  /** User name that digest uses. */
  readonly user: string;
  /** Best first, at least one. */
  readonly targets: readonly FlowTarget[];
}

/** The user and the servers that an account names: whom its password is for. @throws InvalidArgumentError. */
export function accountServers(options: AccountOptions): string {
  const { authUser, registrar, outboundProxy } = resolveAccount(options);
  const place = (server: typeof outboundProxy): string =>
    server === undefined ? "" : `${server.uri.toString()} ${server.path ?? ""}`;
  return JSON.stringify([authUser, place(registrar), place(outboundProxy)]);
}

/** @throws InvalidArgumentError for settings that cannot be, TransportError (E_DNS) for a host that is not found. */
export function accountWay(options: AccountOptions, how: AccountWayOptions): Promise<AccountWay> {
  const settings = resolveAccount(options);
  const account = { settings, serviceRoute: [] };
  const { uri, path, preferred } = routeOf(settings.registrar.uri, account, true);
  const resolver = new Resolver({
    dns: how.dns ?? new NodeDnsClient({ servers: how.dnsServers }),
    clock: how.clock ?? new SystemClock(),
    random: new CryptoRandom(),
  });
  const { protocols, families } = how;
  return new Promise((resolve, reject) => {
    resolver.resolve(uri, { protocols, families, path, preferred }, (error, targets) => {
      if (error !== undefined) reject(error);
      else resolve({ host: uri.host, user: settings.authUser, targets });
    });
  });
}
