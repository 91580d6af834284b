/**
 * The descriptions of one session over its life: makes offers and answers, takes the peer's, knows what is
 * agreed, and goes back when an exchange is refused (RFC 3264 §8, RFC 6337). Texts in, texts out; no I/O.
 */
import { InvalidStateError, MediaError, StateMachine } from "../foundation/index.js";
import type { Capabilities } from "./capabilities.js";
import {
  acceptAnswer,
  answerOffer,
  createOffer,
  maySend,
  mayReceive,
  peerDirection,
} from "./offer-answer.js";
import type { LocalStream, NegotiatedStream, PreviousExchange } from "./offer-answer.js";
import { composeSdp, writeSdpBody } from "./sdp.js";
import type { SdpCodec, SdpDescription, SdpDirection, SdpMedia, SdpParseResult } from "./sdp.js";
import type { SdpCache } from "./sdp-cache.js";
import type { SignalingAction, SignalingInput, SignalingState } from "./signaling-state.js";
import { signalingMachine } from "./signaling-state.js";
import type { StreamSecurity } from "./stream-security.js";

export interface NegotiatorOptions {
  readonly capabilities: Capabilities;
  /** Shared by the sessions of one handler. */
  readonly cache: SdpCache;
  /** Digits only (RFC 8866 §5.2). */
  readonly sessionId: string;
  /** What the peer shall send to. */
  readonly address: string;
  readonly port: number;
  /** Default: never encrypted. */
  readonly security?: StreamSecurity | undefined;
}

/** What one finished exchange left behind. */
class Exchange implements PreviousExchange {
  /**
   * @param wanted - What our side wants; less than sendrecv is our hold.
   * @param heldByPeer - The peer does not want to hear us.
   */
  constructor(
    readonly localMedia: readonly SdpMedia[],
    readonly stream: NegotiatedStream | undefined,
    readonly payloadTypes: ReadonlyMap<number, SdpCodec>,
    readonly localSdp: string | undefined,
    readonly remoteSdp: string | undefined,
    readonly wanted: SdpDirection,
    readonly heldByPeer: boolean,
  ) {}
}

interface LocalOffer {
  readonly media: readonly SdpMedia[];
  readonly text: string;
  readonly wanted: SdpDirection;
  /** `wanted` without what the peer does not take. */
  readonly offered: SdpDirection;
}

const NO_PAYLOAD_TYPES: ReadonlyMap<number, SdpCodec> = new Map();
const NOTHING = new Exchange(
  [],
  undefined,
  NO_PAYLOAD_TYPES,
  undefined,
  undefined,
  "sendrecv",
  false,
);

type Change = { readonly offer: LocalOffer } | { readonly exchange: Exchange } | undefined;

export class Negotiator {
  #capabilities: Capabilities;
  readonly #cache: SdpCache;
  readonly #sessionId: string;
  readonly #security: StreamSecurity | undefined;
  readonly #machine: StateMachine<SignalingState, SignalingInput, SignalingAction, Change>;
  #address: string;
  #port: number;
  #current: Exchange = NOTHING;
  #previous: Exchange | undefined;
  /** Our last offer; kept after its answer, because a forked branch may answer it again. */
  #offer: LocalOffer | undefined;
  #version = 0;
  #lastBody = "";

  constructor(options: NegotiatorOptions) {
    this.#capabilities = options.capabilities;
    this.#cache = options.cache;
    this.#sessionId = options.sessionId;
    this.#security = options.security?.mode === "off" ? undefined : options.security;
    this.#address = options.address;
    this.#port = options.port;
    this.#machine = new StateMachine(signalingMachine, (action, change) =>
      this.#perform(action, change),
    );
  }

  get state(): SignalingState {
    return this.#machine.state;
  }

  /** The stream agreed on; undefined before the first answer and when every stream is disabled. */
  get stream(): NegotiatedStream | undefined {
    return this.#current.stream;
  }

  /** Our last description: the offer under way, else that of the last exchange. */
  get localSdp(): string | undefined {
    return this.state === "have-local-offer" ? this.#offer?.text : this.#current.localSdp;
  }

  get remoteSdp(): string | undefined {
    return this.#current.remoteSdp;
  }

  /** Our wish not to hear the peer; `remote` is the peer's not to hear us. */
  get hold(): { readonly local: boolean; readonly remote: boolean } {
    return { local: !mayReceive(this.#current.wanted), remote: this.#current.heldByPeer };
  }

  /** From now on descriptions name another address or port. */
  moveTo(address: string, port: number): void {
    this.#address = address;
    this.#port = port;
  }

  /** From now on only these are offered and taken. */
  limitTo(capabilities: Capabilities): void {
    this.#capabilities = capabilities;
  }

  /** Our offer. Asked again before the answer, the newer one counts. */
  createOffer(direction?: SdpDirection): string {
    this.#mustAllow("localOffer");
    const wanted = direction ?? this.#current.wanted;
    // Held by both sides: nobody is to send (RFC 3264 §8.4).
    const offered = wanted === "sendonly" && this.#current.heldByPeer ? "inactive" : wanted;
    const local = this.#local(offered);
    const media = this.#shareable
      ? this.#cache.firstOffer(local, () => createOffer(local))
      : createOffer(local, this.#past);
    const text = this.#compose(writeSdpBody(media, this.#address));
    this.#machine.input("localOffer", { offer: { media, text, wanted, offered } });
    return text;
  }

  /** Our last description as an offer, unchanged to the letter: nothing is to change (RFC 3264 §8). */
  repeatOffer(): string {
    const { localMedia, localSdp, stream, wanted } = this.#current;
    if (localSdp === undefined || stream === undefined) return this.createOffer();
    this.#mustAllow("localOffer");
    const offered = localMedia[stream.index]?.direction ?? wanted;
    const offer: LocalOffer = { media: localMedia, text: localSdp, wanted, offered };
    this.#machine.input("localOffer", { offer });
    return localSdp;
  }

  /**
   * Our answer to the peer's offer.
   * @param direction - What our side wants from now on; default: as before.
   * @throws MediaError, `statusHint` 488 when nothing fits, 400 when the text is no description; nothing changed.
   */
  answer(offerText: string, direction?: SdpDirection): string {
    this.#mustAllow("remoteOffer");
    const wanted = direction ?? this.#current.wanted;
    const known = this.#cache.read(offerText);
    const offer = readable(known.parsed);
    const local = this.#local(wanted);
    // First descriptions depend only on the offer and our side, so equal ones are made once.
    const result = this.#shareable
      ? this.#cache.firstAnswer(known, local, () => answerOffer(offer, local))
      : answerOffer(offer, local, this.#past);
    if (!result.ok) throw new MediaError(result.reason, { rule: "incompatible-media" });
    const text = this.#compose(writeSdpBody(result.media, this.#address));
    const { stream } = result;
    this.#machine.input("remoteOffer", {
      exchange: new Exchange(
        result.media,
        stream,
        this.#payloadTypes(result.media, stream && offer.media[stream.index]),
        text,
        offerText,
        wanted,
        stream === undefined || !hears(offer.media[stream.index]),
      ),
    });
    return text;
  }

  /**
   * The peer's answer to our last offer; a second one (forking) replaces the first.
   * @throws MediaError when it does not fit the offer; nothing changed.
   */
  accept(answerText: string, early = false): void {
    const input = early ? "earlyAnswer" : "finalAnswer";
    this.#mustAllow(input);
    const offer = this.#offer;
    if (offer === undefined) throw new InvalidStateError("there is no offer to be answered");
    const answer = readable(this.#cache.read(answerText).parsed);
    const result = acceptAnswer(offer.media, answer, this.#local(offer.offered));
    if (!result.ok) throw new MediaError(result.reason, { rule: "incompatible-media" });
    const line = answer.media[result.stream.index];
    // Only an offer to hear us can be declined: an answer to "sendonly nothing" says nothing about hold.
    const heldByPeer = maySend(offer.offered) ? !hears(line) : this.#current.heldByPeer;
    this.#machine.input(input, {
      exchange: new Exchange(
        offer.media,
        result.stream,
        this.#payloadTypes(offer.media, line),
        offer.text,
        answerText,
        offer.wanted,
        heldByPeer,
      ),
    });
  }

  /** Our answer was sent with success: it can no longer be taken back. */
  commit(): void {
    this.#machine.input("commit", undefined);
  }

  /** The exchange under way was refused. Nothing under way: no effect. */
  rollback(): void {
    this.#machine.input("rollback", undefined);
  }

  close(): void {
    this.#machine.input("close", undefined);
  }

  #perform(action: SignalingAction, change: Change): void {
    switch (action) {
      case "keepPrevious":
        this.#previous = this.#current;
        break;
      case "takeOffer":
        if (change && "offer" in change) this.#offer = change.offer;
        break;
      case "takeExchange":
        if (change && "exchange" in change) this.#current = change.exchange;
        break;
      case "forgetPrevious":
        this.#previous = undefined;
        break;
      case "forgetOffer":
        this.#offer = undefined;
        break;
      case "restorePrevious":
        if (this.#previous) this.#current = this.#previous;
        this.#previous = undefined;
        break;
    }
  }

  #mustAllow(input: SignalingInput): void {
    if (signalingMachine.table[this.state][input] === undefined) {
      throw new InvalidStateError(`offer/answer: ${input} is not possible while ${this.state}`);
    }
  }

  /** Nothing was negotiated before. */
  get #first(): boolean {
    return this.#current === NOTHING;
  }

  get #past(): PreviousExchange | undefined {
    return this.#first ? undefined : this.#current;
  }

  #local(direction: SdpDirection): LocalStream {
    return {
      capabilities: this.#capabilities,
      address: this.#address,
      port: this.#port,
      direction,
      security: this.#security,
    };
  }

  /** Nothing was negotiated before, and no key makes our descriptions different from those of other sessions. */
  get #shareable(): boolean {
    return this.#first && this.#security === undefined;
  }

  /** The version grows by one whenever the description differs from the one sent before (RFC 3264 §8). */
  #compose(body: string): string {
    if (body !== this.#lastBody) {
      this.#version += 1;
      this.#lastBody = body;
    }
    return composeSdp(
      { sessionId: this.#sessionId, version: this.#version, address: this.#address },
      body,
    );
  }

  /** Every number that either side has used for our stream. */
  #payloadTypes(
    media: readonly SdpMedia[],
    remote: SdpMedia | undefined,
  ): ReadonlyMap<number, SdpCodec> {
    const known = new Map(this.#current.payloadTypes);
    for (const line of remote ? [...media, remote] : media) {
      if (line.port === 0) continue;
      for (const codec of line.codecs) {
        if (!known.has(codec.payloadType)) known.set(codec.payloadType, codec);
      }
    }
    return known;
  }
}

/** Does the owner of this m-line want to hear the other side? */
function hears(line: SdpMedia | undefined): boolean {
  return line !== undefined && mayReceive(peerDirection(line));
}

function readable(parsed: SdpParseResult): SdpDescription {
  if (parsed.ok) return parsed.sdp;
  throw new MediaError(`not a session description: ${parsed.reason}`, {
    rule: "bad-sdp",
    statusHint: 400,
  });
}
