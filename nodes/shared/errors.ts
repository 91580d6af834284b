/** Turns whatever was thrown into an error that a flow author can use: its `code`, its cause and its cure. */
import type { NodeAPI } from "node-red";
import { errorText, InvalidArgumentError, SipError } from "../../lib/index.js";
import { hasText, translate } from "./texts.js";

/** What `done(error)` gets: `message` starts with the code, and `code` also arrives as `msg.error.code`. */
export interface NodeError extends Error {
  code: string;
}

/**
 * @returns an error whose text reads `code: what happened (detail)`, from `error.<rule>` or `error.<code>` of the
 *   message catalogue.
 */
export function nodeError(RED: NodeAPI, error: unknown): NodeError {
  const detail = errorText(error);
  const code = error instanceof SipError ? (error.rule ?? error.code) : "E_INTERNAL";
  const key = [code, error instanceof SipError ? error.code : code]
    .map((name) => `error.${name}`)
    .find((name) => hasText(name));
  // In the catalogue's sentence the detail is a part, so its own full stop goes.
  const text =
    key === undefined ? detail : translate(RED, key, { detail: detail.replace(/\.$/, "") });
  // The stack trace of a wrong input says nothing to a flow author and would only fill the debug sidebar.
  const result = new Error(`${code}: ${text}`) as NodeError;
  result.code = code;
  result.stack = `${result.name}: ${result.message}`;
  return result;
}

/** A wrong input or setting. `rule` is the word that the flow can test (`msg.error.code`). */
export function misuse(rule: string, detail: string): InvalidArgumentError {
  return new InvalidArgumentError(detail, { rule });
}
