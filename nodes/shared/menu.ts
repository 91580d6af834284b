/** One visit of a call to a `sip-menu`: prompt, choice, further rounds, result (contract §4.7). */
import type { AudioSource } from "../../lib/index.js";
import type { Call, DigitTaker } from "./call.js";
import { ChoiceEntry, type ChoiceEntryOptions, type ChoiceResult } from "./choices.js";
import { environment } from "./environment.js";
import type { Input, OutputPort } from "./input.js";
import { Prompt } from "./prompt.js";
import { isEnding, leaveAtEnd } from "./session-action.js";

export interface MenuOptions extends ChoiceEntryOptions {
  readonly prompt: AudioSource | undefined;
  /** Played before a round that follows an invalid one. */
  readonly invalidPrompt: AudioSource | undefined;
  /** Played before a round that follows one without a choice in time. */
  readonly timeoutPrompt: AudioSource | undefined;
  /** Further rounds after the first. */
  readonly retries: number;
  /** Digits count during the prompts and end them. */
  readonly bargeIn: boolean;
  /** The output that a result leaves by. */
  readonly output: (result: ChoiceResult | "ended") => OutputPort;
}

export class Menu implements DigitTaker {
  #entry: ChoiceEntry;
  #prompt: Prompt;
  #prompting = false;
  #roundsLeft: number;
  readonly #unwatch: () => void;

  constructor(
    private readonly input: Input,
    private readonly call: Call,
    private readonly options: MenuOptions,
  ) {
    this.#roundsLeft = options.retries;
    this.#entry = this.#newEntry();
    this.#prompt = new Prompt(call, input.nodeId);
    call.collector = this;
    this.#unwatch = leaveAtEnd(input, call, options.output("ended"), () => {
      this.#close();
      return { event: "ended", payload: this.#entry.digits };
    });
  }

  /** Takes what was dialled ahead, else asks; then waits. A prompt that cannot be played fails the input. */
  start(): void {
    if (!this.options.bargeIn) this.call.digits.clear();
    this.#begin([this.options.prompt]);
  }

  digit(digit: string): void {
    // Without barge-in what comes before the end of the prompt is dropped.
    if (this.#prompting && !this.options.bargeIn) return;
    this.#prompt.stop();
    this.#entry.digit(digit);
  }

  #newEntry(): ChoiceEntry {
    return new ChoiceEntry(this.options, environment().clock, (result) => this.#decide(result));
  }

  /** A round. Its first part, up to the first sound, happens at once, so that no digit falls between two rounds. */
  #begin(sounds: readonly (AudioSource | undefined)[]): void {
    const entry = this.#entry;
    this.#takeAhead(entry);
    if (entry.finished || entry.digits !== "") return;
    this.#ask(
      entry,
      sounds.filter((sound) => sound !== undefined),
    ).catch((error: unknown) => {
      // The sound broke off because the call did: its end is what the message leaves with.
      if (this.#entry !== entry || isEnding(this.call)) return;
      this.#free();
      this.input.fail(error);
    });
  }

  /** Each digit may decide a round and begin the next, which takes the rest. */
  #takeAhead(entry: ChoiceEntry): void {
    let digit: string | undefined;
    while (!entry.finished && (digit = this.call.digits.take()) !== undefined) entry.digit(digit);
  }

  async #ask(entry: ChoiceEntry, sounds: readonly AudioSource[]): Promise<void> {
    const prompt = new Prompt(this.call, this.input.nodeId);
    this.#prompt = prompt;
    this.#prompting = sounds.length > 0;
    for (const sound of sounds) await prompt.play(sound);
    // Another round may have begun in the meantime, with prompts of its own.
    if (this.#entry !== entry) return;
    this.#prompting = false;
    entry.listen();
  }

  #decide(result: ChoiceResult): void {
    this.#prompt.stop();
    this.#prompting = false;
    if ((result === "timeout" || result === "invalid") && this.#roundsLeft > 0) {
      this.#roundsLeft--;
      this.#entry = this.#newEntry();
      const { prompt, invalidPrompt, timeoutPrompt } = this.options;
      this.#begin([result === "invalid" ? invalidPrompt : timeoutPrompt, prompt]);
      return;
    }
    this.#free();
    const { digits } = this.#entry;
    const sip =
      typeof result === "string"
        ? this.call.fields(result)
        : this.call.fields("choice", { choice: result.label });
    this.input.leave(this.options.output(result), () => ({ sip, payload: digits }), {
      sessionId: this.call.id,
      events: ["dtmf"],
    });
  }

  #close(): void {
    this.#entry.close();
    this.#prompt.stop();
  }

  #free(): void {
    this.#unwatch();
    this.#close();
    if (this.call.collector === this) this.call.collector = undefined;
  }
}
