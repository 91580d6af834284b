/** One entry of digits for a `sip-gather`: prompt, barge-in, time limits, result (contract §4.7). */
import { type AudioSource, errorText } from "../../lib/index.js";
import type { Call, DigitTaker } from "./call.js";
import { type CollectorOptions, type CollectorResult, DigitCollector } from "./digits.js";
import { environment } from "./environment.js";
import type { Input } from "./input.js";
import { Prompt } from "./prompt.js";
import { isEnding, leaveAtEnd } from "./session-action.js";

export interface GatherOptions extends CollectorOptions {
  readonly prompt: AudioSource | undefined;
  /** Digits count during the prompt and end it. */
  readonly bargeIn: boolean;
}

const OUTPUT: Readonly<Record<CollectorResult, number>> = { digits: 1, timeout: 2, invalid: 3 };

export class Gathering implements DigitTaker {
  readonly #collector: DigitCollector;
  readonly #prompt: Prompt;
  #prompting = false;
  readonly #unwatch: () => void;

  constructor(
    private readonly input: Input,
    private readonly call: Call,
    private readonly options: GatherOptions,
  ) {
    this.#collector = new DigitCollector(options, environment().clock, (result, entry) =>
      this.#finish(result, entry),
    );
    this.#prompt = new Prompt(call, input.nodeId);
    call.collector = this;
    this.#unwatch = leaveAtEnd(input, call, 4, () => {
      this.#collector.close();
      this.#prompt.stop();
      return { event: "ended", payload: this.#collector.entry };
    });
  }

  /** Takes what was dialled ahead, else asks; then waits. Rejects when the prompt cannot be played. */
  async start(): Promise<void> {
    const { options, call } = this;
    if (options.bargeIn) this.#takeAhead();
    else call.digits.clear();
    if (this.#collector.finished || this.#collector.entry !== "") return;
    try {
      this.#prompting = options.prompt !== undefined;
      if (options.prompt !== undefined) await this.#prompt.play(options.prompt);
      this.#prompting = false;
    } catch (error) {
      // While the call ends, its end is what the message leaves with.
      if (!isEnding(call)) this.#free();
      throw error;
    }
    this.#collector.listen();
  }

  digit(digit: string): void {
    // Without barge-in what comes before the end of the prompt is dropped.
    if (this.#prompting && !this.options.bargeIn) return;
    this.#prompt.stop();
    this.#collector.digit(digit);
  }

  #takeAhead(): void {
    let digit: string | undefined;
    while (!this.#collector.finished && (digit = this.call.digits.take()) !== undefined) {
      this.#collector.digit(digit);
    }
  }

  #finish(result: CollectorResult, entry: string): void {
    this.#free();
    const sip = this.call.fields(result);
    this.input.leave(OUTPUT[result], () => ({ sip, payload: entry }), {
      sessionId: this.call.id,
      events: ["dtmf"],
    });
  }

  #free(): void {
    this.#unwatch();
    this.#collector.close();
    this.#prompt.stop();
    if (this.call.collector === this) this.call.collector = undefined;
  }
}

/** For messages about a pattern that cannot be used. */
export function patternProblem(error: unknown): string {
  return `"pattern" cannot be used: ${errorText(error)}`;
}
