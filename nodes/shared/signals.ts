/**
 * SIGTERM and SIGINT. Node-RED closes the nodes and exits at once: engines must then end inside `close`. With a time of
 * grace (`sipStackGraceSeconds`) the signal is kept from the runtime until the calls are over, or the time is, or it
 * comes again; then everybody who listens gets it.
 */
import type { NodeAPI } from "node-red";
import { deploys } from "./deploys.js";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;
type Signal = (typeof SIGNALS)[number];
type Listener = (signal: NodeJS.Signals) => void;

export interface SignalTasks {
  /** 0 = none. */
  readonly graceSeconds: number;
  readonly log: NodeAPI["log"];
  /** Takes nothing new. Resolves when the last call is over. */
  drain(): Promise<void>;
  /** Calls now. */
  calls(): number;
  /** Ends everything properly. */
  end(): Promise<unknown>;
}

let installed = false;

/** Installed once, in front of the runtime's own handlers. */
export function watchSignals(tasks: SignalTasks): void {
  if (installed) return;
  installed = true;
  for (const signal of SIGNALS) process.prependListener(signal, die);
  const grace = tasks.graceSeconds > 0 ? new Grace(tasks, die) : undefined;
  grace?.takeOver();
  // Whatever was loaded with the flows may listen, too.
  deploys.listen({ started: () => grace?.takeOver() });

  function die(signal: NodeJS.Signals): void {
    if (grace?.keeps(signal as Signal) === true) return;
    deploys.dying = true;
    if (process.listenerCount(signal) > 1) return;
    // Nobody else handles it: end properly, then let the signal do its work.
    void tasks.end().then(() => {
      process.removeListener(signal, die);
      process.kill(process.pid, signal);
    });
  }
}

class Grace {
  #phase: "waiting" | "draining" | "over" = "waiting";
  /** What others do at a signal, in order. */
  readonly #held: { readonly signal: Signal; readonly listener: Listener }[] = [];

  constructor(
    private readonly tasks: SignalTasks,
    private readonly own: Listener,
  ) {}

  /** The others hear of signals from us only. */
  takeOver(): void {
    if (this.#phase === "over") return;
    for (const signal of SIGNALS) {
      for (const listener of process.rawListeners(signal) as Listener[]) {
        if (listener === this.own) continue;
        process.removeListener(signal, listener);
        this.#held.push({ signal, listener });
      }
    }
  }

  /** @returns true = not yet. */
  keeps(signal: Signal): boolean {
    switch (this.#phase) {
      case "waiting":
        this.#drain(signal);
        return true;
      case "draining":
        this.tasks.log.info("SIP: told again to stop: at once");
        this.#pass(signal);
        return true;
      case "over":
        return false;
    }
  }

  #drain(signal: Signal): void {
    this.#phase = "draining";
    const { graceSeconds, log } = this.tasks;
    const over = this.tasks.drain();
    log.info(`SIP: ${signal}: draining ${this.tasks.calls()} calls, at most ${graceSeconds} s`);
    const timer = setTimeout(() => this.#pass(signal), graceSeconds * 1000);
    void over.then(() => {
      clearTimeout(timer);
      this.#pass(signal);
    });
  }

  #pass(signal: Signal): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    const left = this.tasks.calls();
    if (left > 0) this.tasks.log.warn(`SIP: stopping with ${left} calls`);
    for (const held of this.#held) process.on(held.signal, held.listener);
    process.emit(signal, signal);
  }
}
