/**
 * What a failure response inside the dialog of a call destroys (RFC 5057 §5.1): nothing but its transaction, the call
 * (the INVITE usage), or the dialog with all that lives in it.
 */

export type Destroyed = "transaction" | "usage" | "dialog";

/** Why a status code is in the table below. */
export interface Consequence {
  readonly destroys: Destroyed;
  readonly rfc: string;
  /** Only for these methods; absent = for every method of the call. */
  readonly methods?: ReadonlySet<string>;
}

/** Without them there is no call: a peer that has answered INVITE before knows the method (RFC 5057 §5.1). */
const INVITE_ONLY: ReadonlySet<string> = new Set(["INVITE"]);
/** Requests of the INVITE usage (RFC 5057 §5.3) that carry the call itself. INFO only carries what passes through it. */
const OF_THE_CALL: ReadonlySet<string> = new Set(["INVITE", "UPDATE", "PRACK"]);

/**
 * BYE concerns a call that is ending; the others subscriptions beside it, which end without it (RFC 5057 §5.2).
 * DEVIATION: RFC 5057 §5.1 takes every 404, 410, 416, 482–485, 502 and 604 as the end of the dialog. PBXs answer REFER
 * so when the address in Refer-To does not exist, and the call shall outlive a transfer that came to nothing.
 */
const OUTSIDE_THE_CALL: ReadonlySet<string> = new Set(["BYE", "NOTIFY", "SUBSCRIBE"]);
const ONLY_WITHOUT_DIALOG: ReadonlySet<string> = new Set(["REFER"]);

const DIALOG: Consequence = { destroys: "dialog", rfc: "RFC 5057 §5.1" };

/** Status codes that do more than end their transaction. 408 counts as silence, which `in-dialog-request` knows. */
export const consequences: ReadonlyMap<number, Consequence> = new Map<number, Consequence>([
  [404, DIALOG],
  [405, { destroys: "usage", rfc: "RFC 5057 §5.1", methods: INVITE_ONLY }],
  [410, DIALOG],
  [416, DIALOG],
  [480, { destroys: "usage", rfc: "RFC 5057 §5.1", methods: OF_THE_CALL }],
  [481, { destroys: "dialog", rfc: "RFC 3261 §12.2.1.2" }],
  [482, DIALOG],
  [483, DIALOG],
  [484, DIALOG],
  [485, DIALOG],
  [501, { destroys: "usage", rfc: "RFC 5057 §5.1", methods: INVITE_ONLY }],
  [502, DIALOG],
  [604, DIALOG],
]);

/** What the final response to a request of ours inside a call destroys. */
export function destroyedBy(method: string, statusCode: number): Destroyed {
  const consequence = consequences.get(statusCode);
  if (consequence === undefined || OUTSIDE_THE_CALL.has(method)) return "transaction";
  if (ONLY_WITHOUT_DIALOG.has(method) && statusCode !== 481) return "transaction";
  if (consequence.methods?.has(method) === false) return "transaction";
  return consequence.destroys;
}

/** May silence, or a 408, to this method end the call? */
export function isOfTheCall(method: string): boolean {
  return !OUTSIDE_THE_CALL.has(method);
}
