/** Digits by INFO between two user agents over a network that loses packets: each one once and in order. */
import assert from "node:assert/strict";
import type { Session } from "../../../lib/session/index.js";
import { aliceAndBob, type Person } from "../../support/alice-and-bob.js";

const LOSS = 0.1;
/** All sixteen, none like the one before it. */
const digits = (count: number): string =>
  "0123456789*#ABCD".repeat(Math.ceil(count / 16)).slice(0, count);

describe("Digits by INFO over a network that loses packets", () => {
  for (const method of ["info-relay", "info-dtmf"] as const) {
    it(`1,000 by ${method} in both directions at 10 % loss: each one once`, async function () {
      this.timeout(120_000);
      const { alice, bob, network, pass, end } = await aliceAndBob();
      bob.takeCalls((session) => void session.accept());
      const call = alice.userAgent.invite({ targets: [bob.uri] });
      await pass(2_000);
      const taken = bob.calls[0];
      assert.ok(taken);
      assert.equal(call.state, "established");
      network.loss = LOSS;
      const wanted = digits(1_000);
      const results: unknown[] = [];
      const send = (session: Session): void =>
        void session
          .sendDigits({ digits: wanted, method, duration: 40, gap: 10 })
          .then(({ ok }) => results.push(ok));
      send(call);
      send(taken);
      for (let minute = 0; minute < 60 && results.length < 2; minute++) await pass(60_000);
      assert.deepEqual(results, [true, true]);
      for (const person of [alice, bob]) assert.equal(heardDigits(person, method), wanted);
      network.loss = 0;
      await end();
    });
  }
});

function heardDigits(person: Person, method: string): string {
  return person.events
    .filter(([, event]) => event.name === "dtmf" && event.digit?.method === method)
    .map(([, event]) => event.digit?.digit)
    .join("");
}
