/**
 * A media handler that negotiates and carries no sound: every session has the same address and port, and every
 * answer is ready at once. For load tests, and for hosts whose RTP endpoint is elsewhere at a fixed place.
 */
import { CryptoRandom } from "../foundation/index.js";
import type { RandomSource } from "../foundation/index.js";
import { capabilitiesOf, Negotiator, SdpCache } from "../sdp/index.js";
import type { Capabilities } from "../sdp/index.js";
import type {
  AudioControl,
  HoldState,
  MediaDescription,
  MediaDirection,
  MediaHandler,
  MediaSession,
  MediaSessionContext,
} from "../session/media-handler.js";
import {
  holdStateOf,
  makeOffer,
  mediaDescriptions,
  originSessionId,
  type OfferOptions,
} from "./negotiated-media.js";

export interface DescriptionMediaHandlerOptions {
  /** Connection address of all descriptions; default the local address of the signalling. */
  readonly address?: string | undefined;
  /** RTP port of all descriptions. Default 9 (discard). */
  readonly port?: number | undefined;
  /** By preference. Default PCMU, PCMA. */
  readonly codecs?: readonly string[] | undefined;
  readonly random?: RandomSource | undefined;
}

export class DescriptionMediaHandler implements MediaHandler {
  readonly contentType = "application/sdp";
  readonly #address: string | undefined;
  readonly #port: number;
  readonly #capabilities: Capabilities;
  readonly #random: RandomSource;
  readonly #cache = new SdpCache();

  constructor(options: DescriptionMediaHandlerOptions = {}) {
    this.#address = options.address;
    this.#port = options.port ?? 9;
    this.#capabilities = capabilitiesOf(options.codecs ?? ["PCMU", "PCMA"]);
    this.#random = options.random ?? new CryptoRandom();
  }

  createSession(context: MediaSessionContext): DescriptionMediaSession {
    return new DescriptionMediaSession(
      new Negotiator({
        capabilities: this.#capabilities,
        cache: this.#cache,
        sessionId: originSessionId(this.#random),
        address: this.#address ?? context.localAddress,
        port: this.#port,
      }),
    );
  }

  close(): void {
    // Sessions hold nothing that would have to be freed.
  }
}

/** The session of this handler; everything it does is done at once. */
export class DescriptionMediaSession implements MediaSession {
  readonly audio: AudioControl | undefined = undefined;
  readonly #negotiator: Negotiator;

  constructor(negotiator: Negotiator) {
    this.#negotiator = negotiator;
  }

  offer(options: OfferOptions = {}): string {
    return makeOffer(this.#negotiator, options);
  }

  answer(offer: string, options: { readonly direction?: MediaDirection } = {}): string {
    return this.#negotiator.answer(offer, options.direction);
  }

  acceptAnswer(answer: string, options?: { readonly early?: boolean }): void {
    this.#negotiator.accept(answer, options?.early ?? false);
  }

  rollback(): void {
    this.#negotiator.rollback();
  }

  start(): void {
    this.#negotiator.commit();
  }

  get media(): readonly MediaDescription[] {
    return mediaDescriptions(this.#negotiator.stream);
  }

  get hold(): HoldState {
    return holdStateOf(this.#negotiator.hold);
  }

  get localSdp(): string | undefined {
    return this.#negotiator.localSdp;
  }

  get remoteSdp(): string | undefined {
    return this.#negotiator.remoteSdp;
  }

  close(): undefined {
    this.#negotiator.close();
    return undefined;
  }
}
