/** The `sip-incoming` nodes and the one that a call belongs to (contract §4.5 "Which sip-incoming"). */
import type { Session } from "../../lib/index.js";
import { type Pattern, patternGaveUp, patternMatches, patternRank } from "./patterns.js";

export interface IncomingRule {
  readonly nodeId: string;
  readonly stackId: string;
  readonly accountId: string | undefined;
  /** The called user. */
  readonly match: Pattern | undefined;
  /** The caller: `user` or `user@host`. */
  readonly from: Pattern | undefined;
  /** 180 at once. */
  readonly ring: boolean;
  /** Milliseconds, 0 = never. */
  readonly answerTimeout: number;
  /** Called when one of its patterns took too long too often, so that it fits nothing any more. */
  readonly onGivenUp?: ((pattern: string) => void) | undefined;
}

const rules = new Map<string, IncomingRule>();

export function addIncomingNode(rule: IncomingRule): void {
  rules.set(rule.nodeId, rule);
}

export function removeIncomingNode(rule: IncomingRule): void {
  if (rules.get(rule.nodeId) === rule) rules.delete(rule.nodeId);
}

export function findIncomingNode(nodeId: string): IncomingRule | undefined {
  return rules.get(nodeId);
}

/** The most specific rule that fits, or undefined. @param called - the user or number that is called. */
export function chooseIncoming(
  stackId: string,
  session: Session,
  called: string,
): IncomingRule | undefined {
  const { remote } = session.snapshot();
  const callers = [remote.user, `${remote.user}@${remote.host}`];
  let best: IncomingRule | undefined;
  for (const rule of rules.values()) {
    if (rule.stackId !== stackId) continue;
    if (rule.accountId !== undefined && rule.accountId !== session.accountId) continue;
    if (!fits(rule, rule.match, [called]) || !fits(rule, rule.from, callers)) continue;
    if (best === undefined || compareRules(rule, best) < 0) best = rule;
  }
  return best;
}

function fits(rule: IncomingRule, pattern: Pattern | undefined, texts: readonly string[]): boolean {
  if (patternMatches(pattern, texts)) return true;
  if (pattern !== undefined && patternGaveUp(pattern)) rule.onGivenUp?.(pattern.source);
  return false;
}

/** Negative when `a` is more specific. */
export function compareRules(a: IncomingRule, b: IncomingRule): number {
  const account = Number(b.accountId !== undefined) - Number(a.accountId !== undefined);
  if (account !== 0) return account;
  const match = patternRank(a.match) - patternRank(b.match);
  if (match !== 0) return match;
  const from = patternRank(a.from) - patternRank(b.from);
  if (from !== 0) return from;
  const length = lengthOf(b.match) - lengthOf(a.match) || lengthOf(b.from) - lengthOf(a.from);
  if (length !== 0) return length;
  return a.nodeId < b.nodeId ? -1 : 1;
}

function lengthOf(pattern: Pattern | undefined): number {
  return pattern?.source.length ?? 0;
}
