/**
 * Every state × input cell of the two client transactions (RFC 3261 §17.1, RFC 6026 §7.2), with the next state, what
 * is sent and what the user hears. A cell that is not in the table below must change, send and tell nothing.
 */
import assert from "node:assert/strict";
import { createResponse, type SipRequest } from "../../../lib/message/index.js";
import { DEFAULT_TIMERS } from "../../../lib/transaction/index.js";
import {
  InviteClientTransaction,
  inviteClientMachine,
} from "../../../lib/transaction/invite-client.js";
import {
  NonInviteClientTransaction,
  nonInviteClientMachine,
} from "../../../lib/transaction/non-invite-client.js";
import { TransactionTimers } from "../../../lib/transaction/timer-queue.js";
import type { TimerName } from "../../../lib/transaction/timers.js";
import type { ClientTransactionOwner } from "../../../lib/transaction/transaction-services.js";
import { FakeFlow } from "../../support/fake-flow.js";
import { ManualClock } from "../../support/manual-clock.js";
import { ClientRecorder, ErrorLog, outgoing } from "../../support/transaction-bench.js";

/** `next state | sent | told` per state and input. */
type Expectation = Record<string, Record<string, string>>;

const INVITE: Expectation = {
  initial: { send: "calling | INVITE |" },
  calling: {
    "1xx": "proceeding | | 180",
    "2xx": "accepted | | 200",
    "3xx-6xx": "completed | ACK | 486",
    timerA: "calling | INVITE |",
    timerB: "terminated | | failure E_TIMEOUT, terminated",
    transportError: "terminated | | failure E_TRANSPORT, terminated",
    flowClosed: "terminated | | failure E_TRANSPORT, terminated",
  },
  proceeding: {
    "1xx": "proceeding | | 180",
    "2xx": "accepted | | 200",
    "3xx-6xx": "completed | ACK | 486",
  },
  accepted: {
    "2xx": "accepted | | 200",
    timerM: "terminated | | terminated",
  },
  completed: {
    "3xx-6xx": "completed | ACK |",
    timerD: "terminated | | terminated",
    transportError: "terminated | | terminated",
  },
  terminated: {},
};

const OTHER: Expectation = {
  initial: { send: "trying | OPTIONS |" },
  trying: {
    "1xx": "proceeding | | 180",
    "2xx-6xx": "completed | | 200",
    timerE: "trying | OPTIONS |",
    timerF: "terminated | | failure E_TIMEOUT, terminated",
    transportError: "terminated | | failure E_TRANSPORT, terminated",
    flowClosed: "terminated | | failure E_TRANSPORT, terminated",
  },
  proceeding: {
    "1xx": "proceeding | | 180",
    "2xx-6xx": "completed | | 200",
    timerE: "proceeding | OPTIONS |",
    timerF: "terminated | | failure E_TIMEOUT, terminated",
    transportError: "terminated | | failure E_TRANSPORT, terminated",
  },
  completed: { timerK: "terminated | | terminated" },
  terminated: {},
};

/** Inputs that lead to a state. */
const PATHS: Record<string, string[]> = {
  initial: [],
  calling: ["send"],
  trying: ["send"],
  proceeding: ["send", "1xx"],
  accepted: ["send", "2xx"],
  "completed INVITE": ["send", "3xx-6xx"],
  "completed OPTIONS": ["send", "2xx-6xx"],
  "terminated INVITE": ["send", "timerB"],
  "terminated OPTIONS": ["send", "timerF"],
};

class Rig {
  readonly clock = new ManualClock();
  readonly flow: FakeFlow;
  readonly user = new ClientRecorder();
  readonly removed: string[] = [];
  readonly errors = new ErrorLog();
  readonly machine: InviteClientTransaction | NonInviteClientTransaction;
  readonly #request: SipRequest;

  constructor(method: string, protocol: "udp" | "tcp") {
    this.flow = new FakeFlow(this.clock, protocol);
    const owner: ClientTransactionOwner = {
      clock: this.clock,
      logger: this.errors,
      timers: new TransactionTimers(this.clock, DEFAULT_TIMERS),
      clientTerminated: (key) => this.removed.push(key),
    };
    this.#request = outgoing(method);
    this.#request.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx");
    const Machine = method === "INVITE" ? InviteClientTransaction : NonInviteClientTransaction;
    this.machine = new Machine(owner, "key", this.#request, this.flow, this.user);
  }

  feed(input: string): void {
    if (input === "send") this.machine.start();
    else if (input.startsWith("timer")) this.machine.onTimer(input.slice(5) as TimerName);
    else if (input === "transportError") this.flow.failLast();
    else if (input === "flowClosed") this.flow.close();
    else this.#receive(input === "1xx" ? 180 : input === "3xx-6xx" ? 486 : 200);
    // The turn in which send failures are reported; no other timer is due in it.
    this.clock.advance(0);
  }

  #receive(statusCode: number): void {
    this.machine.receive(createResponse(this.#request, { statusCode, toTag: "peer" }));
  }
}

for (const [definition, expectations, method] of [
  [inviteClientMachine, INVITE, "INVITE"],
  [nonInviteClientMachine, OTHER, "OPTIONS"],
] as const) {
  describe(`${definition.name}, every cell`, () => {
    for (const state of Object.keys(definition.table)) {
      for (const input of definition.inputs) {
        const expected = expectations[state]?.[input] ?? `${state} | |`;
        it(`${state} × ${input} → ${expected}`, () => {
          // The end of the connection is an input over TCP alone; there D and K are skipped, so others use UDP.
          const rig = new Rig(method, input === "flowClosed" ? "tcp" : "udp");
          const path = PATHS[state] ?? PATHS[`${state} ${method}`] ?? [];
          if (rig.flow.reliable && state === "completed") return;
          for (const step of path) rig.feed(step);
          assert.equal(rig.machine.state, state);
          const sentBefore = rig.flow.log.length;
          const toldBefore = rig.user.log.length;
          // Sending is what the layer does, once, in the initial state.
          if (!(input === "send" && state !== "initial")) rig.feed(input);
          const sent = rig.flow.log.slice(sentBefore).join(", ");
          const told = rig.user.log.slice(toldBefore).join(", ");
          const seen = `${rig.machine.state} | ${sent} | ${told}`.replaceAll("  ", " ").trim();
          assert.equal(seen, expected);
          assert.deepEqual(rig.removed.length, rig.machine.state === "terminated" ? 1 : 0);
          rig.machine.close();
          assert.equal(rig.clock.pendingTimers(), 0);
          assert.equal(rig.flow.listeners, 0);
          assert.deepEqual(rig.errors.errors, []);
        });
      }
    }
  });

  it(`has no expectation for a cell that ${definition.name} does not know`, () => {
    for (const [state, cells] of Object.entries(expectations)) {
      assert.ok(state in definition.table, state);
      for (const input of Object.keys(cells)) {
        assert.ok((definition.inputs as readonly string[]).includes(input), input);
      }
    }
    for (const [state, cells] of Object.entries(definition.table)) {
      assert.deepEqual(Object.keys(cells).sort(), Object.keys(expectations[state] ?? {}).sort());
    }
  });
}

describe("Client transactions over TCP", () => {
  it("end INVITE at once after a final response ≥ 300: Timer D is 0", () => {
    const rig = new Rig("INVITE", "tcp");
    for (const input of ["send", "1xx", "3xx-6xx"]) rig.feed(input);
    assert.deepEqual(rig.user.log, ["180", "486", "terminated"]);
    assert.deepEqual(rig.flow.log, ["INVITE", "ACK"]);
    assert.equal(rig.clock.pendingTimers(), 0);
  });

  it("end other requests at once after the final response: Timer K is 0", () => {
    const rig = new Rig("OPTIONS", "tcp");
    for (const input of ["send", "2xx-6xx"]) rig.feed(input);
    assert.deepEqual(rig.user.log, ["200", "terminated"]);
    assert.equal(rig.clock.pendingTimers(), 0);
  });

  it("do not fail when the connection closes after a provisional response", () => {
    const rig = new Rig("INVITE", "tcp");
    for (const input of ["send", "1xx", "flowClosed", "2xx"]) rig.feed(input);
    assert.deepEqual(rig.user.log, ["180", "200"]);
    rig.machine.close();
  });
});
