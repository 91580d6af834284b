/**
 * State machines as data: a table says for each state and input what the next state is, which named
 * actions run, and by which rule; one runner applies it. docs/state-machines.md is generated from the
 * tables, and tests walk every cell. An absent cell means "ignored", on purpose.
 */

import { LinkedList } from "./lists.js";

export interface Transition<State extends string, Action extends string> {
  readonly next: State;
  /** Actions in the order they run, after the state has changed. */
  readonly do: readonly Action[];
  /** The rule, for example `RFC 3261 §17.1.1.2`. */
  readonly rfc: string;
}

export type TransitionTable<State extends string, Input extends string, Action extends string> = {
  readonly [S in State]: { readonly [I in Input]?: Transition<State, Action> };
};

/** What a machine needs to be drawn and tested. */
export interface MachineDefinition<
  State extends string = string,
  Input extends string = string,
  Action extends string = string,
> {
  readonly name: string;
  readonly initial: State;
  readonly inputs: readonly Input[];
  readonly final: readonly State[];
  readonly table: TransitionTable<State, Input, Action>;
}

/** A class, not a pair: see lists.ts. */
class WaitingInput<Input, Context> {
  constructor(
    readonly input: Input,
    readonly context: Context,
  ) {}
}

/**
 * Runs one machine. It is the only writer of `state`. An input that arrives while actions of an earlier one
 * run is queued, so that a machine always finishes one input before the next.
 */
export class StateMachine<
  State extends string,
  Input extends string,
  Action extends string,
  Context,
> {
  #state: State;
  readonly #table: TransitionTable<State, Input, Action>;
  readonly #perform: (action: Action, context: Context) => void;
  #queue: LinkedList<WaitingInput<Input, Context>> | undefined;
  #running = false;

  constructor(
    definition: MachineDefinition<State, Input, Action>,
    perform: (action: Action, context: Context) => void,
  ) {
    this.#state = definition.initial;
    this.#table = definition.table;
    this.#perform = perform;
  }

  get state(): State {
    return this.#state;
  }

  /** @returns false when the table has no cell for this input in the present state: it is ignored. */
  input(input: Input, context: Context): boolean {
    if (this.#running) {
      (this.#queue ??= new LinkedList()).push(new WaitingInput(input, context));
      return true;
    }
    this.#running = true;
    let known: boolean;
    try {
      known = this.#step(input, context);
      for (let next = this.#queue?.shift(); next !== undefined; next = this.#queue?.shift()) {
        this.#step(next.input, next.context);
      }
    } finally {
      this.#running = false;
    }
    return known;
  }

  #step(input: Input, context: Context): boolean {
    const transition = this.#table[this.#state][input];
    if (transition === undefined) return false;
    this.#state = transition.next;
    for (const action of transition.do) this.#perform(action, context);
    return true;
  }
}
