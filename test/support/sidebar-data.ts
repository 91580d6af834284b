/** Calls and messages as the admin endpoints tell them, for the tests of the sidebar. */
import type { CallSummary, LadderMessage } from "../../nodes/sidebar/editor/types.js";

export const START = Date.parse("2026-03-01T10:00:00.000Z");

export interface MessageOptions {
  /** Milliseconds after START. */
  readonly at: number;
  readonly sent?: boolean;
  readonly method: string;
  /** Absent = a request. */
  readonly status?: readonly [number, string];
  readonly cseq?: number;
  readonly branch?: string;
  readonly transaction?: number;
  readonly retransmission?: boolean;
  readonly remote?: string;
  readonly sdp?: string;
  /** Further header lines. */
  readonly headers?: readonly string[];
}

export const SDP_OFFER = [
  "v=0",
  "o=alice 1 1 IN IP4 10.1.2.3",
  "s=Alice's phone",
  "c=IN IP4 10.1.2.3",
  "t=0 0",
  "m=audio 4000 RTP/AVP 9 0 101",
  "a=rtpmap:9 G722/8000",
  "a=rtpmap:101 telephone-event/8000",
  "a=sendrecv",
  "",
].join("\r\n");
export const SDP_ANSWER = SDP_OFFER.replace("RTP/AVP 9 0 101", "RTP/AVP 0")
  .replace("4000", "10010")
  .replaceAll("10.1.2.3", "10.1.2.9")
  .replace("sendrecv", "recvonly");

/** Messages of one leg, numbered in their order. */
export function messages(list: readonly MessageOptions[]): LadderMessage[] {
  return list.map((options, index) => {
    const { at, sent = false, method, status, cseq = 1, sdp = "", remote = "10.1.2.3" } = options;
    const branch = options.branch ?? `z9hG4bK-${method}-${cseq}`;
    const text = [
      status ? `SIP/2.0 ${status[0]} ${status[1]}` : `${method} sip:bell@10.1.2.9 SIP/2.0`,
      `Via: SIP/2.0/UDP ${remote}:5060;branch=${branch}`,
      'From: "Alice Liddell" <sip:alice.liddell@wonderland.lan>;tag=a1',
      "To: <sip:bell@10.1.2.9>;tag=b2",
      `Call-ID: 4711@${remote}`,
      `CSeq: ${cseq} ${method}`,
      ...(options.headers ?? []),
      ...(sdp ? ["Content-Type: application/sdp"] : []),
      `Content-Length: ${sdp.length}`,
      "",
      sdp,
    ].join("\r\n");
    return {
      index,
      time: new Date(START + at).toISOString(),
      direction: sent ? "sent" : "received",
      protocol: "udp",
      local: { address: "10.1.2.9", port: 5060 },
      remote: { address: remote, port: 5060 },
      kind: status ? "response" : "request",
      method,
      ...(status ? { statusCode: status[0], reason: status[1] } : {}),
      cseq: `${cseq} ${method}`,
      branch,
      transaction: options.transaction ?? cseq,
      retransmission: options.retransmission ?? false,
      hasSdp: sdp !== "",
      bytes: text.length,
      text,
    };
  });
}

/** Alice calls us, rings, talks, hangs up; our 180 was sent twice. */
export const incomingStory = (): LadderMessage[] =>
  messages([
    { at: 0, method: "INVITE", sdp: SDP_OFFER },
    { at: 2, sent: true, method: "INVITE", status: [100, "Trying"] },
    { at: 10, sent: true, method: "INVITE", status: [180, "Ringing"] },
    { at: 700, sent: true, method: "INVITE", status: [180, "Ringing"], retransmission: true },
    { at: 4200, sent: true, method: "INVITE", status: [200, "OK"], sdp: SDP_ANSWER },
    { at: 4230, method: "ACK", branch: "z9hG4bK-ack", transaction: 2 },
    { at: 64_000, method: "BYE", cseq: 2, transaction: 3 },
    { at: 64_003, sent: true, method: "BYE", cseq: 2, transaction: 3, status: [200, "OK"] },
  ]);

/** We call the door of the house on behalf of Alice. */
export const outgoingStory = (): LadderMessage[] =>
  messages([
    { at: 5, sent: true, method: "INVITE", sdp: SDP_OFFER, remote: "10.1.2.20" },
    { at: 8, method: "INVITE", status: [180, "Ringing"], remote: "10.1.2.20" },
    { at: 4100, method: "INVITE", status: [200, "OK"], sdp: SDP_ANSWER, remote: "10.1.2.20" },
    {
      at: 4110,
      sent: true,
      method: "ACK",
      branch: "z9hG4bK-a",
      transaction: 2,
      remote: "10.1.2.20",
    },
    { at: 64_010, sent: true, method: "BYE", cseq: 2, transaction: 3, remote: "10.1.2.20" },
    {
      at: 64_020,
      method: "BYE",
      cseq: 2,
      transaction: 3,
      status: [200, "OK"],
      remote: "10.1.2.20",
    },
  ]);

export function callSummary(session: string, properties: Partial<CallSummary> = {}): CallSummary {
  return {
    session,
    stack: "s",
    direction: "incoming",
    state: "established",
    local: { uri: "sip:bell@10.1.2.9", user: "bell", host: "10.1.2.9" },
    remote: { uri: "sip:alice@wonderland.lan", user: "alice", host: "wonderland.lan" },
    startTime: new Date(START).toISOString(),
    answerTime: new Date(START + 4200).toISOString(),
    messages: 8,
    ...properties,
  };
}
