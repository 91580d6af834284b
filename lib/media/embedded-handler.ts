/**
 * The media handler with an RTP endpoint of its own: negotiation on the main thread, everything that has to do with
 * packets in worker threads (rtp/worker.ts), which all handlers of the process share.
 */
import { CryptoRandom, InvalidArgumentError, silentLogger } from "../foundation/index.js";
import type { Logger, RandomSource } from "../foundation/index.js";
import { capabilitiesOf, SdpCache, unknownCodecs, withoutCodecs } from "../sdp/index.js";
import type { Capabilities, SrtpMode } from "../sdp/index.js";
import type { MediaHandler, MediaSession, MediaSessionContext } from "../session/media-handler.js";
import { EmbeddedMediaSession } from "./embedded-session.js";
import { localMediaAddress, withoutPort } from "./local-address.js";
import { sharedWorkers } from "./worker-pool.js";
import type { PoolMember, WorkerPool } from "./worker-pool.js";

export interface EmbeddedMediaHandlerOptions {
  /** IP address to bind and to name in descriptions. Default: the local address of the signalling. */
  readonly address?: string | undefined;
  /** Named in descriptions instead, behind a NAT or in a container. */
  readonly advertise?: string | undefined;
  /** UDP ports. Default 10000 to 20000. */
  readonly portMin?: number | undefined;
  readonly portMax?: number | undefined;
  /** By preference; names that are not known are left out. Default opus, G722, PCMU, PCMA. */
  readonly codecs?: readonly string[] | undefined;
  /** Milliseconds without a packet after which `onMediaTimeout` is called; 0 (default) = never. */
  readonly mediaTimeout?: number | undefined;
  /**
   * Encryption with keys in the description (SDES, RFC 4568). `optional`: offered, and taken where the peer has it;
   * `required`: calls without it are refused. Default `off`.
   */
  readonly srtp?: SrtpMode | undefined;
  readonly random?: RandomSource | undefined;
  readonly logger?: Logger | undefined;
  /** Threads of its own, in tests. Default: those of the process. */
  readonly workers?: WorkerPool | undefined;
}

export class EmbeddedMediaHandler implements MediaHandler {
  readonly contentType = "application/sdp";
  readonly #options: EmbeddedMediaHandlerOptions;
  readonly #portMin: number;
  readonly #portMax: number;
  readonly #capabilities: Capabilities;
  readonly #cache = new SdpCache();
  readonly #random: RandomSource;
  readonly #logger: Logger;
  readonly #workers: PoolMember;
  readonly #sessions = new Set<EmbeddedMediaSession>();
  /** By the codecs that could not be loaded; there are few. */
  readonly #limited = new Map<string, Capabilities>();

  /** @throws InvalidArgumentError for a port range that holds no pair of ports. */
  constructor(options: EmbeddedMediaHandlerOptions = {}) {
    this.#options = options;
    this.#portMin = options.portMin ?? 10_000;
    this.#portMax = options.portMax ?? 20_000;
    if (!isPortRange(this.#portMin, this.#portMax)) {
      throw new InvalidArgumentError(
        `The RTP ports ${this.#portMin} to ${this.#portMax} hold no even port with its neighbour`,
      );
    }
    this.#capabilities = capabilitiesOf(options.codecs ?? []);
    this.#random = options.random ?? new CryptoRandom();
    this.#logger = options.logger ?? silentLogger;
    this.#workers = (options.workers ?? sharedWorkers).join(this.#logger);
    for (const name of unknownCodecs(options.codecs ?? [])) {
      this.#logger.warn(`There is no codec "${name}"; it is left out`);
    }
  }

  /** Starts a worker beforehand, so that the first call need not wait for it. */
  start(): Promise<void> {
    return this.#workers.start(this.#codecNames);
  }

  createSession(context: MediaSessionContext): MediaSession {
    const bindAddress = localMediaAddress(
      this.#options.address ?? context.localAddress,
      context.remoteAddress,
    );
    const { advertise } = this.#options;
    const place = this.#workers.place(context.sessionId, context.near);
    const session = new EmbeddedMediaSession({
      context,
      worker: place.worker,
      capabilities: this.#capabilities,
      usableCodecs: (unusable) => this.#usableCodecs(unusable),
      cache: this.#cache,
      random: this.#random,
      logger: this.#logger,
      bindAddress,
      describedAddress: advertise ? withoutPort(advertise) : bindAddress,
      portMin: this.#portMin,
      portMax: this.#portMax,
      mediaTimeout: this.#options.mediaTimeout ?? 0,
      srtp: this.#options.srtp ?? "off",
      onClosed: (closed) => {
        place.leave();
        this.#sessions.delete(closed);
      },
    });
    this.#sessions.add(session);
    return session;
  }

  get #codecNames(): readonly string[] {
    return this.#capabilities.codecs.map(({ name }) => name);
  }

  #usableCodecs(unusable: readonly string[]): Capabilities {
    if (unusable.length === 0) return this.#capabilities;
    const key = unusable.join();
    const known = this.#limited.get(key) ?? withoutCodecs(this.#capabilities, unusable);
    this.#limited.set(key, known);
    return known;
  }

  /** Sessions that are open. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** Closes every session, and with the last handler ends the workers; when it resolves its ports are free. */
  close(): Promise<void> {
    return this.#workers.leave(Promise.all([...this.#sessions].map((session) => session.close())));
  }
}

function isPortRange(min: number, max: number): boolean {
  return (
    Number.isInteger(min) &&
    Number.isInteger(max) &&
    min > 0 &&
    max <= 65_535 &&
    min + (min & 1) + 1 <= max
  );
}
