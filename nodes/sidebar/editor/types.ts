/** What the admin endpoints answer (contract §8). Everything that a peer could have written is only ever shown as text. */

export interface Party {
  readonly uri?: string;
  readonly user?: string;
  readonly host?: string;
  readonly displayName?: string;
}

export interface RtpFacts {
  readonly received: number;
  readonly sent: number;
  readonly lost: number;
  readonly lossPercent: number;
  readonly jitterMs: number;
  readonly roundTripMs?: number;
}

export interface CallSummary {
  readonly session: string;
  readonly stack: string;
  readonly account?: string;
  /** Id of the node that holds the call. */
  readonly node?: string;
  readonly direction: "incoming" | "outgoing";
  readonly state: string;
  readonly local?: Party;
  readonly remote?: Party;
  readonly callId?: string;
  /** ISO 8601, as the others. */
  readonly startTime: string;
  readonly answerTime?: string;
  readonly endTime?: string;
  /** Seconds from answer to end (or now). */
  readonly duration?: number;
  readonly cause?: string;
  readonly statusCode?: number;
  readonly reason?: string;
  readonly hold?: string;
  readonly peer?: string;
  readonly codec?: string;
  readonly rtp?: RtpFacts;
  /** Kept messages; 0 = no trace. */
  readonly messages?: number;
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface LadderMessage {
  readonly index: number;
  /** ISO 8601 with milliseconds. */
  readonly time: string;
  readonly direction: "sent" | "received";
  readonly protocol: string;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly kind: "request" | "response";
  readonly method: string;
  readonly statusCode?: number;
  readonly reason?: string;
  readonly cseq: string;
  readonly branch?: string;
  readonly transaction: number;
  readonly retransmission: boolean;
  readonly hasSdp: boolean;
  readonly bytes: number;
  readonly text: string;
}

export interface CallDetails extends Omit<CallSummary, "messages"> {
  readonly messages: readonly LadderMessage[];
}

export interface Registration {
  readonly state: string;
  /** Granted seconds. */
  readonly expires?: number;
  readonly statusCode?: number;
  readonly reason?: string;
  readonly cause?: string;
  /** Seconds until the next attempt. */
  readonly retryIn?: number;
  /** Seconds until it is renewed. */
  readonly refreshIn?: number;
}

export interface AccountSummary {
  readonly id: string;
  readonly uri: string;
  readonly problem?: string;
  readonly registration?: Registration;
  /** The instance that keeps the registration in our place; "" = not known yet. */
  readonly standby?: string;
}

export interface StackSummary {
  readonly id: string;
  readonly name?: string;
  readonly state: string;
  readonly problem?: string;
  readonly warning?: string;
  /** It takes no new calls; `calls` are left. */
  readonly draining?: boolean;
  readonly calls?: number;
  readonly transports: readonly { protocol: string; address: string; port: number }[];
  readonly accounts: readonly AccountSummary[];
}

export interface CallList {
  readonly revision?: number;
  readonly calls: readonly CallSummary[];
  readonly ended: readonly CallSummary[];
}

export interface Ring {
  readonly ring: string;
  readonly state: "calling" | "ringing" | "talking" | "over";
  readonly cause?: string;
  readonly statusCode?: number;
  readonly duration?: number;
  readonly log?: readonly { readonly time: string; readonly text: string }[];
  readonly messages?: readonly LadderMessage[];
  readonly heard?: { readonly seconds: number; readonly peaks: readonly number[] };
}

/** Says a text of the catalogue; `{name}` in it is replaced by the value. */
export type Translate = (key: string, values?: Readonly<Record<string, string | number>>) => string;
