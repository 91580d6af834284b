/**
 * From a URI to the list of targets to try, best first (RFC 3263 §4): NAPTR, then SRV, then A/AAAA. Numeric hosts
 * are answered at once. The caller goes to the next target when one fails (§4.3).
 */
import { errorText, silentLogger, TransportError } from "../foundation/index.js";
import type { Clock, Logger, RandomSource } from "../foundation/index.js";
import type { Uri } from "../message/index.js";
import { defaultPort, ipFamily, isGroupAddress, isLoopback, unbracket } from "./addresses.js";
import { DnsQuestions } from "./dns-questions.js";
import type { DnsTimes } from "./dns-questions.js";
import { orderNaptr, orderSrv } from "./srv-order.js";
import { planTarget } from "./target-plan.js";
import type { ResolveOptions, TargetPlan } from "./target-plan.js";
import type { DnsClient, FlowTarget, NaptrRecord, TransportProtocol } from "./transport.js";

export interface ResolverOptions {
  readonly dns: DnsClient;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger?: Logger | undefined;
  readonly times?: Partial<DnsTimes> | undefined;
}

/** Exactly one call: an error (code E_DNS or E_TRANSPORT), or at least one target. */
export type ResolveCallback = (
  error: TransportError | undefined,
  targets: readonly FlowTarget[],
) => void;

const MOST_TARGETS = 20;
/** Host names of one domain whose addresses are asked for. */
const MOST_SERVERS = 10;

/** RFC 3263 §4.1, RFC 7118 §9.2: NAPTR services and the transports they stand for. */
const NAPTR_SERVICES: ReadonlyMap<string, TransportProtocol> = new Map([
  ["sip+d2u", "udp"],
  ["sip+d2t", "tcp"],
  ["sips+d2t", "tls"],
  ["sip+d2w", "ws"],
  ["sips+d2w", "wss"],
]);

/** RFC 3263 §4.1, §4.2. WebSocket servers are found by NAPTR or by their address only. */
const SRV_PREFIXES: Readonly<Partial<Record<TransportProtocol, string>>> = {
  udp: "_sip._udp.",
  tcp: "_sip._tcp.",
  tls: "_sips._tcp.",
};

interface Server {
  readonly protocol: TransportProtocol;
  readonly host: string;
  readonly port: number;
}

/** What one resolution has learned; `faults` are codes of DNS failures. */
interface Lookup {
  readonly plan: TargetPlan;
  readonly options: ResolveOptions;
  readonly families: readonly (4 | 6)[];
  readonly faults: string[];
  loopbackDropped: boolean;
}

export class Resolver {
  readonly #dns: DnsQuestions;
  readonly #random: RandomSource;
  readonly #logger: Logger;

  constructor(options: ResolverOptions) {
    this.#dns = new DnsQuestions(options.dns, options.clock, options.times);
    this.#random = options.random;
    this.#logger = options.logger ?? silentLogger;
  }

  /** Calls back synchronously for numeric hosts and for URIs that cannot be reached at all. */
  resolve(uri: Uri, options: ResolveOptions, callback: ResolveCallback): void {
    const plan = planTarget(uri, options);
    if (plan instanceof TransportError) {
      callback(plan, []);
      return;
    }
    if (plan.isNumeric) {
      if (options.allowLoopback === false && isOurselves(plan.host)) {
        callback(loopbackRefusal(plan.host), []);
        return;
      }
      const protocol = plan.demanded ?? plan.usable[0];
      const port = plan.port ?? defaultPort(protocol);
      callback(undefined, [target(plan, options, protocol, plan.host, port)]);
      return;
    }
    this.#resolveName(plan, options).then(
      (targets) => this.#answer(callback, undefined, targets),
      (error: unknown) => {
        const failure =
          error instanceof TransportError
            ? error
            : new TransportError(`Looking up ${plan.host} failed: ${errorText(error)}`, plan.host, {
                code: "E_DNS",
                cause: error,
              });
        this.#answer(callback, failure, []);
      },
    );
  }

  #answer(
    callback: ResolveCallback,
    error: TransportError | undefined,
    targets: readonly FlowTarget[],
  ): void {
    try {
      callback(error, targets);
    } catch (thrown) {
      this.#logger.error(`Using the targets of a domain failed: ${errorText(thrown)}`);
    }
  }

  async #resolveName(plan: TargetPlan, options: ResolveOptions): Promise<FlowTarget[]> {
    const families = options.families ?? [4, 6];
    const lookup: Lookup = { plan, options, families, faults: [], loopbackDropped: false };
    const targets = await this.#targets(lookup);
    if (targets.length === 0) throw notFound(lookup);
    return distinct(targets).slice(0, MOST_TARGETS);
  }

  async #targets(lookup: Lookup): Promise<FlowTarget[]> {
    const { plan } = lookup;
    const fallback = plan.demanded ?? plan.usable[0];
    if (plan.port === undefined && !isLocalName(plan.host)) {
      const byNaptr = plan.demanded === undefined ? await this.#viaNaptr(lookup) : [];
      if (byNaptr.length > 0) return byNaptr;
      const protocols = plan.demanded === undefined ? plan.usable : [plan.demanded];
      const servers = await Promise.all(protocols.map((p) => this.#servers(lookup, p, undefined)));
      const bySrv = await this.#addressesOf(lookup, servers.flat());
      if (bySrv.length > 0) return bySrv;
    }
    const port = plan.port ?? defaultPort(fallback);
    return this.#addressesOf(lookup, [{ protocol: fallback, host: plan.host, port }]);
  }

  /** §4.1: records for transports that we do not have, or that are not secure enough, are passed over. */
  async #viaNaptr(lookup: Lookup): Promise<FlowTarget[]> {
    const { plan, faults } = lookup;
    const answer = await this.#dns.naptr(plan.host);
    if (answer.fault !== undefined) faults.push(answer.fault);
    const records = orderNaptr(answer.records).slice(0, MOST_SERVERS);
    const servers = await Promise.all(records.map((r) => this.#serversOfNaptr(lookup, r)));
    return this.#addressesOf(lookup, servers.flat());
  }

  #serversOfNaptr(lookup: Lookup, record: NaptrRecord): Promise<Server[]> {
    const protocol = naptrProtocol(record, lookup.plan.usable);
    const host = record.replacement;
    const flag = record.flags.toLowerCase();
    if (protocol === undefined || !isHostName(host)) return Promise.resolve([]);
    if (flag === "s") return this.#servers(lookup, protocol, host);
    return Promise.resolve(flag === "a" ? [{ protocol, host, port: defaultPort(protocol) }] : []);
  }

  /** @param name - from NAPTR; otherwise made of the domain and the transport. */
  async #servers(
    lookup: Lookup,
    protocol: TransportProtocol,
    name: string | undefined,
  ): Promise<Server[]> {
    const prefix = SRV_PREFIXES[protocol];
    const question = name ?? (prefix === undefined ? undefined : prefix + lookup.plan.host);
    if (question === undefined) return [];
    const answer = await this.#dns.srv(question);
    if (answer.fault !== undefined) lookup.faults.push(answer.fault);
    // RFC 2782: a target of "." says that the service is not offered here.
    const useful = answer.records.filter(
      (r) => isHostName(r.name) && r.port > 0 && r.port < 65_536,
    );
    return orderSrv(useful, this.#random).map((r) => ({ protocol, host: r.name, port: r.port }));
  }

  async #addressesOf(lookup: Lookup, servers: readonly Server[]): Promise<FlowTarget[]> {
    const lists = await Promise.all(
      servers.slice(0, MOST_SERVERS).map(async (server) => {
        const addresses = await this.#addresses(lookup, server.host);
        return addresses.map((address) =>
          target(lookup.plan, lookup.options, server.protocol, address, server.port),
        );
      }),
    );
    return lists.flat();
  }

  async #addresses(lookup: Lookup, host: string): Promise<string[]> {
    // SRV targets should be names; some domains put addresses there.
    if (ipFamily(host) !== 0) return this.#allowed(lookup, [unbracket(host)]);
    const answers = await Promise.all(
      lookup.families.map((family) => this.#dns.addresses(host, family)),
    );
    for (const answer of answers) if (answer.fault !== undefined) lookup.faults.push(answer.fault);
    return this.#allowed(
      lookup,
      answers.flatMap((answer) => answer.records),
    );
  }

  #allowed(lookup: Lookup, addresses: readonly string[]): string[] {
    return addresses.filter((address) => {
      if (ipFamily(address) === 0 || isGroupAddress(address)) return false;
      if (lookup.options.allowLoopback !== false || !isLoopback(address)) return true;
      lookup.loopbackDropped = true;
      return false;
    });
  }
}

/** Each server once, at its first place: records may lead to the same address by several names. */
function distinct(targets: readonly FlowTarget[]): FlowTarget[] {
  const seen = new Set<string>();
  return targets.filter(({ protocol, address, port }) => {
    const key = `${protocol} ${address} ${port}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function target(
  plan: TargetPlan,
  options: ResolveOptions,
  protocol: TransportProtocol,
  address: string,
  port: number,
): FlowTarget {
  const secure = protocol === "tls" || protocol === "wss";
  const isWebSocket = protocol === "ws" || protocol === "wss";
  return {
    protocol,
    address,
    port,
    // RFC 5922 §4: the certificate must name the domain that was asked for, not the server that SRV named.
    serverName: (secure || isWebSocket) && !plan.isNumeric ? plan.host : undefined,
    path: isWebSocket ? options.path : undefined,
    mayUseTcp: protocol === "udp" && !plan.udpDemanded && options.protocols.includes("tcp"),
  };
}

function naptrProtocol(
  record: NaptrRecord,
  usable: readonly TransportProtocol[],
): TransportProtocol | undefined {
  const protocol = NAPTR_SERVICES.get(record.service.toLowerCase());
  return protocol !== undefined && usable.includes(protocol) ? protocol : undefined;
}

function isHostName(name: string): boolean {
  return name !== "" && name !== "." && name.length <= 255;
}

/** RFC 6761 §6.3, RFC 6762 §3: names that DNS servers do not know. */
function isLocalName(host: string): boolean {
  const name = host.toLowerCase();
  return name === "localhost" || name.endsWith(".localhost") || name.endsWith(".local");
}

function notFound(lookup: Lookup): TransportError {
  const { host } = lookup.plan;
  const fault = lookup.faults[0];
  const kinds = lookup.families.map((family) => `IPv${family}`).join(" or ");
  if (lookup.loopbackDropped) return loopbackRefusal(host);
  let text: string;
  if (fault === undefined) {
    text = `The host ${host} has no ${kinds} address in DNS: check its spelling.`;
  } else {
    text = `The host ${host} could not be looked up (${fault}): check the network and the DNS servers of the SIP stack or of this machine.`;
  }
  return new TransportError(text, host, { code: "E_DNS" });
}

function loopbackRefusal(host: string): TransportError {
  return new TransportError(
    `The host ${host} leads to this machine itself, which is not allowed for addresses that a peer names.`,
    host,
    { code: "E_DNS", rule: "loopback" },
  );
}

/** 0.0.0.0 is this machine as well; groups are nobody's address. */
function isOurselves(host: string): boolean {
  return isLoopback(host) || isGroupAddress(host);
}
