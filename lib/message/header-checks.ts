/** What may be written into a header by our side: the guard against header injection. */
import { InvalidArgumentError } from "../foundation/index.js";
import { isToken } from "./grammar.js";

export { isToken };

/** True when the text holds CR, LF or NUL, which would end the line or the message on the wire. */
export function hasForbiddenCharacters(text: string): boolean {
  return text.includes("\n") || text.includes("\r") || text.includes("\0");
}

/**
 * Refuses a header value, reason phrase or URI of our side that would break out of its line.
 *
 * @param what - Named in the error; the value itself is not, for it may be a secret.
 * @throws InvalidArgumentError with rule `bad-header`.
 */
export function checkUserHeaderValue(what: string, value: string): void {
  if (hasForbiddenCharacters(value)) {
    throw new InvalidArgumentError(`${what} must not contain line breaks or NUL`, {
      rule: "bad-header",
    });
  }
}

/** Refuses a header name or method that is no `token`. @throws InvalidArgumentError, rule `bad-header`. */
export function checkUserToken(what: string, text: string): void {
  if (!isToken(text)) {
    throw new InvalidArgumentError(`${what} is not a valid token`, { rule: "bad-header" });
  }
}
