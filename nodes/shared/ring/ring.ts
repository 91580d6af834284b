/**
 * One test call of "ring my flow" (contract §8): a second user agent of this process calls a stack as a telephone would, says
 * something, types digits, listens, and hangs up.
 */
import { randomBytes } from "node:crypto";
import {
  type AudioSource,
  errorText,
  InvalidStateError,
  type Logger,
  type Session,
  type SessionEvent,
  type SessionSnapshot,
  type Timer,
  type TracedMessage,
} from "../../../lib/index.js";
import { environment, type UserAgentPort } from "../environment.js";
import { keptMessage, type LadderMessage, MessageLog } from "../tracing/message-log.js";
import { outlineOf } from "../tracing/outline.js";
import { redacted } from "../tracing/redaction.js";
import { Heard, HEARD_FRAME, HEARD_RATE } from "./heard.js";
import { callerOptions, callerUri, CALLER_ACCOUNT, calledUri } from "./caller.js";
import type { RingRequest } from "./ring-request.js";
import { hostPort, type Way } from "./way.js";

export type RingState = "calling" | "ringing" | "talking" | "over";

/** The called stack, as far as a ring needs it. */
export interface RungStack {
  readonly userAgent: UserAgentPort;
  /** `media: none`: whether there is sound is up to the flow. */
  readonly flowMakesDescriptions: boolean;
  /** The called session of this Call-ID. */
  find(callId: string): RungCall | undefined;
}

export interface RungCall {
  readonly session: string;
  /** The `sip-incoming` that has it. */
  readonly node: string | undefined;
}

/** Text of the catalogue, `ring.<key>`. */
export type RingText = (key: string, values?: Readonly<Record<string, string | number>>) => string;

export interface LogLine {
  /** ISO 8601. */
  readonly time: string;
  readonly text: string;
}

/** The caller gives up when nobody answers for so long, milliseconds. */
const LONGEST_RINGING_MS = 60_000;
/** Between the answer and the first digit: a person does not type at once either. */
const BEFORE_DIGITS_MS = 300;
const DIGIT_GAP_MS = 200;
const MOST_LINES = 200;
/** Of the beginning, and of the end. */
const KEPT_MESSAGES = 50;
/** Milliseconds for the last answers, once the call is over. */
const GRACE_MS = 500;

/** A second of a low tone, a second of silence. */
function tone(): Buffer {
  const samples = Buffer.alloc(HEARD_RATE * 2 * 2);
  for (let at = 0; at < HEARD_RATE; at++) {
    samples.writeInt16LE(
      Math.round(9000 * Math.sin((2 * Math.PI * 440 * at) / HEARD_RATE)),
      at * 2,
    );
  }
  return samples;
}

export class Ring {
  readonly id = randomBytes(12).toString("hex");
  readonly heard = new Heard();
  readonly log: LogLine[] = [];
  readonly #messages = new MessageLog(KEPT_MESSAGES, KEPT_MESSAGES);
  #state: RingState = "calling";
  #session: Session | undefined;
  #userAgent: UserAgentPort | undefined;
  #last: SessionSnapshot | undefined;
  #statusCode: number | undefined;
  #called: RungCall | undefined;
  #listening = false;
  readonly #timers: Timer[] = [];
  #takeBack: () => void = () => undefined;
  #closed: Promise<void> | undefined;

  constructor(
    readonly request: RingRequest,
    private readonly stack: RungStack,
    private readonly way: Way,
    private readonly logger: Logger,
    private readonly text: RingText,
    private readonly onOver: () => void,
  ) {}

  /** @throws InvalidArgumentError for names that cannot be in a URI; then nothing is left open. */
  async start(): Promise<void> {
    const { request, stack, way } = this;
    const target = calledUri(request, way);
    const userAgent = environment().createUserAgent({
      ...callerOptions(way, this.logger),
      traceMessages: (message) => this.#trace(message),
    });
    this.#userAgent = userAgent;
    try {
      await userAgent.start();
      if (this.#closed !== undefined) throw new InvalidStateError("The SIP stack was stopped.");
      userAgent.addAccount({
        id: CALLER_ACCOUNT,
        uri: callerUri(request, way),
        displayName: request.displayName,
        register: false,
        ...(way.path === undefined
          ? {}
          : { outboundProxy: `${way.protocol}://${hostPort(way)}${way.path}` }),
      });
      userAgent.on("sessionEvent", (session, event) => this.#onEvent(session, event));
      const session = userAgent.invite({
        targets: [target],
        account: CALLER_ACCOUNT,
        timeoutMs: LONGEST_RINGING_MS,
        // It tests this stack and calls nobody else.
        redirects: 0,
      });
      this.#session = session;
      this.#last = session.snapshot();
      this.#takeBack = stack.userAgent.admitCall(this.#last.callId, request.accountId);
    } catch (error) {
      this.#finish();
      await this.#closed;
      throw error;
    }
    this.#say("calls", {
      target,
      from: this.#last.local.uri,
      protocol: way.protocol.toUpperCase(),
    });
    if (stack.flowMakesDescriptions) this.#say("noMedia");
  }

  get state(): RingState {
    return this.#state;
  }

  get isOver(): boolean {
    return this.#state === "over";
  }

  /** What the endpoint shows of it. */
  describe(): Record<string, unknown> {
    const { cause, duration } = this.#last ?? {};
    return {
      ring: this.id,
      stack: this.request.stackId,
      state: this.#state,
      ...(this.#called === undefined ? {} : this.#called),
      ...(this.isOver && cause !== undefined ? { cause } : {}),
      ...(this.#statusCode === undefined ? {} : { statusCode: this.#statusCode }),
      ...(duration === undefined ? {} : { duration }),
      log: this.log,
      heard: { seconds: this.heard.seconds, peaks: this.heard.peaks() },
    };
  }

  /** As the caller has sent and received them, without secrets. */
  get messages(): LadderMessage[] {
    return [...this.#messages].map(({ ladder }) => ladder);
  }

  #trace(message: TracedMessage): void {
    const shown = redacted(message.data);
    this.#messages.add(keptMessage(message, shown, outlineOf(shown.head)));
  }

  /** The caller hangs up. Resolves when nothing of it is left. */
  async hangUp(): Promise<void> {
    if (this.#session !== undefined && !this.isOver) {
      await this.#session.end().catch((error: unknown) => this.logger.debug(errorText(error)));
    }
    await this.stop();
  }

  /** At once, without waiting for the called side. */
  stop(): Promise<void> {
    this.#finish();
    return this.#closed ?? Promise.resolve();
  }

  #finish(): void {
    if (this.#closed !== undefined) return;
    this.#state = "over";
    for (const timer of this.#timers) timer.cancel();
    const userAgent = this.#userAgent;
    const stopped = userAgent?.stop({ graceMs: GRACE_MS }) ?? Promise.resolve();
    this.#closed = stopped
      .catch((error: unknown) => this.logger.warn(errorText(error)))
      .then(() => this.#takeBack());
    this.onOver();
  }

  #onEvent(session: Session, event: SessionEvent): void {
    if (this.#session !== undefined && session !== this.#session) return;
    this.#last = event.snapshot;
    this.#called ??= this.stack.find(event.snapshot.callId);
    const { statusCode, reason = "" } = event;
    switch (event.name) {
      case "progress":
        if (this.#state === "calling") this.#state = "ringing";
        this.#say("progress", { status: `${statusCode ?? ""} ${reason}`.trim() });
        break;
      case "answered":
        this.#onAnswer(session);
        break;
      case "rejected":
        this.#statusCode = statusCode;
        break;
      case "redirecting":
        this.#say("redirected", { target: (event.uris ?? []).join(", ") });
        break;
      case "dtmf":
        this.#say("heardDigit", { digit: event.digit?.digit ?? "" });
        break;
      case "refer":
        this.#say("refer", { target: event.referTo ?? "" });
        break;
      case "hold":
      case "resume":
        this.#say(event.name);
        break;
      case "ended":
      case "failed":
        this.#onEnd(event);
        return;
      default:
        break;
    }
    if (session.audio?.ready === true) this.#listen(session);
  }

  #onAnswer(session: Session): void {
    const { request } = this;
    this.#state = "talking";
    this.#statusCode = 200;
    this.#say("answered");
    const { node } = this.#called ?? {};
    if (request.nodeId !== undefined && node !== undefined && node !== request.nodeId) {
      this.#say("otherNode");
    }
    this.#after(request.seconds * 1000, () => {
      this.#say("hangsUp", { seconds: request.seconds });
      this.#attempt(session.end());
    });
    const source = this.#source();
    if (source !== undefined) {
      this.#attempt(
        session.audio?.play(source, { background: true, loop: request.say === "tone" }),
      );
    }
    if (request.digits !== "") {
      this.#after(BEFORE_DIGITS_MS, () => this.#attempt(this.#type(session)));
    }
  }

  #source(): AudioSource | undefined {
    const { say, wav } = this.request;
    if (say === "silence") return undefined;
    if (wav !== undefined) return { kind: "buffer", data: wav };
    return { kind: "buffer", data: tone(), format: "pcm16", sampleRate: HEARD_RATE };
  }

  async #type(session: Session): Promise<void> {
    const { digits } = this.request;
    const outcome = await session.sendDigits({ digits, gap: DIGIT_GAP_MS });
    if (outcome.ok) this.#say("digits", { digits });
    else if (!this.isOver) this.#say("digitsFailed", { status: outcome.statusCode });
  }

  /** As the foreground source without anything to say: what plays behind it is heard, and frames come. */
  #listen(session: Session): void {
    if (this.#listening) return;
    this.#listening = true;
    const options = { format: "pcm16", sampleRate: HEARD_RATE, frame: HEARD_FRAME } as const;
    this.#attempt(session.audio?.stream(options, { onFrame: (frame) => this.heard.add(frame) }));
  }

  #onEnd(event: SessionEvent): void {
    const { cause, duration } = event.snapshot;
    this.#statusCode ??= event.statusCode;
    if (event.name === "ended") {
      this.#say("ended", { cause: cause ?? "", seconds: Math.round(duration ?? 0) });
    } else {
      const status = this.#statusCode ?? 0;
      this.#say(status === 0 ? "noAnswer" : "failed", { status, cause: cause ?? "" });
      const isTaken = this.#called?.node !== undefined;
      if (!isTaken && cause === "unavailable") this.#say("nobody", { to: this.request.to });
    }
    this.#finish();
  }

  #after(ms: number, action: () => void): void {
    this.#timers.push(environment().clock.setTimer(ms, action));
  }

  /** What the call cannot do is said, and the call goes on. */
  #attempt(action: Promise<unknown> | undefined): void {
    action?.catch((error: unknown) => {
      if (!this.isOver) this.#say("problem", { detail: errorText(error) });
    });
  }

  #say(key: string, values?: Readonly<Record<string, string | number>>): void {
    if (this.log.length >= MOST_LINES) return;
    const time = new Date(environment().clock.wallTime()).toISOString();
    this.log.push({ time, text: this.text(key, values) });
  }
}
