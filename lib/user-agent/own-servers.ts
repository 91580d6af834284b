/** The addresses of one account's registrar and proxy, as they were resolved: whom it trusts with its password. */
import type { FlowTarget } from "../transport/transport.js";

/** DNS may name new servers for years; the ones seen first are forgotten. */
const MOST_SERVERS = 64;

export class OwnServers {
  /** IP address → ports. */
  readonly #servers = new Map<string, Set<number>>();

  learn(targets: readonly FlowTarget[]): void {
    for (const { address, port } of targets) {
      const ports = this.#servers.get(address);
      if (ports !== undefined) {
        if (ports.size < MOST_SERVERS) ports.add(port);
        continue;
      }
      if (this.#servers.size >= MOST_SERVERS) {
        const [oldest] = this.#servers.keys();
        if (oldest !== undefined) this.#servers.delete(oldest);
      }
      this.#servers.set(address, new Set([port]));
    }
  }

  /** Addresses that are known. */
  get size(): number {
    return this.#servers.size;
  }

  hasAddress(address: string): boolean {
    return this.#servers.has(address);
  }

  /** A server is an address and a port: on one machine others may listen beside it. */
  includes(target: { readonly address: string; readonly port: number }): boolean {
    return this.#servers.get(target.address)?.has(target.port) ?? false;
  }
}
