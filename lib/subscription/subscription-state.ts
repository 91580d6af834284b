/** Subscription-State of a NOTIFY (RFC 6665 §8.2.3). */
import { parseParameters } from "../message/index.js";

export interface SubscriptionState {
  /** `active`, `pending`, `terminated` or an extension, lower-case. */
  readonly state: string;
  /** Seconds until it ends. */
  readonly expires: number | undefined;
  /** Of `terminated`: `noresource`, `timeout`, `deactivated` … */
  readonly reason: string | undefined;
}

/** @returns undefined when absent or empty. */
export function parseSubscriptionState(value: string | undefined): SubscriptionState | undefined {
  if (value === undefined) return undefined;
  const semicolon = value.indexOf(";");
  const state = (semicolon < 0 ? value : value.slice(0, semicolon)).trim().toLowerCase();
  if (state === "") return undefined;
  const parameters = semicolon < 0 ? undefined : parseParameters(value.slice(semicolon));
  const expires = parameters?.get("expires") ?? "";
  return {
    state,
    expires: /^\d{1,10}$/.test(expires) ? Number(expires) : undefined,
    reason: parameters?.get("reason") ?? undefined,
  };
}

export function formatSubscriptionState(state: SubscriptionState): string {
  let text = state.state;
  if (state.expires !== undefined) text += `;expires=${state.expires}`;
  if (state.reason !== undefined) text += `;reason=${state.reason}`;
  return text;
}
