/** `sip-register`: registers an account, un-registers it, or tells how it stands (contract §4.6). */
import type { NodeAPI } from "node-red";
import { type Account, type ActionOutcome, InvalidStateError, printable } from "../lib/index.js";
import type { Engine } from "./shared/engine.js";
import { misuse } from "./shared/errors.js";
import { outcomeFields } from "./shared/event-fields.js";
import { engineFor, registerActionNode } from "./shared/flow-node.js";
import type { Input } from "./shared/input.js";
import { text } from "./shared/properties.js";
import { type SipFields, withoutUndefined } from "./shared/sip-fields.js";

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-register", {
    shows: "always",
    properties: { account: text() },
    reads: ["control"],
    async run({ input, values, control = "register" }) {
      if (!["register", "unregister", "status"].includes(control)) {
        throw misuse("bad-control", `msg.control "${control}": use register, unregister or status`);
      }
      const engine = engineFor(undefined, values.account);
      const userAgent = await engine.ready();
      const account = userAgent.accounts.get(values.account);
      if (account === undefined) {
        const { problem } = engine.accounts.entry(values.account) ?? {};
        throw misuse("no-account", problem ?? "the account is not known to the stack");
      }
      const holder = engine.accounts.standby(values.account);
      if (holder !== undefined && control !== "status") {
        throw new InvalidStateError(
          `Another instance of the group (${printable(holder || "?")}) keeps this registration; only "status" is possible here`,
        );
      }
      if (control === "status") leaveStatus(input, engine, account);
      else if (control === "register") {
        leaveOutcome(input, engine, account, "registered", await account.register());
      } else leaveOutcome(input, engine, account, "unregistered", await account.unregister());
    },
  });
}

/** Granted seconds with `registered`, 0 with `unregistered`, the status code with a failure. */
function leaveOutcome(
  input: Input,
  engine: Engine,
  account: Account,
  success: "registered" | "unregistered",
  outcome: ActionOutcome,
): void {
  const expires = outcome.ok && success === "registered" ? account.registration.expires : undefined;
  const event = outcome.ok ? success : "registration-failed";
  const sip = fields(input, engine, account, event, { ...outcomeFields(outcome), expires });
  const payload = outcome.ok ? (expires ?? 0) : outcome.statusCode;
  input.leave(outcome.ok ? 1 : 2, () => ({ sip, payload }), {
    sessionId: undefined,
    events: [event],
  });
}

function leaveStatus(input: Input, engine: Engine, account: Account): void {
  const { state, expires, statusCode, reason, cause } = account.registration;
  const isRegistered = state === "registered";
  const event = isRegistered ? "registered" : "registration-failed";
  const sip = fields(input, engine, account, event, { expires, statusCode, reason, cause });
  const payload = isRegistered ? (expires ?? 0) : (statusCode ?? 0);
  input.leave(isRegistered ? 1 : 2, () => ({ sip, payload }));
}

function fields(
  input: Input,
  engine: Engine,
  account: Account,
  event: string,
  more: Partial<SipFields>,
): SipFields {
  return withoutUndefined({
    ...more,
    event,
    stack: engine.stackId,
    account: account.id,
    // The flow goes on in the call that it is in.
    session: input.carried.session,
  });
}
