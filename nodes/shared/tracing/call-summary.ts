/** One call as the sidebar lists it (`GET sip/calls`), live or over. */
import type { MediaStatistics, SessionSnapshot } from "../../../lib/index.js";
import { withoutUndefined } from "../sip-fields.js";

export interface RtpSummary {
  /** Packets. */
  readonly received: number;
  readonly sent: number;
  readonly lost: number;
  readonly lossPercent: number;
  readonly jitterMs: number;
  readonly roundTripMs?: number;
}

export interface CallSummary {
  readonly session: string;
  /** Ids of nodes. */
  readonly stack: string;
  readonly account?: string;
  readonly node?: string;
  readonly direction: "incoming" | "outgoing";
  readonly state: string;
  readonly local: SessionSnapshot["local"];
  readonly remote: SessionSnapshot["remote"];
  readonly callId: string;
  /** ISO 8601. */
  readonly startTime: string;
  readonly answerTime?: string;
  readonly endTime?: string;
  /** Seconds since the answer. */
  readonly duration?: number;
  readonly cause?: string;
  /** Of the last answer, where that is what ended the call. */
  readonly statusCode?: number;
  readonly reason?: string;
  readonly hold?: string;
  /** Handle of the other leg of a bridge. */
  readonly peer?: string;
  /** `opus`, `PCMU` … */
  readonly codec?: string;
  /** Cipher suite, where the sound is encrypted. */
  readonly srtp?: string;
  readonly rtp?: RtpSummary;
  /** SIP messages that are kept; 0 = no trace. */
  readonly messages: number;
}

export interface CallFacts {
  readonly stack: string;
  readonly node: string | undefined;
  readonly peer: string | undefined;
  readonly statusCode: number | undefined;
  readonly reason: string | undefined;
  readonly statistics: MediaStatistics | undefined;
  readonly messages: number;
}

export function callSummary(snapshot: SessionSnapshot, facts: CallFacts): CallSummary {
  const audio = snapshot.media?.find(({ kind }) => kind === "audio") ?? snapshot.media?.[0];
  const { session, account, direction, state, local, remote, callId, startTime } = snapshot;
  const { answerTime, endTime, duration, cause, hold } = snapshot;
  return withoutUndefined({
    session,
    stack: facts.stack,
    account,
    node: facts.node,
    direction,
    state,
    local,
    remote,
    callId,
    startTime,
    answerTime,
    endTime,
    duration,
    cause,
    statusCode: facts.statusCode,
    reason: facts.reason,
    hold: hold === "none" ? undefined : hold,
    peer: facts.peer,
    codec: audio?.codec,
    srtp: audio?.srtp,
    rtp: facts.statistics === undefined ? undefined : rtpSummary(facts.statistics),
    messages: facts.messages,
  });
}

function rtpSummary(statistics: MediaStatistics): RtpSummary {
  const { packetsReceived, packetsSent, packetsLost, jitter, roundTrip } = statistics;
  const expected = packetsReceived + packetsLost;
  return withoutUndefined({
    received: packetsReceived,
    sent: packetsSent,
    lost: packetsLost,
    lossPercent: expected === 0 ? 0 : rounded((100 * packetsLost) / expected),
    jitterMs: rounded(jitter),
    roundTripMs: roundTrip === undefined ? undefined : rounded(roundTrip),
  });
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
