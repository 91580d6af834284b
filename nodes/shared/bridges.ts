/**
 * Two calls that a `sip-bridge` has joined (contract §4.7). Lives in the stack, not in the node, and therefore through a
 * deploy. A call is in one bridge at a time: the newest.
 */
import {
  type ActionOutcome,
  type AudioBridge,
  type AudioControl,
  type DigitEvent,
  type DirectMediaControl,
  errorText,
  InvalidStateError,
  MediaError,
  type Relay,
  type SessionEvent,
} from "../../lib/index.js";
import type { Call, CallLink } from "./call.js";
import { mediaEngines, relayFor, restoredRelay } from "./media-engines.js";
import { deploys } from "./deploys.js";
import { dispatcher } from "./dispatcher.js";
import { environment } from "./environment.js";
import { misuse } from "./errors.js";
import { sessionEventFields, setBridgePeer } from "./event-fields.js";
import type { Input, LeavesWith } from "./input.js";
import { CLOSING, closingOf, isEnding } from "./session-action.js";
import type { SipFields } from "./sip-fields.js";
import { beginWait } from "./waiting-inputs.js";

export interface BridgeRequest {
  readonly input: Pick<Input, "nodeId" | "leave" | "also">;
  /** `signaling`: the sound flows directly between the two peers (RFC 3725). */
  readonly mode: "media" | "signaling";
  /** The end of one leg ends the other. */
  readonly hangup: boolean;
}

/** What another instance needs to go on with a bridge whose sound flows past this process. JSON. */
export interface BridgeRecord {
  readonly node: string;
  readonly mode: BridgeRequest["mode"];
  readonly hangup: boolean;
  /** Of the relay that the sound flows through; absent = directly between the peers. */
  readonly relay?: unknown;
}

interface Transfer {
  /** Set when the leg ended before the transfer was decided: what would have happened then. */
  end: (() => void) | undefined;
}

/** Keys that wait to be passed on by INFO or tones. */
const MOST_DIGITS = 16;
/** A key whose INFO says no duration. */
const DIGIT_MS = 100;
/** An INFO waits so long for the same key in the media, and one in the media so long for its INFO. */
const TWIN_MS = 300;
const LONGEST_KEY_MS = 5_000;
/** Sounds that follow each other need not send the sound of a bridge to and fro. */
const SETTLED_MS = 1_000;
/** What the flow hears waits so long for sound that flowed directly between two peers. */
const LONGEST_RETURN_MS = 2_000;

export class CallBridge implements CallLink {
  readonly nodeId: string;
  readonly #request: BridgeRequest;
  readonly #legs: [Call, Call];
  readonly #unwatch: (() => void)[] = [() => undefined, () => undefined];
  /** What is joined now, and what joins it. */
  #joined: readonly (AudioControl | undefined)[] = [];
  #audio: AudioBridge | undefined;
  #joins = 0;
  #direct: DirectMediaControl | undefined;
  /** What the media flows through with `media: rtpengine`. */
  #relay: Relay | undefined;
  #triesDirect: boolean;
  /** Joining again, one after the other. */
  #connecting: Promise<void>;
  /** The sound is on its way here. */
  #returning: Promise<void> | undefined;
  #isUp = false;
  #isOver = false;
  #digits = 0;
  /** Keys that went out in the media, the oldest first. */
  readonly #keys: { readonly audio: AudioControl; readonly digit: string; readonly at: number }[] =
    [];
  /** Legs whose place a call that is being placed shall take. */
  readonly #transfers = new Map<Call, Transfer>();
  #endWait: () => void = () => undefined;

  /** The legs leave the bridges that they are in. */
  constructor(request: BridgeRequest, first: Call, second: Call) {
    this.nodeId = request.input.nodeId;
    this.#request = request;
    this.#legs = [first, second];
    this.#triesDirect = this.#goesPast;
    const before = this.#legs.map((leg) =>
      leg.bridge instanceof CallBridge ? leg.bridge.takeApart(leg) : Promise.resolve(),
    );
    this.#connecting = Promise.all(before).then(() => undefined);
    this.#settle();
  }

  /** The bridge that these two are in together. */
  static of(first: Call, second: Call): CallBridge | undefined {
    const { bridge } = first;
    return bridge instanceof CallBridge && second.bridge === bridge ? bridge : undefined;
  }

  /** As another instance left it. @throws InvalidStateError unless both calls are up. */
  static restore(
    request: BridgeRequest,
    first: Call,
    second: Call,
    relaySnapshot?: unknown,
  ): CallBridge {
    const bridge = new CallBridge(request, first, second);
    const relay =
      relaySnapshot === undefined ? undefined : restoredRelay(first.stackId, relaySnapshot);
    const direct = first.session.direct(second.session, relay);
    direct.resume();
    bridge.#direct = direct;
    if (relay !== undefined) bridge.#through(relay, direct);
    bridge.#triesDirect = false;
    bridge.#isUp = true;
    bridge.#endWait = beginWait(bridge.nodeId, "status.bridged");
    // Through an engine that is none of ours: back to our own media, and from there on.
    if (relaySnapshot !== undefined && relay === undefined) {
      void bridge.bringSound()?.then(() => bridge.soundFree());
    }
    return bridge;
  }

  /** Undefined unless the bridge would outlive this process. */
  record(): BridgeRecord | undefined {
    if (!this.#isUp || this.#isOver || this.#direct?.isDirect !== true) return undefined;
    const relay = this.#relay?.snapshot();
    return { node: this.nodeId, mode: this.mode, hangup: this.#request.hangup, relay };
  }

  get legs(): readonly [Call, Call] {
    return [this.#legs[0], this.#legs[1]];
  }

  /** Another instance has it now: nothing is said or sent. */
  forget(): void {
    if (this.#isOver) return;
    this.#direct = undefined;
    this.#relay?.abandon();
    void this.#free();
  }

  /** Is the sound to flow past our own media? */
  get #goesPast(): boolean {
    return this.mode === "signaling" || mediaEngines(this.#legs[0].stackId) !== undefined;
  }

  get isDirect(): boolean {
    return this.#direct !== undefined;
  }

  get mode(): BridgeRequest["mode"] {
    return this.#request.mode;
  }

  /** Joins them; the message leaves when they are. Rejects when that is impossible; there is no bridge then. */
  async start(): Promise<void> {
    const { input } = this.#request;
    // A leg that is ending is about to say so.
    if (this.#legs.some(isEnding)) return;
    try {
      await this.#connecting;
      if (!this.#isOver) await this.#connect();
    } catch (error) {
      if (this.#isOver || this.#legs.some(isEnding)) return;
      await this.#free();
      throw error;
    }
    if (this.#isOver) return;
    this.#isUp = true;
    this.#changed();
    const [leg, other] = this.#legs;
    const sip = leg.fields("bridged");
    input.leave(1, () => ({ sip, payload: other.id }));
    this.#endWait = beginWait(this.nodeId, "status.bridged");
    // They hear each other already; the way by rtpengine comes after.
    if (this.#triesDirect) this.mediaChanged();
  }

  /**
   * Both legs live on, each for itself. @param leg - whose message leaves.
   *
   * @returns when the sound of both is here.
   */
  async takeApart(leg: Call): Promise<void> {
    if (this.#isOver) return;
    const peer = this.#otherOf(leg).id;
    const { isDirect } = this;
    const back = this.#free();
    // What the flow does next with a call needs its sound.
    if (isDirect) await atMost(LONGEST_RETURN_MS, back);
    this.#tell({ ...leg.fields("bridge-ended"), cause: "unbridged", peer }, "unbridged");
    await back;
  }

  digit(call: Call, event: DigitEvent): void {
    const other = this.#otherOf(call);
    const { digit, method } = event;
    const inMedia = takesEvents(call) && takesEvents(other);
    // Tones are part of the sound, and events are passed on with it where the other side takes them.
    if (method === "inband" || (method === "rfc4733" && takesEvents(other))) return;
    // rtpengine passes on what it reports, as tones where need be.
    if (method === "rfc4733" && this.#relay !== undefined) return;
    if (method === "rfc4733" || !inMedia) {
      this.#pass(other, event);
      return;
    }
    // Some telephones send a key in both ways; that in the media has gone out, or goes out in this moment.
    if (this.#hasPassed(other, digit) || this.#digits >= MOST_DIGITS) return;
    this.#digits += 1;
    environment().clock.setTimer(TWIN_MS, () => {
      this.#digits -= 1;
      if (!this.#hasPassed(other, digit)) this.#pass(other, event);
    });
  }

  /** Did the key go out in the media? Each counts once. */
  #hasPassed(to: Call, digit: string): boolean {
    const now = environment().clock.now();
    const index = this.#keys.findIndex(
      (key) =>
        key.audio === to.session.audio && key.digit === digit && now - key.at < LONGEST_KEY_MS,
    );
    if (index < 0) return false;
    this.#keys.splice(index, 1);
    return true;
  }

  #pass(other: Call, { digit, duration }: DigitEvent): void {
    if (this.#isOver || !this.#isUp || this.#digits >= MOST_DIGITS) return;
    this.#digits += 1;
    const done = (): void => void (this.#digits -= 1);
    void other.useSound().then((release) => {
      const sent = other.session.sendDigits({ digits: digit, duration: duration || DIGIT_MS });
      sent.then(done, done).finally(release);
    });
  }

  bringSound(): Promise<void> | undefined {
    if (this.mode === "signaling" || this.#isOver) return undefined;
    const direct = this.#direct;
    if (direct === undefined) return this.#returning;
    this.#direct = undefined;
    this.#relay = undefined;
    this.#changed();
    // Joined again first: that would end what is going to be played.
    this.#connecting = this.#connecting
      .then(() => direct.stop())
      .then(() => this.#joinAgain())
      .catch((error: unknown) => deploys.report(error));
    const returning = this.#connecting.then(() => {
      if (this.#returning === returning) this.#returning = undefined;
    });
    return (this.#returning = returning);
  }

  soundFree(): void {
    if (this.mode === "signaling" || this.#isOver || this.#triesDirect) return;
    if (this.#direct !== undefined || !this.#goesPast) return;
    environment().clock.setTimer(SETTLED_MS, () => {
      if (this.#isOver || this.#direct !== undefined || this.#isSoundUsed) return;
      this.#triesDirect = true;
      this.mediaChanged();
    });
  }

  get #isSoundUsed(): boolean {
    return this.#legs.some(({ soundUsers }) => soundUsers > 0);
  }

  mediaChanged(): void {
    if (!this.#isUp) return;
    this.#connecting = this.#connecting
      .then(() => this.#connect())
      .catch((error: unknown) => {
        if (!this.#isOver && !this.#legs.some(isEnding)) deploys.report(error);
      });
  }

  transfer(call: Call): (heir: Call | undefined) => void {
    const transfer: Transfer = { end: undefined };
    this.#transfers.set(call, transfer);
    return (heir) => {
      if (this.#transfers.get(call) !== transfer) return;
      this.#transfers.delete(call);
      if (heir !== undefined) this.move(call, heir);
      else transfer.end?.();
    };
  }

  move(call: Call, heir: Call): void {
    if (this.#isOver || heir === this.#otherOf(call)) return;
    if (heir.bridge instanceof CallBridge) void heir.bridge.takeApart(heir);
    const place = this.#legs[0] === call ? 0 : 1;
    this.#unwatch[place]();
    call.bridge = undefined;
    this.#legs[place] = heir;
    this.#settle();
    const direct = this.#direct;
    this.#direct = undefined;
    this.#relay = undefined;
    this.#triesDirect = this.#goesPast;
    // The leg that stays has its sound here again before it is sent elsewhere.
    if (direct !== undefined) this.#connecting = this.#connecting.then(() => direct.stop());
    this.mediaChanged();
  }

  lost(call: Call): void {
    this.#ended(call, { ...call.fields("bridge-ended"), cause: "shutdown" }, "shutdown");
  }

  #changed(): void {
    for (const leg of this.#legs) leg.onChanged?.();
  }

  #otherOf(leg: Call): Call {
    return this.#legs[0] === leg ? this.#legs[1] : this.#legs[0];
  }

  /** Each leg knows the bridge, and the bridge hears of its end. */
  #settle(): void {
    for (const [place, leg] of this.#legs.entries()) {
      this.#unwatch[place]();
      const close = (event: SessionEvent): void => {
        const cause = event.snapshot.cause ?? event.name;
        this.#ended(
          leg,
          sessionEventFields(leg.stackId, leg.session, event),
          cause,
          closingOf(leg),
        );
      };
      leg.closers.add(close);
      this.#unwatch[place] = () => leg.closers.delete(close);
      leg.bridge = this;
      setBridgePeer(leg.session, this.#otherOf(leg).id);
    }
  }

  async #connect(): Promise<void> {
    await this.#join();
    if (this.#isOver || !this.#triesDirect) return;
    if (this.mode === "signaling") await this.#goDirect();
    else if (this.#isUp && !this.#isSoundUsed) await this.#goRelayed();
  }

  /** Where that fails the sound goes on through our own media. */
  async #goRelayed(): Promise<void> {
    const [first, second] = this.#legs;
    if (this.#legs.some(({ session }) => session.state !== "established")) return;
    this.#triesDirect = false;
    const relay = relayFor(first.stackId, [first.session, second.session]);
    if (relay === undefined) return;
    const direct = first.session.direct(second.session, relay);
    this.#direct = direct;
    this.#through(relay, direct);
    await this.#relayed(direct, await direct.start());
    // The engine went away in the middle of it.
    if (this.#direct === direct && relay.engine === undefined) this.#moveOn(direct);
  }

  #through(relay: Relay, direct: DirectMediaControl): void {
    this.#relay = relay;
    relay.listener = {
      onLost: () => this.#moveOn(direct),
      onKey: (place, digit, duration) => this.#key(place, digit, duration),
    };
  }

  /** The engine is lost: both go to another one, or back to our own media. */
  #moveOn(direct: DirectMediaControl): void {
    this.#connecting = this.#connecting.then(async () => {
      if (this.#direct === direct) await this.#relayed(direct, await direct.again());
    });
  }

  async #relayed(direct: DirectMediaControl, outcome: ActionOutcome): Promise<void> {
    this.#changed();
    if (outcome.ok || this.#direct !== direct) return;
    this.#direct = undefined;
    this.#relay = undefined;
    if (this.#isOver || this.#legs.some(isEnding)) return;
    const why = outcome.reason ?? String(outcome.statusCode);
    deploys.report(`rtpengine does not carry a bridge, which stays here: ${why}`);
    await this.#joinAgain();
  }

  /** What rtpengine has heard and passed on. */
  #key(place: 0 | 1, digit: string, duration: number): void {
    const { audio } = this.#legs[1 - place].session;
    if (audio !== undefined) this.#remember(audio, digit);
    this.#legs[place].session.receiveDigit({ digit, method: "rfc4733", duration });
  }

  #remember(audio: AudioControl, digit: string): void {
    this.#keys.push({ audio, digit, at: environment().clock.now() });
    if (this.#keys.length > MOST_DIGITS) this.#keys.shift();
  }

  /** Once for each pair: a side that has refused is not asked again. */
  async #goDirect(): Promise<void> {
    const [first, second] = this.#legs;
    if (this.#legs.some(({ session }) => session.state !== "established")) return;
    this.#triesDirect = false;
    const direct = first.session.direct(second.session);
    this.#direct = direct;
    const outcome = await direct.start();
    if (outcome.ok || this.#isOver || this.#direct !== direct) return;
    this.#direct = undefined;
    throw new MediaError(
      `a side does not send its sound to the other: ${outcome.statusCode} ${outcome.reason ?? ""}`,
      { rule: "not-direct" },
    );
  }

  /** Sound that has flowed elsewhere is joined anew. */
  async #joinAgain(): Promise<void> {
    this.#audio?.stop();
    this.#audio = undefined;
    this.#joined = [];
    if (!this.#isOver) await this.#join();
  }

  /** Joins the sound as it is now; nothing where that is done, or a leg has none yet. */
  async #join(): Promise<void> {
    const [first, second] = this.#legs.map((leg) => leg.session.audio);
    if (first?.ready !== true || second?.ready !== true) return;
    if (this.#joined[0] === first && this.#joined[1] === second) return;
    this.#joined = [first, second];
    const turn = ++this.#joins;
    let audio: AudioBridge;
    try {
      audio = await first.bridge(second, {
        onKey: (to, digit) => {
          this.#remember(to, digit);
        },
      });
    } catch (error) {
      if (turn === this.#joins) this.#joined = [];
      throw error;
    }
    if (turn !== this.#joins || this.#isOver) {
      audio.stop();
      return;
    }
    this.#audio = audio;
    void audio.done.then(() => {
      // Sound that was lost comes back with the next offer or answer.
      if (this.#audio === audio) this.#joined = [];
    });
  }

  /** A leg has ended. */
  #ended(leg: Call, sip: SipFields, cause: string, leavesWith?: LeavesWith): void {
    if (this.#isOver) return;
    const transfer = this.#transfers.get(leg);
    if (transfer !== undefined) {
      transfer.end = () => {
        this.#transfers.delete(leg);
        this.#ended(leg, sip, cause, leavesWith);
      };
      return;
    }
    const other = this.#otherOf(leg);
    // First of all: the sound of a call that ends need not come back.
    if (this.#request.hangup) hangUp(other);
    const returns = this.isDirect && !isEnding(other);
    const back = this.#free(leg);
    const tell = (): void => this.#tell({ ...sip, peer: other.id }, cause, leavesWith);
    if (!returns) {
      tell();
      return;
    }
    const letGo = dispatcher.hold(leg.id, CLOSING);
    void atMost(LONGEST_RETURN_MS, back).then(() => {
      tell();
      letGo();
    });
  }

  /**
   * @param ended - Goes on naming the other leg in what it still says.
   * @returns when the sound of those that live is here.
   */
  async #free(ended?: Call): Promise<void> {
    this.#isOver = true;
    this.#transfers.clear();
    this.#endWait();
    this.#audio?.stop();
    for (const [place, leg] of this.#legs.entries()) {
      this.#unwatch[place]();
      if (leg.bridge === this) leg.bridge = undefined;
      if (leg !== ended) setBridgePeer(leg.session, undefined);
    }
    this.#changed();
    await this.#direct?.stop();
  }

  #tell(fields: SipFields, cause: string, leavesWith?: LeavesWith): void {
    const { input } = this.#request;
    const sip = { ...fields, event: "bridge-ended" };
    const build = (): { sip: SipFields; payload: string } => ({ sip, payload: cause });
    if (this.#isUp) input.also(2, build, leavesWith);
    else input.leave(2, build, leavesWith);
  }
}

/** @throws InvalidArgumentError `no-media` when a leg that lives has no sound; InvalidStateError. */
export function checkLegs(mode: BridgeRequest["mode"], ...legs: Call[]): void {
  for (const leg of legs) {
    if (isEnding(leg)) continue;
    const { audio, state } = leg.session;
    if (mode === "signaling" && state !== "established") {
      throw new InvalidStateError(
        `a call is "${state}": its sound can flow directly once both are established`,
      );
    }
    // Sound that flows elsewhere comes back.
    if (leg.bridge instanceof CallBridge && leg.bridge.isDirect) continue;
    if (mode === "media" ? audio?.ready !== true : audio?.ready === false) {
      throw misuse("no-media", "no sound has been negotiated in one of the two calls yet");
    }
  }
}

/** Ends a call in whatever state it is, and waits for nothing. */
export function hangUp(call: Call): void {
  if (isEnding(call)) return;
  call.session.end().catch((error: unknown) => {
    if (!isEnding(call)) deploys.report(errorText(error));
  });
}

/** Resolves with `work`, or when the time is over. */
function atMost(ms: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = environment().clock.setTimer(ms, resolve);
    void work.then(() => {
      timer.cancel();
      resolve();
    });
  });
}

function takesEvents(call: Call): boolean {
  return call.session.snapshot().media?.some(({ dtmf }) => dtmf === "rfc4733") === true;
}
