/** Which methods an application may send by itself (contract §4.6); the others belong to the exchanges of the stack. */
import { InvalidArgumentError, printable } from "../foundation/index.js";
import { isToken } from "../message/index.js";

/** They belong to calls, registrations or the stack itself. */
const RESERVED: ReadonlySet<string> = new Set([
  "INVITE",
  "ACK",
  "CANCEL",
  "PRACK",
  "BYE",
  "REGISTER",
]);

/** @returns the method in upper case. @throws InvalidArgumentError `bad-method`. */
export function checkedRequestMethod(method: string): string {
  const upper = method.toUpperCase();
  if (isToken(method) && !RESERVED.has(upper)) return upper;
  const why = RESERVED.has(upper) ? "the stack sends it by itself" : "it is no method";
  throw new InvalidArgumentError(
    `"${printable(method)}" cannot be sent as a request of its own: ${why}.`,
    { rule: "bad-method" },
  );
}
