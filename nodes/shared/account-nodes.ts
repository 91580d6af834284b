/** The `sip-account` nodes that exist and the stack each belongs to. */

const stackOfAccount = new Map<string, string>();

export function addAccountNode(accountId: string, stackId: string): void {
  stackOfAccount.set(accountId, stackId);
}

export function removeAccountNode(accountId: string): void {
  stackOfAccount.delete(accountId);
}

/** Undefined when there is no such account (deleted, disabled, or without a stack). */
export function stackIdOfAccount(accountId: string): string | undefined {
  return stackOfAccount.get(accountId);
}
