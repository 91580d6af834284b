/** What `sip-message` and `sip-request` share: in the session or alone (`scope`, contract §4.3), and the body's type. */
import type { ActionOutcome, HeaderList } from "../../lib/index.js";
import { checkedContentType } from "./bodies.js";
import { findCall } from "./call.js";
import type { Engine } from "./engine.js";
import type { UserAgentPort } from "./environment.js";
import { misuse } from "./errors.js";
import { outcomeFields } from "./event-fields.js";
import { engineFor } from "./flow-node.js";
import type { Input } from "./input.js";
import { choice, optionalText, session, typedText } from "./properties.js";
import { type SipFields, withoutUndefined } from "./sip-fields.js";

/** The properties that say where a request goes. */
export const scopeProperties = {
  session,
  scope: choice(["auto", "session", "standalone"], "auto"),
  stack: optionalText,
  account: optionalText,
  to: typedText(),
};

export interface ScopeValues {
  readonly session: unknown;
  readonly scope: "auto" | "session" | "standalone";
  readonly stack: string | undefined;
  readonly account: string | undefined;
  readonly to: string | undefined;
}

export function isStandalone({ scope, session: handle, to }: ScopeValues): boolean {
  if (scope !== "auto") return scope === "standalone";
  const isLive = typeof handle === "string" && findCall(handle) !== undefined;
  return !isLive && to !== undefined;
}

/** A `Content-Type` header of the flow replaces the property; empty = no body. @throws `bad-option`. */
export function contentTypeOf(
  property: string | undefined,
  headers: HeaderList,
): { readonly contentType: string | undefined; readonly headers: HeaderList } {
  const isType = ([name]: readonly [string, string]): boolean => /^(content-type|c)$/i.test(name);
  const given = headers.find(isType)?.[1];
  const type = given ?? property;
  return {
    contentType: type === undefined ? undefined : checkedContentType(type),
    headers: given === undefined ? headers : headers.filter((line) => !isType(line)),
  };
}

export interface StandaloneTarget {
  readonly engine: Engine;
  readonly userAgent: UserAgentPort;
  readonly to: string;
}

/** Who sends it and where to. @throws InvalidArgumentError `no-target`, `no-stack`, `no-account`. */
export async function standaloneTarget(
  input: Input,
  { to, stack, account }: ScopeValues,
  missing: string,
): Promise<StandaloneTarget> {
  if (to === undefined) throw misuse("no-target", missing);
  const { session: current } = input.carried;
  // Without a stack of its own, the one of the call that the message came with.
  const stackId = stack ?? (current === undefined ? undefined : findCall(current)?.stackId);
  const engine = engineFor(stackId, account);
  return { engine, userAgent: await engine.ready(), to };
}

/** `msg.sip` of a result outside of any session; the flow goes on in the call that it is in. */
export function standaloneFields(
  input: Input,
  engine: Engine,
  account: string | undefined,
  event: string,
  outcome: ActionOutcome,
): SipFields {
  return withoutUndefined({
    ...outcomeFields(outcome),
    event,
    stack: engine.stackId,
    account,
    session: input.carried.session,
  });
}
