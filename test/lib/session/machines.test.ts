/**
 * Every cell of this room's tables: what is there is right in itself, and no table lets a session come back from its
 * end. What the actions do is tested with the sessions.
 */
import assert from "node:assert/strict";
import { StateMachine, type MachineDefinition } from "../../../lib/foundation/index.js";
import { sessionMachines } from "../../../lib/session/machines.js";

/** state × input → next, of every cell that is not ignored. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  session: [
    "idle invite inviting",
    "idle inviteReceived incoming",
    "idle restore established",
    "idle close terminated",
    "inviting provisional early",
    "inviting success established",
    "inviting cancel terminating",
    "inviting bye terminating",
    "inviting close terminated",
    "incoming provisional early",
    "incoming success established",
    "incoming close terminated",
    "early provisional early",
    "early success established",
    "early cancel terminating",
    "early bye terminating",
    "early close terminated",
    "established bye terminating",
    "established close terminated",
    "terminating close terminated",
  ],
  "offer/answer of a session": [
    "initial localOffer have-local-offer",
    "initial remoteOffer have-remote-offer",
    "initial close closed",
    "have-local-offer remoteAnswer stable",
    "have-local-offer rollbackToInitial initial",
    "have-local-offer rollbackToStable stable",
    "have-local-offer close closed",
    "have-remote-offer localAnswer stable",
    "have-remote-offer rollbackToInitial initial",
    "have-remote-offer rollbackToStable stable",
    "have-remote-offer close closed",
    "stable localOffer have-local-offer",
    "stable remoteOffer have-remote-offer",
    "stable close closed",
  ],
  "target of an attempt": [
    "waiting start calling",
    "waiting blocked failed",
    "waiting cancel cancelled",
    ...["calling", "trying", "ringing"].flatMap((state) => [
      ...(state === "calling" ? ["calling 100 trying"] : []),
      `${state} 1xx ringing`,
      `${state} 2xx answered`,
      `${state} redirect calling`,
      `${state} again calling`,
      `${state} failure failed`,
      `${state} timeout ${state === "calling" ? "failed" : "expiring"}`,
      `${state} cancel cancelling`,
    ]),
    "expiring 2xx failed",
    "expiring failure failed",
    "expiring cancel cancelling",
    "cancelling 2xx cancelled",
    "cancelling failure cancelled",
    "answered 2xx answered",
    "failed 2xx failed",
    "cancelled 2xx cancelled",
  ],
  "media between two calls": [
    "asking agreed direct",
    "asking halfAgreed here",
    "asking refused here",
    "asking stop withdrawing",
    "withdrawing agreed here",
    "withdrawing halfAgreed here",
    "withdrawing refused here",
    "direct stop here",
    "direct lost moving",
    "moving agreed direct",
    "moving halfAgreed here",
    "moving refused here",
    "moving stop leaving",
    "leaving agreed here",
    "leaving halfAgreed here",
    "leaving refused here",
  ],
  "session timer": [
    "off ours waiting",
    "off peers watching",
    ...["waiting", "asking", "refreshing", "pausing", "watching"].flatMap((state) => [
      `${state} ours waiting`,
      `${state} peers watching`,
      `${state} none off`,
      `${state} deadline expired`,
    ]),
    "waiting halfwayUpdate refreshing",
    "waiting halfwayInvite asking",
    "waiting sent refreshing",
    "asking unasked refreshing",
    "asking sent refreshing",
    "refreshing refused pausing",
    "refreshing unsupported refreshing",
    "pausing again refreshing",
    "pausing sent refreshing",
  ],
  "INVITE received": [
    "received accept describing",
    "received undescribed closed",
    "received reject closed",
    "received cancel closed",
    "received close closed",
    "describing described accepted",
    "describing undescribed closed",
    "describing reject closed",
    "describing cancel closed",
    "describing close closed",
    "accepted ack confirmed",
    "accepted noAck closed",
    "accepted hangUp ending",
    "accepted close closed",
    "ending ack closed",
    "ending noAck closed",
    "ending close closed",
    "confirmed hangUp closed",
    "confirmed close closed",
  ],
  "reliable provisional responses sent": [
    "idle send unacknowledged",
    "idle final over",
    "idle close over",
    "unacknowledged send unacknowledged",
    "unacknowledged prack idle",
    "unacknowledged repeat unacknowledged",
    "unacknowledged expire over",
    "unacknowledged final answered",
    "unacknowledged close over",
    "answered prack over",
    "answered close over",
  ],
  "re-INVITE received": [
    "idle invite deciding",
    "deciding invite deciding",
    "deciding accept describing",
    "deciding refused idle",
    "deciding cancel idle",
    "describing invite describing",
    "describing described waitingForAck",
    "describing postponed deciding",
    "describing refused idle",
    "describing cancel withdrawn",
    "withdrawn invite withdrawn",
    "withdrawn described idle",
    "withdrawn refused idle",
    "waitingForAck invite waitingForAck",
    "waitingForAck ack idle",
    "waitingForAck timeout idle",
  ],
  "re-INVITE or UPDATE sent": [
    "waiting start describing",
    "waiting close done",
    "describing described sent",
    "describing undescribed done",
    "describing close done",
    "sent success concluding",
    "sent glare backingOff",
    "sent busy backingOff",
    "sent tooShort waiting",
    "sent unsupported waiting",
    "sent refused done",
    "sent close done",
    "concluding success concluding",
    "concluding agreed done",
    "concluding spoilt done",
    "concluding close done",
    "backingOff retry waiting",
    "backingOff close done",
    "done success done",
  ],
  "UPDATE received": [
    "idle update deciding",
    "deciding update deciding",
    "deciding answered idle",
    "deciding refused idle",
  ],
  "stream of a handler": [
    "proposed agree agreed",
    "proposed decline over",
    "proposed withdraw over",
    "proposed end over",
    "agreed agree agreed",
    "agreed decline over",
    "agreed withdraw agreed",
    "agreed end over",
  ],
  "REFER sent": [
    "sent accepted accepted",
    "sent acceptedFinally leaving",
    "sent refused done",
    "sent progress sent",
    "sent success leaving",
    "sent failure done",
    "sent bye done",
    "sent timeout done",
    "sent close done",
    "accepted progress accepted",
    "accepted success leaving",
    "accepted failure done",
    "accepted bye done",
    "accepted timeout done",
    "accepted close done",
    "leaving progress leaving",
    "leaving success leaving",
    "leaving failure leaving",
    "leaving bye done",
    "leaving leave done",
    "done progress done",
    "done success done",
    "done failure done",
  ],
};

/** A machine brought into a state by the shortest way. */
function machineIn(definition: MachineDefinition, state: string) {
  const ways: [string, string[]][] = [[definition.initial, []]];
  const seen = new Set<string>([definition.initial]);
  for (const [at, way] of ways) {
    if (at === state) {
      const performed: string[] = [];
      const machine = new StateMachine(definition, (action) => performed.push(action));
      for (const input of way) machine.input(input, undefined);
      performed.length = 0;
      return { machine, performed };
    }
    for (const input of definition.inputs) {
      const next = definition.table[at]?.[input]?.next;
      if (next === undefined || seen.has(next)) continue;
      seen.add(next);
      ways.push([next, [...way, input]]);
    }
  }
  throw new Error(`${definition.name}: ${state} cannot be reached`);
}

for (const definition of sessionMachines) {
  describe(`table of ${definition.name}`, () => {
    const expected = new Map(
      EXPECTED[definition.name]?.map((line) => {
        const [state, input, next] = line.split(" ");
        return [`${state} ${input}`, next];
      }),
    );
    for (const state of Object.keys(definition.table)) {
      for (const input of definition.inputs) {
        const next = expected.get(`${state} ${input}`);
        it(`${state} × ${input} → ${next ?? "ignored"}`, () => {
          const { machine, performed } = machineIn(definition, state);
          assert.equal(machine.input(input, undefined), next !== undefined);
          assert.equal(machine.state, next ?? state);
          const cell = definition.table[state]?.[input];
          assert.deepEqual(performed, cell?.do ?? []);
          if (cell) assert.match(cell.rfc, /^(RFC \d+|contract) §\d/);
        });
      }
    }

    it("has no expectation too many", () => {
      for (const cell of expected.keys()) {
        const [state = "", input = ""] = cell.split(" ");
        assert.ok(definition.table[state]?.[input], cell);
      }
    });

    it("never leaves a final state", () => {
      for (const state of definition.final) {
        for (const cell of Object.values(definition.table[state] ?? {})) {
          assert.ok(cell === undefined || definition.final.includes(cell.next));
        }
      }
    });
  });
}
