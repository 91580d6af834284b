/**
 * What a registrar's 2xx says about the flow and about names for us: outbound accepted, Flow-Timer (RFC 5626 §4.2,
 * §4.4) and GRUUs (RFC 5627 §4.2).
 */
import { parseUri, SipUri, type NameAddr, type SipResponse } from "../message/index.js";
import type { KeepAlive } from "../transport/transport.js";
import { findBinding } from "./contact-binding.js";

/** Keep-alives are looked at every two seconds: asked for that much earlier, they are not late. */
const KEEP_ALIVE_SLACK_MS = 2_000;
const SHORTEST_KEEP_ALIVE_MS = 5_000;
/** A registrar that names a longer time does not mean keep-alives. */
const LONGEST_FLOW_TIMER_S = 3_600;

export interface OutboundFacts {
  /** The 2xx had `Require: outbound`: the registrar reaches us over the flow of the REGISTER. */
  readonly accepted: boolean;
  /** Seconds after which the server counts a silent flow as dead. */
  readonly flowTimer: number | undefined;
  /** A name of this instance that anybody can dial, as long as we are registered. */
  readonly publicGruu: SipUri | undefined;
}

/** @param contact - the one that we registered. */
export function outboundFacts(response: SipResponse, contact: NameAddr | undefined): OutboundFacts {
  const flowTimer = response.seconds("flow-timer");
  const usable = flowTimer !== undefined && flowTimer > 0 && flowTimer <= LONGEST_FLOW_TIMER_S;
  const binding = contact === undefined ? undefined : findBinding(response.contacts, contact);
  return {
    accepted: response.tokens("require").includes("outbound"),
    flowTimer: usable ? flowTimer : undefined,
    publicGruu: gruuOf(binding?.parameters.get("pub-gruu")),
  };
}

/** How the flow of a registration is kept up (RFC 5626 §4.4.1). */
export function keepAliveOf(facts: OutboundFacts): KeepAlive {
  const { flowTimer, accepted } = facts;
  const intervalMs =
    flowTimer === undefined
      ? undefined
      : Math.max(flowTimer * 1000 - KEEP_ALIVE_SLACK_MS, SHORTEST_KEEP_ALIVE_MS);
  return { intervalMs, pongExpected: accepted };
}

function gruuOf(text: string | null | undefined): SipUri | undefined {
  const uri = typeof text === "string" ? parseUri(text) : undefined;
  if (!(uri instanceof SipUri) || !uri.parameters.has("gr")) return undefined;
  return uri.with({ headers: new Map() });
}
