/**
 * The DNS questions of RFC 3263 over node:dns. Host names go through the system's resolver, so that /etc/hosts,
 * `localhost`, mDNS and search domains work as everywhere on the machine; NAPTR and SRV, and host names when
 * servers are configured, go to DNS directly.
 */
import { promises } from "node:dns";
import { errorText, InvalidArgumentError } from "../foundation/index.js";
import { LookupGate } from "./lookup-gate.js";
import type { DnsClient, NaptrRecord, SrvRecord } from "./transport.js";

export interface NodeDnsOptions {
  /** IP addresses, `192.0.2.53` or `192.0.2.53:5353`; empty = the system's. */
  readonly servers?: readonly string[] | undefined;
}

const QUESTION_TIMEOUT_MS = 2_000;
const TRIES = 2;
/** The threads belong to the whole process. */
const system = new LookupGate();

export class NodeDnsClient implements DnsClient {
  readonly #resolver = new promises.Resolver({ timeout: QUESTION_TIMEOUT_MS, tries: TRIES });
  readonly #ownServers: boolean;

  /** @throws InvalidArgumentError when a server is no IP address. */
  constructor(options: NodeDnsOptions = {}) {
    const servers = options.servers ?? [];
    this.#ownServers = servers.length > 0;
    if (!this.#ownServers) return;
    try {
      this.#resolver.setServers([...servers]);
    } catch (error) {
      throw new InvalidArgumentError(
        `DNS servers must be IP addresses such as 192.0.2.53 or [2001:db8::53]:5353: ${errorText(error)}`,
        { cause: error },
      );
    }
  }

  resolveNaptr(name: string): Promise<NaptrRecord[]> {
    return this.#resolver.resolveNaptr(name);
  }

  /** Newer versions of Node.js add fields of their own to the records. */
  async resolveSrv(name: string): Promise<SrvRecord[]> {
    const records = await this.#resolver.resolveSrv(name);
    return records.map(({ priority, weight, port, name: target }) => ({
      priority,
      weight,
      port,
      name: target,
    }));
  }

  resolve4(name: string): Promise<string[]> {
    return this.#addresses(name, 4);
  }

  resolve6(name: string): Promise<string[]> {
    return this.#addresses(name, 6);
  }

  async #addresses(name: string, family: 4 | 6): Promise<string[]> {
    if (!this.#ownServers) return system.addresses(name, family);
    try {
      return await (family === 4 ? this.#resolver.resolve4(name) : this.#resolver.resolve6(name));
    } catch (error) {
      // The configured servers do not know it: /etc/hosts may.
      return system.addresses(name, family).catch(() => {
        throw error;
      });
    }
  }
}
