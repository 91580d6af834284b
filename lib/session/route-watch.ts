/** Whether the connection under a session lives: event `route` (contract §5 "Route and connection"). */
import type { Flow } from "../transport/transport.js";

export class RouteWatch {
  readonly #report: (route: "up" | "down", reason: string | undefined) => void;
  readonly #recovery: ((recovered: (flow: Flow) => void) => (() => void) | undefined) | undefined;
  #flow: Flow | undefined;
  #unwatch: (() => void) | undefined;
  #route: "up" | "down" = "up";

  /** @param recovery - calls back with a new connection of the account, until its own return value is called. */
  constructor(
    report: (route: "up" | "down", reason: string | undefined) => void,
    recovery?: (recovered: (flow: Flow) => void) => (() => void) | undefined,
  ) {
    this.#report = report;
    this.#recovery = recovery;
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
      this.#unwatch?.();
      // The registration opens the way again (RFC 5626 §4.3): the session need not wait for its next message.
      this.#unwatch = this.#recovery?.((recovered) => {
        if (leadsToSame(recovered, flow)) this.follow(recovered);
      });
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

function leadsToSame(one: Flow, other: Flow): boolean {
  return (
    one.reliable && one.protocol === other.protocol && one.remoteAddress === other.remoteAddress
  );
}
