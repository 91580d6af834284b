/** A call that is up, against the fake user agent, for tests of what happens inside it. */
import assert from "node:assert/strict";
import type { Dialog } from "../../lib/dialog/index.js";
import { IncomingSession } from "../../lib/session/index.js";
import { ALICE, FakeServices, Witness, outcomeOf } from "./fake-services.js";

export interface Call {
  readonly services: FakeServices;
  readonly session: IncomingSession;
  readonly witness: Witness;
  readonly dialog: Dialog;
}

/** Its witness has seen nothing yet. @param allow - Allow, extra - further headers of the peer. */
export async function establishedCall(
  change: (services: FakeServices) => void = () => undefined,
  allow: string | undefined = "INVITE, ACK, BYE, INFO",
  extra: readonly [string, string][] = [],
): Promise<Call> {
  const services = new FakeServices();
  change(services);
  const headers: [string, string][] = allow === "" ? [] : [["Allow", allow]];
  headers.push(...extra);
  const transaction = services.invite({ sdp: "v=0 first", headers });
  const session = new IncomingSession(services, transaction, { account: ALICE });
  const witness = new Witness(session);
  session.begin();
  const accepted = session.accept(services.mediaHandler ? {} : { sdp: "v=0 mine" });
  await outcomeOf(accepted);
  const dialog = services.dialogOf(session);
  services.ack(transaction.request, dialog);
  await accepted;
  witness.events.length = 0;
  services.log.length = 0;
  return { services, session, witness, dialog };
}

/** The peer hangs up; nothing may be left. */
export async function hungUp({ services, session, dialog }: Call): Promise<void> {
  services.request(dialog, "BYE");
  await session.end();
  assert.deepEqual(services.leftovers(), []);
}
