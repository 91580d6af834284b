/**
 * Request-URI and Route of a request that follows a route set (RFC 3261 §12.2.1.1). A strict router, known by its
 * missing `lr`, takes its own URI as Request-URI, and the remote target goes to the end of the Route.
 */
import type { NameAddr } from "../message/index.js";
import { SipUri, type Uri } from "../message/index.js";

/** The Request-URI. */
export function firstHop(routeSet: readonly NameAddr[], remoteTarget: Uri): string {
  const first = routeSet[0];
  return requestUri(first === undefined || isLoose(first) ? remoteTarget : first.uri);
}

/** The Route lines in order; undefined without route set. */
export function routeLines(routeSet: readonly NameAddr[], remoteTarget: Uri): string[] | undefined {
  const first = routeSet[0];
  if (first === undefined) return undefined;
  if (isLoose(first)) return routeSet.map(String);
  return [...routeSet.slice(1).map(String), `<${requestUri(remoteTarget)}>`];
}

function isLoose(route: NameAddr): boolean {
  return route.uri instanceof SipUri && route.uri.isLooseRouter;
}

/** Without the parts that a Request-URI may not have: headers and the method parameter (§19.1.1, table 1). */
function requestUri(uri: Uri): string {
  if (!(uri instanceof SipUri)) return uri.toString();
  if (uri.headers.size === 0 && !uri.parameters.has("method")) return uri.toString();
  const parameters = new Map(uri.parameters);
  parameters.delete("method");
  return uri.with({ parameters, headers: new Map() }).toString();
}
