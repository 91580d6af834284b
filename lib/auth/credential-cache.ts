/**
 * What servers have asked for: the nonces by which the next request is authorised without a challenge (RFC 3261
 * §22.2, RFC 7616 §3.3 nonce count), and the strongest algorithm seen, so that nobody talks us down to MD5
 * afterwards (RFC 8760 §2.4). No passwords. Bounded: the least recently used go first.
 */
import type { UsableChallenge } from "./challenge.js";

/** A nonce in use. */
export interface NonceState {
  readonly challenge: UsableChallenge;
  /** Requests authorised with this nonce so far. */
  count: number;
  /** Of the first request; the `-sess` algorithms stay with it. */
  readonly clientNonce: string;
}

export interface CredentialCacheOptions {
  /** Pairs of server and user. Default 256. */
  readonly limit?: number | undefined;
}

/** Realms per server and user; a server on the way has one, its proxies perhaps another. */
const MOST_REALMS = 8;

interface ServerState {
  /** By header and realm. */
  readonly nonces: Map<string, NonceState>;
  /** By realm, of those that went beyond MD5. */
  readonly strengths: Map<string, number>;
}

export class CredentialCache {
  readonly #limit: number;
  readonly #servers = new Map<string, ServerState>();

  constructor(options: CredentialCacheOptions = {}) {
    this.#limit = options.limit ?? 256;
  }

  get size(): number {
    return this.#servers.size;
  }

  /** Strength of the strongest challenge of this realm that was answered, 0 when none went beyond MD5. */
  strength(serverKey: string, user: string, realm: string): number {
    return this.#server(serverKey, user)?.strengths.get(realm) ?? 0;
  }

  /** The nonces in use at a server, one per realm and header. */
  nonces(serverKey: string, user: string): NonceState[] {
    return [...(this.#server(serverKey, user)?.nonces.values() ?? [])];
  }

  /** The state of the nonce of this challenge, if it was answered before. */
  find(serverKey: string, user: string, challenge: UsableChallenge): NonceState | undefined {
    const key = nonceKey(challenge);
    const state = this.#server(serverKey, user)?.nonces.get(key);
    const same =
      state?.challenge.nonce === challenge.nonce &&
      state.challenge.algorithm === challenge.algorithm &&
      state.challenge.qop === challenge.qop;
    return same ? state : undefined;
  }

  /** Keeps a nonce for later requests, in place of an older one of its realm and header. */
  store(serverKey: string, user: string, state: NonceState): void {
    const server = this.#serverToFill(serverKey, user);
    const { challenge } = state;
    insert(server.nonces, nonceKey(challenge), state);
    noteStrength(server.strengths, challenge);
  }

  /**
   * Forgets the nonces of a server, because it refused the credentials. What is known of its algorithms stays.
   */
  forget(serverKey: string, user: string): void {
    this.#server(serverKey, user)?.nonces.clear();
  }

  clear(): void {
    this.#servers.clear();
  }

  #server(serverKey: string, user: string): ServerState | undefined {
    return this.#servers.get(serverId(serverKey, user));
  }

  #serverToFill(serverKey: string, user: string): ServerState {
    const id = serverId(serverKey, user);
    const server = this.#servers.get(id) ?? { nonces: new Map(), strengths: new Map() };
    this.#servers.delete(id);
    this.#servers.set(id, server);
    if (this.#servers.size > this.#limit) dropFirst(this.#servers);
    return server;
  }
}

function serverId(serverKey: string, user: string): string {
  return `${serverKey}\n${user}`;
}

function nonceKey(challenge: UsableChallenge): string {
  return `${challenge.header}\n${challenge.realm}`;
}

/** What was learnt first stays: nobody can make us forget it by naming many realms. */
function noteStrength(strengths: Map<string, number>, { realm, strength }: UsableChallenge): void {
  const known = strengths.get(realm) ?? 1;
  if (strength <= known) return;
  if (strengths.has(realm) || strengths.size < MOST_REALMS) strengths.set(realm, strength);
}

/** As the newest entry of a small map. */
function insert<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MOST_REALMS) dropFirst(map);
}

function dropFirst(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
