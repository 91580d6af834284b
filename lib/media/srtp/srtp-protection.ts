/**
 * The encryption of one session over its life (RFC 3711, RFC 4568 §7): keeps its numbers when a description repeats or
 * changes keys, and goes back to what it knew of an earlier key when an exchange is taken back.
 */
import type { SrtpSuite } from "../../sdp/index.js";
import type { PacketProtection } from "./packet-protection.js";
import { createTransform, IncomingContext, OutgoingContext } from "./srtp-context.js";
import type { SourcePositions } from "./srtp-context.js";

/** Keys as they cross to the worker. */
export interface SrtpSettings {
  readonly suite: SrtpSuite;
  /** Base64 of master key and salt. */
  readonly localKey: string;
  readonly remoteKey: string;
  /** Hexadecimal; empty = the peer's packets carry none. */
  readonly remoteKeyIdentifier: string;
}

/** Keys of the peer whose packet numbers are remembered. */
const MOST_KEYS = 4;

export class SrtpProtection implements PacketProtection {
  #outgoing: OutgoingContext;
  #outgoingKey: string;
  #incoming: IncomingContext;
  /** By suite and key, the one in use last. */
  readonly #known = new Map<string, IncomingContext>();

  constructor(settings: SrtpSettings) {
    this.#outgoingKey = `${settings.suite} ${settings.localKey}`;
    this.#outgoing = new OutgoingContext(createTransform(settings.suite, settings.localKey));
    this.#incoming = this.#contextOf(settings, new Map());
  }

  configure(settings: SrtpSettings): void {
    const key = `${settings.suite} ${settings.localKey}`;
    if (key !== this.#outgoingKey) {
      this.#outgoingKey = key;
      this.#outgoing.changeKey(createTransform(settings.suite, settings.localKey));
    }
    this.#incoming = this.#contextOf(settings, this.#incoming.positions);
  }

  protectRtp(packet: Buffer): Buffer {
    return this.#outgoing.protectRtp(packet);
  }

  protectRtcp(packet: Buffer): Buffer {
    return this.#outgoing.protectRtcp(packet);
  }

  unprotectRtp(packet: Buffer): Buffer | undefined {
    return this.#incoming.unprotectRtp(packet);
  }

  unprotectRtcp(packet: Buffer): Buffer | undefined {
    return this.#incoming.unprotectRtcp(packet);
  }

  #contextOf(settings: SrtpSettings, before: SourcePositions): IncomingContext {
    const { suite, remoteKey, remoteKeyIdentifier } = settings;
    const key = `${suite} ${remoteKey} ${remoteKeyIdentifier}`;
    const context =
      this.#known.get(key) ??
      new IncomingContext(createTransform(suite, remoteKey), remoteKeyIdentifier, before);
    this.#known.delete(key);
    this.#known.set(key, context);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MOST_KEYS && oldest !== undefined) this.#known.delete(oldest);
    return context;
  }
}
