/**
 * Where a request goes first (RFC 3261 §8.1.2): to the account's outbound proxy, along its Service-Route (RFC 3608),
 * to its registrar for everything in its domain, else where the Request-URI says.
 */
import { InvalidArgumentError } from "../foundation/index.js";
import type { HeaderMap } from "../message/index.js";
import { NameAddr, SipRequest, SipUri, TelUri, type Uri } from "../message/index.js";
import type { TransportProtocol } from "../transport/transport.js";
import type { ResolvedAccount, ServerAddress } from "./resolved-options.js";

export interface RoutedAccount {
  readonly settings: ResolvedAccount;
  /** Of the present registration. */
  readonly serviceRoute: readonly NameAddr[];
}

export interface NextHop {
  /** What is resolved. */
  readonly uri: SipUri;
  /** ws/wss: path of the URL. */
  readonly path?: string | undefined;
  readonly preferred?: TransportProtocol | undefined;
  /** Preloaded Route lines (RFC 3261 §8.1.1.1). */
  readonly routes: readonly NameAddr[];
  /** This is the account's own registrar or proxy. */
  readonly isOwnServer: boolean;
  /** This is the configured outbound proxy, which may be cached. */
  readonly isOutboundProxy?: boolean;
}

/**
 * The way of a request outside of any dialog.
 *
 * @param isRegister - REGISTER takes no Service-Route (RFC 3608 §5) and goes to the registrar.
 * @throws InvalidArgumentError for a URI that cannot be routed.
 */
export function routeOf(
  target: Uri,
  account: RoutedAccount | undefined,
  isRegister: boolean,
): NextHop {
  const preferred = account?.settings.transport;
  const proxy = account?.settings.outboundProxy;
  const serviceRoute = account === undefined || isRegister ? [] : account.serviceRoute;
  if (proxy !== undefined) {
    const first = new NameAddr(looseRouter(proxy.uri));
    const routes = [first, ...serviceRoute.filter((route, i) => i > 0 || !sameHop(route, proxy))];
    return {
      uri: proxy.uri,
      path: proxy.path,
      preferred,
      routes,
      isOwnServer: true,
      isOutboundProxy: true,
    };
  }
  const [firstRoute] = serviceRoute;
  if (firstRoute !== undefined && firstRoute.uri instanceof SipUri) {
    return { uri: firstRoute.uri, preferred, routes: serviceRoute, isOwnServer: true };
  }
  if (account !== undefined && (isRegister || belongsToServer(target, account))) {
    const { uri, path } = account.settings.registrar;
    const asked = preferred === undefined && !isRegister ? transportAsked(target, uri) : undefined;
    return { uri: asked ?? uri, path, preferred, routes: [], isOwnServer: true };
  }
  if (target instanceof SipUri) return { uri: target, routes: [], isOwnServer: false };
  throw new InvalidArgumentError(`There is no way to ${target.toString()} without an account.`, {
    rule: "bad-target",
  });
}

/** Does the account's registrar stand for this target? */
function belongsToServer(target: Uri, account: RoutedAccount): boolean {
  if (target instanceof TelUri) return true;
  if (!(target instanceof SipUri)) return false;
  // A WebSocket client has no other way into the network than its server (RFC 7118 §5).
  const transport = account.settings.registrar.uri.transport ?? account.settings.transport;
  if (transport === "ws" || transport === "wss") return true;
  const { host, port } = account.settings.uri;
  return target.host === host && target.port === port && !target.parameters.has("maddr");
}

/** The server by the transport that the target names, where the account's settings leave it open. */
function transportAsked(target: Uri, server: SipUri): SipUri | undefined {
  if (!(target instanceof SipUri) || target.transport === undefined) return undefined;
  if (server.transport !== undefined) return undefined;
  return server.with({
    parameters: new Map([...server.parameters, ["transport", target.transport]]),
  });
}

function looseRouter(uri: SipUri): SipUri {
  if (uri.isLooseRouter) return uri;
  return uri.with({ parameters: new Map([...uri.parameters, ["lr", null]]) });
}

function sameHop(route: NameAddr, proxy: ServerAddress): boolean {
  return (
    route.uri instanceof SipUri &&
    route.uri.host === proxy.uri.host &&
    route.uri.port === proxy.uri.port
  );
}

/** Puts a preloaded route set into a request; a strict router takes the Request-URI's place (§12.2.1.1). */
export function applyRoutes(request: SipRequest, routes: readonly NameAddr[]): void {
  const [first, ...rest] = routes;
  if (first === undefined) return;
  if (!(first.uri instanceof SipUri) || first.uri.isLooseRouter) {
    request.headers.set(
      "Route",
      routes.map((route) => route.toString()),
    );
    return;
  }
  const target = `<${request.uri}>`;
  request.uri = first.uri.with({ headers: new Map() }).toString();
  request.headers.set("Route", [...rest.map((route) => route.toString()), target]);
}

/** A copy that a new transaction may change, without the Via of the last one. */
export function copyRequest(request: SipRequest): SipRequest {
  const headers: HeaderMap = request.headers.clone();
  headers.delete("via");
  return new SipRequest(request.method, request.uri, headers, request.body);
}
