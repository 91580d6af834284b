/**
 * The media of one bridge on rtpengine: descriptions go in as one side says them and come out as the other one shall see
 * them (offer, answer), until the end (delete). One command at a time, so that nothing overtakes the end.
 */
import { MediaError, randomToken } from "../../foundation/index.js";
import type { MediaStatistics } from "../../session/media-handler.js";
import type { DescriptionPath, Place } from "../../session/direct-media.js";
import type { BencodeDictionary, BencodeInput } from "./bencode.js";
import type { EnginePool, EngineTenant, MediaEngine } from "./engine-pool.js";
import { legStatistics } from "./engine-statistics.js";
import { isNoEngine } from "./ng-client.js";

export interface RelayListener {
  /** The engine has lost the call: both sides have to be asked again, which finds another engine. */
  onLost(): void;
  /** Whoever is at that place pressed a key; the other one has got it already. */
  onKey(place: Place, digit: string, durationMs: number): void;
}

/** What another instance needs to go on: to end it, to pass on new offers, to move to another engine. JSON. */
export interface RelaySnapshot {
  readonly callId: string;
  readonly engine: string;
  readonly tags: readonly [string, string];
  readonly secure: readonly [boolean, boolean];
  /** Who made the last offer that was answered, what it said, and what the other one answered. */
  readonly last?: Exchange | undefined;
}

interface Exchange {
  readonly from: Place;
  readonly offer: string;
  readonly answer: string;
}

/** What was read from elsewhere; undefined for anything that is no snapshot. */
export function readRelaySnapshot(value: unknown): RelaySnapshot | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { callId, engine, tags, secure, last } = value as Readonly<Record<string, unknown>>;
  const isPair = (list: unknown, type: string): boolean =>
    Array.isArray(list) && list.length === 2 && list.every((entry) => typeof entry === type);
  if (typeof callId !== "string" || typeof engine !== "string") return undefined;
  if (!isPair(tags, "string") || !isPair(secure, "boolean")) return undefined;
  return {
    callId,
    engine,
    tags: tags as [string, string],
    secure: secure as [boolean, boolean],
    last: isExchange(last) ? last : undefined,
  };
}

function isExchange(value: unknown): value is Exchange {
  if (typeof value !== "object" || value === null) return false;
  const { from, offer, answer } = value as Readonly<Record<string, unknown>>;
  return (from === 0 || from === 1) && typeof offer === "string" && typeof answer === "string";
}

/** More than that would make the callers wait too long. */
const MOST_ENGINES_TRIED = 3;
/** Each suite costs a line of 90 bytes; left are the two that every telephone with SRTP knows (RFC 4568 §6.2). */
const UNUSED_SUITES = [
  "AEAD_AES_256_GCM",
  "AEAD_AES_128_GCM",
  "AES_256_CM_HMAC_SHA1_80",
  "AES_256_CM_HMAC_SHA1_32",
  "AES_192_CM_HMAC_SHA1_80",
  "AES_192_CM_HMAC_SHA1_32",
  "F8_128_HMAC_SHA1_80",
  "F8_128_HMAC_SHA1_32",
  "NULL_HMAC_SHA1_80",
  "NULL_HMAC_SHA1_32",
];
const COMMON = {
  ICE: "remove",
  DTLS: "off",
  SDES: UNUSED_SUITES.map((suite) => `no-${suite}`),
  OSRTP: ["accept"],
  "rtcp-mux": ["demux"],
  replace: ["origin", "session-connection"],
};

export class Relay implements DescriptionPath, EngineTenant {
  readonly callId: string;
  readonly #tags: readonly [string, string];
  readonly #secure: [boolean, boolean];
  readonly #pool: EnginePool;
  #listener: RelayListener | undefined;
  #engine: MediaEngine | undefined;
  /** Of the exchange in progress, and of the last complete one. */
  #offered: Omit<Exchange, "answer"> | undefined;
  #last: Exchange | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #isEnded = false;
  #report: BencodeDictionary | undefined;

  constructor(
    pool: EnginePool,
    of: { readonly secure: readonly [boolean, boolean] } | RelaySnapshot,
  ) {
    const { random } = pool.options;
    this.#pool = pool;
    this.#secure = [...of.secure];
    const known = "callId" in of ? of : undefined;
    this.callId = known?.callId ?? randomToken(random, 24);
    this.#tags = known?.tags ?? [randomToken(random, 12), randomToken(random, 12)];
    this.#last = known?.last;
  }

  /** As another instance left it. @returns undefined when its engine is none of ours. */
  static restore(pool: EnginePool, snapshot: RelaySnapshot): Relay | undefined {
    const engine = pool.find(snapshot.engine);
    if (engine === undefined) return undefined;
    const relay = new Relay(pool, snapshot);
    relay.#settle(engine);
    return relay;
  }

  set listener(listener: RelayListener | undefined) {
    this.#listener = listener;
  }

  /** Undefined until an engine has taken it. */
  snapshot(): RelaySnapshot | undefined {
    if (this.#engine === undefined || this.#isEnded) return undefined;
    return {
      callId: this.callId,
      engine: this.#engine.address.text,
      tags: this.#tags,
      secure: [...this.#secure],
      last: this.#last,
    };
  }

  /** The address of its engine. */
  get engine(): string | undefined {
    return this.#engine?.address.text;
  }

  /** What `from` offers → what the other one is to be offered. Rejects with MediaError when no engine takes it. */
  offer(from: Place, sdp: string): Promise<string> {
    return this.#next(async () => {
      const wasSecure = this.#secure[from];
      this.#secure[from] = isSecure(sdp);
      try {
        const text = await this.#offer(from, sdp);
        this.#offered = { from, offer: sdp };
        return text;
      } catch (error) {
        this.#secure[from] = wasSecure;
        throw error;
      }
    });
  }

  /** What `from` answers to the last offer → what the one who offered gets. */
  answer(from: Place, sdp: string): Promise<string> {
    return this.#next(async () => {
      const offered = this.#offered;
      if (offered === undefined) throw new MediaError("nothing was offered");
      this.#secure[from] = isSecure(sdp);
      const text = await this.#answer(from, sdp);
      this.#last = { ...offered, answer: sdp };
      this.#offered = undefined;
      return text;
    });
  }

  /** The other side has refused the last offer: the engine is told what holds. */
  refused(): void {
    this.#offered = undefined;
    const last = this.#last;
    if (last === undefined) return;
    void this.#next(async () => {
      await this.#offer(last.from, last.offer);
      await this.#answer(other(last.from), last.answer);
    }).catch(() => undefined);
  }

  /** Nothing goes through it any more. Idempotent; never waits. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    // An offer that is on its way is answered, or given up, first.
    this.#turn = this.#turn.then(() => this.#delete());
  }

  /** Another instance has it now: the engine is not told. Idempotent. */
  abandon(): void {
    this.#isEnded = true;
    this.#listener = undefined;
    if (this.#engine !== undefined) this.#pool.leave(this, this.#engine);
  }

  /** What was counted at that place so far, or all in all. Never rejects; undefined = nobody knows. */
  async statistics(place: Place): Promise<MediaStatistics | undefined> {
    if (this.#isEnded) await this.#turn;
    try {
      const report = this.#report ?? (await this.command("query"));
      return legStatistics(report, this.#tags[place], this.#tags[other(place)]);
    } catch {
      return undefined;
    }
  }

  /** Any other command about this bridge, or one side of it. Rejects with MediaError. */
  command(
    command: string,
    fields: Readonly<Record<string, BencodeInput | undefined>> = {},
    place?: Place,
  ): Promise<BencodeDictionary> {
    const engine = this.#engine;
    if (engine === undefined) throw new MediaError("no rtpengine has this bridge");
    return this.#pool.ask(engine, command, {
      "call-id": this.callId,
      "from-tag": place === undefined ? undefined : this.#tags[place],
      ...fields,
    });
  }

  onEngineLost(): void {
    this.#engine = undefined;
    this.#last = undefined;
    if (!this.#isEnded) this.#listener?.onLost();
  }

  onKey(tag: string, digit: string, durationMs: number): void {
    const place = this.#tags.indexOf(tag);
    if (place === 0 || place === 1) this.#listener?.onKey(place, digit, durationMs);
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => {
      if (this.#isEnded) throw new MediaError("the bridge is over", { statusHint: 487 });
      return work();
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** A bridge that has an engine stays there; a new one, or one that was lost, takes the first that answers. */
  async #offer(from: Place, sdp: string): Promise<string> {
    const tried = new Set<MediaEngine>();
    for (;;) {
      const isNew = this.#engine === undefined;
      const engine = this.#engine ?? this.#pool.pick(tried);
      if (engine === undefined) {
        throw new MediaError("no rtpengine answers", { rule: "no-engine", statusHint: 500 });
      }
      tried.add(engine);
      try {
        const answer = await this.#pool.ask(engine, "offer", this.#offerFields(from, sdp, isNew));
        this.#settle(engine);
        return sdpOf(answer);
      } catch (error) {
        if (!isNew || this.#isEnded || tried.size >= MOST_ENGINES_TRIED) throw error;
        // It may have taken the call all the same.
        if (isNoEngine(error)) this.#forget(engine);
      }
    }
  }

  #offerFields(from: Place, sdp: string, isNew: boolean): Record<string, BencodeInput | undefined> {
    const to = other(from);
    return {
      ...COMMON,
      "call-id": this.callId,
      "from-tag": this.#tags[from],
      "to-tag": isNew ? undefined : this.#tags[to],
      "transport-protocol": this.#secure[to] ? "RTP/SAVP" : "RTP/AVP",
      codec: { transcode: [...this.#pool.options.codecs, "telephone-event"] },
      sdp,
    };
  }

  async #answer(from: Place, sdp: string): Promise<string> {
    const answer = await this.command("answer", {
      ...COMMON,
      "from-tag": this.#tags[other(from)],
      "to-tag": this.#tags[from],
      sdp,
    });
    return sdpOf(answer);
  }

  #settle(engine: MediaEngine): void {
    if (this.#engine === engine) return;
    this.#engine = engine;
    this.#pool.settle(this, engine);
  }

  async #delete(): Promise<void> {
    const engine = this.#engine;
    if (engine === undefined) return;
    try {
      this.#report = await this.command("query");
      await this.command("delete");
    } catch {
      // Whoever does not answer, or does not know the call, has it no more, or soon.
    }
    this.#pool.leave(this, engine);
  }

  #forget(engine: MediaEngine): void {
    engine.client.ask("delete", { "call-id": this.callId }).catch(() => undefined);
  }
}

/** Is what that side sends encrypted? Some say so by keys alone. */
function isSecure(sdp: string): boolean {
  return /^m=audio \d+ \S*SAVP/m.test(sdp) || /^a=crypto:/m.test(sdp);
}

/** @throws MediaError */
function sdpOf(answer: BencodeDictionary): string {
  const sdp = answer.get("sdp");
  if (typeof sdp === "string" && sdp.startsWith("v=0")) return sdp;
  throw new MediaError("rtpengine gave no description", { rule: "engine-refused" });
}

function other(place: Place): Place {
  return place === 0 ? 1 : 0;
}
