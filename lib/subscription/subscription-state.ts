/** Subscription-State of a NOTIFY (RFC 6665 §8.2.3). */
import { parseParameters } from "../message/index.js";

export interface SubscriptionState {
  /** `active`, `pending`, `terminated` or an extension, lower-case. */
  readonly state: string;
  /** Seconds until it ends. */
  readonly expires: number | undefined;
  /** Of `terminated`: `noresource`, `timeout`, `deactivated` … */
  readonly reason: string | undefined;
  /** Of `terminated`: seconds to wait before subscribing again. */
  readonly retryAfter?: number | undefined;
}

/** @returns undefined when absent or empty. */
export function parseSubscriptionState(value: string | undefined): SubscriptionState | undefined {
  if (value === undefined) return undefined;
  const semicolon = value.indexOf(";");
  const state = (semicolon < 0 ? value : value.slice(0, semicolon)).trim().toLowerCase();
  if (state === "") return undefined;
  const parameters = semicolon < 0 ? undefined : parseParameters(value.slice(semicolon));
  const retryAfter = seconds(parameters?.get("retry-after"));
  return {
    state,
    expires: seconds(parameters?.get("expires")),
    reason: parameters?.get("reason") ?? undefined,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
}

function seconds(text: string | null | undefined): number | undefined {
  return typeof text === "string" && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

export function formatSubscriptionState(state: SubscriptionState): string {
  let text = state.state;
  if (state.expires !== undefined) text += `;expires=${state.expires}`;
  if (state.reason !== undefined) text += `;reason=${state.reason}`;
  if (state.retryAfter !== undefined) text += `;retry-after=${state.retryAfter}`;
  return text;
}
