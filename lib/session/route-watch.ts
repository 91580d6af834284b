/** Whether the connection under a session lives: event `route` (contract §5 "Route and connection"). */
import type { Flow } from "../transport/transport.js";

export class RouteWatch {
  readonly #report: (route: "up" | "down", reason: string | undefined) => void;
  #flow: Flow | undefined;
  #unwatch: (() => void) | undefined;
  #route: "up" | "down" = "up";

  constructor(report: (route: "up" | "down", reason: string | undefined) => void) {
    this.#report = report;
  }

  get flow(): Flow | undefined {
    return this.#flow;
  }

  /** The session's messages now travel here. */
  follow(flow: Flow): void {
    if (flow === this.#flow) return;
    this.stop();
    this.#flow = flow;
    if (this.#route === "down") {
      this.#route = "up";
      this.#report("up", undefined);
    }
    // A datagram socket has no connection to lose.
    if (!flow.reliable) return;
    // A call may be silent for hours; its connection must not be taken for idle.
    const letGo = flow.retain?.();
    const forget = flow.onClosed((reason) => {
      this.#route = "down";
      this.#report("down", reason);
    });
    this.#unwatch = () => {
      letGo?.();
      forget();
    };
  }

  stop(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
  }
}
