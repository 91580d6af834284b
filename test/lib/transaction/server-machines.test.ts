/**
 * Every state × input cell of the two server transactions (RFC 3261 §17.2, RFC 6026 §7.1, RFC 4320 §4), with the next
 * state, what is sent and what the user hears. A cell that is not in the table below must change, send and tell
 * nothing; a response that it does not allow throws InvalidStateError.
 */
import assert from "node:assert/strict";
import { InvalidStateError } from "../../../lib/foundation/index.js";
import { createResponse, type SipRequest } from "../../../lib/message/index.js";
import { DEFAULT_TIMERS } from "../../../lib/transaction/index.js";
import {
  InviteServerTransaction,
  inviteServerMachine,
} from "../../../lib/transaction/invite-server.js";
import {
  NonInviteServerTransaction,
  nonInviteServerMachine,
} from "../../../lib/transaction/non-invite-server.js";
import { TransactionTimers } from "../../../lib/transaction/timer-queue.js";
import type { TimerName } from "../../../lib/transaction/timers.js";
import type { ServerTransactionOwner } from "../../../lib/transaction/transaction-services.js";
import { FakeFlow } from "../../support/fake-flow.js";
import { ManualClock } from "../../support/manual-clock.js";
import { SeededRandom } from "../../support/seeded-random.js";
import { ErrorLog, incoming, ServerRecorder } from "../../support/transaction-bench.js";

/** `next state | sent | told` per state and input. */
type Expectation = Record<string, Record<string, string>>;

/** The peer's 180 is out before each input that needs one; see PATHS. */
const INVITE: Expectation = {
  proceeding: {
    // With the 180 out, nothing more is to be said.
    unanswered: "proceeding | |",
    INVITE: "proceeding | 180 |",
    "1xx": "proceeding | 180 |",
    "2xx": "accepted | 200 | lingers",
    "3xx-6xx": "completed | 486 | lingers",
    transportError: "proceeding | | failure E_TRANSPORT",
  },
  accepted: {
    ACK: "accepted | | dialog ACK",
    "2xx": "accepted | 200 |",
    timerL: "terminated | | terminated",
    transportError: "accepted | | failure E_TRANSPORT",
  },
  completed: {
    INVITE: "completed | 486 |",
    ACK: "confirmed | | ACK",
    timerG: "completed | 486 |",
    timerH: "terminated | | failure E_TIMEOUT, terminated",
    transportError: "completed | | failure E_TRANSPORT",
  },
  confirmed: { timerI: "terminated | | terminated" },
  terminated: {},
};

const OTHER: Expectation = {
  trying: {
    unanswered: "trying | |",
    "1xx": "proceeding | 180 |",
    "2xx-6xx": "completed | 200 | lingers",
    timerTrying: "proceeding | 100 |",
    timerExpiry: "terminated | | failure E_TIMEOUT, terminated",
  },
  proceeding: {
    unanswered: "proceeding | |",
    request: "proceeding | 180 |",
    "1xx": "proceeding | 180 |",
    "2xx-6xx": "completed | 200 | lingers",
    timerExpiry: "terminated | | failure E_TIMEOUT, terminated",
    transportError: "terminated | | failure E_TRANSPORT, terminated",
  },
  completed: {
    request: "completed | 200 |",
    timerJ: "terminated | | terminated",
    transportError: "terminated | | failure E_TRANSPORT, terminated",
  },
  terminated: {},
};

/** Inputs that lead to a state. */
const PATHS: Record<string, string[]> = {
  "proceeding INVITE": ["1xx"],
  accepted: ["1xx", "2xx"],
  "completed INVITE": ["1xx", "3xx-6xx"],
  confirmed: ["1xx", "3xx-6xx", "ACK"],
  "terminated INVITE": ["1xx", "2xx", "timerL"],
  trying: [],
  "proceeding OPTIONS": ["1xx"],
  "completed OPTIONS": ["2xx-6xx"],
  "terminated OPTIONS": ["2xx-6xx", "timerJ"],
};

const RESPONSES: Record<string, number> = {
  "1xx": 180,
  "2xx": 200,
  "2xx-6xx": 200,
  "3xx-6xx": 486,
};

class Rig {
  readonly clock = new ManualClock();
  readonly flow: FakeFlow;
  readonly user = new ServerRecorder();
  readonly errors = new ErrorLog();
  readonly machine: InviteServerTransaction | NonInviteServerTransaction;
  removed = 0;
  readonly #request: SipRequest;

  constructor(method: string, protocol: "udp" | "tcp" = "udp") {
    this.flow = new FakeFlow(this.clock, protocol);
    const owner: ServerTransactionOwner = {
      clock: this.clock,
      logger: this.errors,
      random: new SeededRandom(),
      timers: new TransactionTimers(this.clock, DEFAULT_TIMERS),
      responseFlow: undefined,
      serverAnswered: () => this.user.log.push("lingers"),
      answerRepeated: () => undefined,
      serverTerminated: () => void this.removed++,
      dialogAck: () => this.user.log.push("dialog ACK"),
    };
    this.#request = incoming(method);
    const keys = { key: "key", mergeKey: undefined };
    const Machine = method === "INVITE" ? InviteServerTransaction : NonInviteServerTransaction;
    this.machine = new Machine(owner, keys, this.#request, this.flow);
    this.machine.user = this.user;
  }

  /** @returns false when a response was not allowed. */
  feed(input: string): boolean {
    const statusCode = RESPONSES[input];
    if (statusCode !== undefined) return this.#respond(statusCode);
    if (input === "unanswered") this.machine.unanswered();
    else if (input.startsWith("timer")) this.machine.onTimer(timerOf(input));
    else if (input === "transportError") this.flow.failLast();
    else this.machine.receive(incoming(input === "request" ? "OPTIONS" : input));
    this.clock.advance(0);
    return true;
  }

  #respond(statusCode: number): boolean {
    try {
      const response = createResponse(this.#request, { statusCode, toTag: "ours" });
      this.machine.respond(response, this.#request);
      return true;
    } catch (error) {
      assert.ok(error instanceof InvalidStateError);
      return false;
    }
  }
}

function timerOf(input: string): TimerName {
  const name = input.slice(5);
  return (name.length === 1 ? name : name.toLowerCase()) as TimerName;
}

for (const [definition, expectations, method] of [
  [inviteServerMachine, INVITE, "INVITE"],
  [nonInviteServerMachine, OTHER, "OPTIONS"],
] as const) {
  describe(`${definition.name}, every cell`, () => {
    for (const state of Object.keys(definition.table)) {
      for (const input of definition.inputs) {
        const known = expectations[state]?.[input];
        const expected = known ?? `${state} | |`;
        it(`${state} × ${input} → ${expected}`, () => {
          const rig = new Rig(method);
          for (const step of PATHS[state] ?? PATHS[`${state} ${method}`] ?? []) rig.feed(step);
          assert.equal(rig.machine.state, state);
          const sentBefore = rig.flow.log.length;
          const toldBefore = rig.user.log.length;
          const allowed = rig.feed(input);
          const sent = rig.flow.log.slice(sentBefore).join(", ");
          const told = rig.user.log.slice(toldBefore).join(", ");
          const seen = `${rig.machine.state} | ${sent} | ${told}`.replaceAll("  ", " ").trim();
          assert.equal(seen, expected);
          // A closed transaction takes responses without a word: its user cannot know that it is gone.
          assert.equal(
            allowed,
            known !== undefined || !(input in RESPONSES) || state === "terminated",
          );
          assert.equal(rig.removed, rig.machine.state === "terminated" ? 1 : 0);
          rig.machine.close();
          assert.equal(rig.clock.pendingTimers(), 0);
          assert.deepEqual(rig.errors.errors, []);
        });
      }
    }
  });

  it(`has an expectation for each cell of ${definition.name} and no other`, () => {
    assert.deepEqual(Object.keys(expectations).sort(), Object.keys(definition.table).sort());
    for (const [state, cells] of Object.entries(definition.table)) {
      assert.deepEqual(Object.keys(cells).sort(), Object.keys(expectations[state] ?? {}).sort());
    }
  });
}

describe("Server transactions", () => {
  it("send 100 for an INVITE that has no response yet, and once only", () => {
    const rig = new Rig("INVITE");
    rig.feed("INVITE");
    assert.deepEqual(rig.flow.log, []);
    rig.feed("unanswered");
    rig.feed("unanswered");
    assert.deepEqual(rig.flow.log, ["100"]);
    rig.machine.close();
  });

  it("end over TCP at once after an ACK, and stay T4 for a request that others may repeat", () => {
    const invite = new Rig("INVITE", "tcp");
    for (const input of ["3xx-6xx", "ACK"]) invite.feed(input);
    assert.deepEqual(invite.user.log, ["lingers", "ACK", "terminated"]);
    const options = new Rig("OPTIONS", "tcp");
    options.feed("2xx-6xx");
    assert.deepEqual(options.user.log, ["lingers"]);
    assert.equal(options.machine.answered, true);
    options.clock.advance(5_000);
    assert.deepEqual(options.user.log, ["lingers", "terminated"]);
    assert.equal(invite.clock.pendingTimers() + options.clock.pendingTimers(), 0);
  });

  it("change nothing when a response cannot be written", () => {
    const rig = new Rig("OPTIONS");
    const request = incoming("OPTIONS");
    const response = createResponse(request, { statusCode: 200 });
    Object.assign(response, { reason: "OK\r\nX: y" });
    assert.throws(() => rig.machine.respond(response, request));
    assert.equal(rig.machine.state, "trying");
    assert.deepEqual(rig.flow.log, []);
    assert.equal(rig.feed("2xx-6xx"), true);
    rig.machine.close();
  });
});
