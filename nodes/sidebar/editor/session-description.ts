/** What an SDP (RFC 8866) says, for people: per stream the codecs, where sound is wanted, which way, encrypted or not. */
import type { LadderMessage } from "./types.js";
import { partsOf } from "./message-parts.js";

export interface StreamWords {
  /** "audio", "video" … */
  readonly kind: string;
  readonly address: string;
  /** 0 = refused. */
  readonly port: number;
  readonly direction: "sendrecv" | "sendonly" | "recvonly" | "inactive";
  readonly codecs: readonly string[];
  /** Digits as telephone-event (RFC 4733). */
  readonly digits: boolean;
  /** SDES or DTLS keys, or a secure profile. */
  readonly encrypted: boolean;
  readonly candidates: number;
}

/** RFC 3551 §6: payload types that need no rtpmap. */
const STATIC_CODECS: Readonly<Record<string, string>> = {
  "0": "PCMU/8000",
  "3": "GSM/8000",
  "4": "G723/8000",
  "8": "PCMA/8000",
  "9": "G722/8000",
  "13": "CN/8000",
  "18": "G729/8000",
};
const DIRECTIONS = ["sendrecv", "sendonly", "recvonly", "inactive"] as const;

interface Draft {
  stream: { -readonly [K in keyof StreamWords]: StreamWords[K] };
  formats: string[];
  names: Map<string, string>;
}

export function readDescription(sdp: string): StreamWords[] {
  const drafts: Draft[] = [];
  // Of the whole session; a stream may say otherwise.
  const session = {
    address: "",
    direction: "sendrecv" as StreamWords["direction"],
    encrypted: false,
  };
  for (const line of sdp.split(/\r?\n/)) {
    const value = line.slice(2).trim();
    const draft = drafts.at(-1);
    if (line.startsWith("m=")) {
      const [kind = "", port = "", profile = "", ...formats] = value.split(/\s+/);
      const stream = {
        ...session,
        kind,
        port: Number.parseInt(port, 10) || 0,
        codecs: [],
        digits: false,
        encrypted: session.encrypted || /SAVP/i.test(profile),
        candidates: 0,
      };
      drafts.push({ stream, formats, names: new Map() });
    } else if (line.startsWith("c=")) {
      (draft?.stream ?? session).address = (value.split(/\s+/)[2] ?? "").split("/")[0] ?? "";
    } else if (line.startsWith("a=")) {
      readAttribute(value, draft?.stream ?? session);
      if (draft === undefined) continue;
      if (/^candidate:/i.test(value)) draft.stream.candidates++;
      const map = /^rtpmap:(\d+)\s+(\S+)/i.exec(value);
      if (map !== null) draft.names.set(map[1] ?? "", map[2] ?? "");
    }
  }
  return drafts.map(({ stream, formats, names }) => {
    const codecs = formats.map((format) => names.get(format) ?? STATIC_CODECS[format] ?? format);
    return {
      ...stream,
      codecs: codecs.filter((codec) => !/^(telephone-event|CN)\//i.test(codec)),
      digits: codecs.some((codec) => /^telephone-event\//i.test(codec)),
    };
  });
}

function readAttribute(
  value: string,
  target: { direction: StreamWords["direction"]; encrypted: boolean },
): void {
  const direction = DIRECTIONS.find((each) => each === value);
  if (direction !== undefined) target.direction = direction;
  if (/^(crypto|fingerprint):/i.test(value)) target.encrypted = true;
}

export interface Exchange {
  readonly offer: LadderMessage;
  readonly answer: LadderMessage | undefined;
}

const numberOf = (message: LadderMessage): string => message.cseq.trim().split(/\s+/)[0] ?? "";
const isSender = (a: LadderMessage, b: LadderMessage): boolean => a.direction === b.direction;

/**
 * Offer and answer (RFC 3264, RFC 6337) to which a message with SDP belongs: within one CSeq number of one side the first
 * SDP is the offer, the last one of the other side the answer. Undefined when the message has no SDP.
 */
export function exchangeOf(
  messages: readonly LadderMessage[],
  message: LadderMessage,
): Exchange | undefined {
  if (!message.hasSdp) return undefined;
  // A request and its responses go in opposite directions; the one who sent the request numbers it.
  const asker = (each: LadderMessage): string =>
    `${numberOf(each)} ${(each.direction === "sent") === (each.kind === "request")}`;
  const group = messages.filter((each) => each.hasSdp && asker(each) === asker(message));
  const offer = group[0] ?? message;
  const answers = group.filter((each) => !isSender(each, offer));
  // The same answer comes in 183 and 200; the one that was clicked is shown.
  const answer = answers.find((each) => each.index === message.index) ?? answers.at(-1);
  return { offer, answer };
}

/** The SDP of a message: its body, or the part of a multipart body. */
export function descriptionIn(message: LadderMessage): string {
  const { headers, body } = partsOf(message.text);
  const type = headers.find(({ name }) => name.toLowerCase() === "content-type")?.value ?? "";
  if (!/^multipart\//i.test(type)) return body;
  const start = /(?:^|\n)v=0/.exec(body);
  return start === null
    ? ""
    : (body
        .slice(start.index)
        .trim()
        .split(/\r?\n--/)[0] ?? "");
}
