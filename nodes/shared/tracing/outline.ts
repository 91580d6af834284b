/**
 * What a ladder needs to know of a message, read from its text as it is: also of one that the parser would refuse
 * (RFC 3261 §7, compact forms §7.3.3).
 */

export interface Outline {
  readonly kind: "request" | "response";
  /** Of CSeq; of the request line where there is no CSeq. */
  readonly method: string;
  readonly statusCode: number | undefined;
  readonly reason: string | undefined;
  readonly cseq: string;
  readonly callId: string;
  readonly branch: string | undefined;
  readonly fromTag: string;
  readonly toTag: string;
  readonly hasSdp: boolean;
}

/** Longest part of a line that is looked at, and longest value that is kept. */
const LONGEST_LINE = 2000;
export const LONGEST_VALUE = 256;
/** Bytes in which a Call-ID is looked for, when nothing else is read. */
const LONGEST_LOOK = 4096;
const STATUS_LINE = /^SIP\/\d\.\d[ \t]+(\d{3})(?:[ \t]+(.*))?$/i;

/** Of a message as it is on the wire, quickly: "" when its first part names none. */
export function callIdOf(data: string | Uint8Array): string {
  const text =
    typeof data === "string"
      ? data.slice(0, LONGEST_LOOK)
      : Buffer.from(
          data.buffer,
          data.byteOffset,
          Math.min(data.byteLength, LONGEST_LOOK),
        ).toString();
  const value = /^(?:call-id|i)[ \t]*:[ \t]*(\S+)/im.exec(text)?.[1] ?? "";
  return value.slice(0, LONGEST_VALUE);
}

/** @param head - Start line and header lines. */
export function outlineOf(head: string): Outline {
  const lines = head.split("\n");
  const first = (lines[0] ?? "").slice(0, LONGEST_LINE).trim();
  const status = STATUS_LINE.exec(first);
  let callId = "";
  let cseq = "";
  let via: string | undefined;
  let from = "";
  let to = "";
  let contentType = "";
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(":");
    if (colon < 1 || colon > 24) continue;
    const value = line.slice(colon + 1, colon + LONGEST_LINE).trim();
    switch (line.slice(0, colon).trim().toLowerCase()) {
      case "call-id":
      case "i":
        callId ||= value;
        break;
      case "cseq":
        cseq ||= value;
        break;
      case "via":
      case "v":
        via ??= value;
        break;
      case "from":
      case "f":
        from ||= value;
        break;
      case "to":
      case "t":
        to ||= value;
        break;
      case "content-type":
      case "c":
        contentType ||= value;
        break;
    }
  }
  const method =
    /^\d+[ \t]+([^\s]+)/.exec(cseq)?.[1] ?? (status ? "" : (/^\S+/.exec(first)?.[0] ?? ""));
  return {
    kind: status === null ? "request" : "response",
    method: method.slice(0, 32),
    statusCode: status === null ? undefined : Number(status[1]),
    reason: status?.[2]?.slice(0, LONGEST_VALUE),
    cseq: cseq.slice(0, 64),
    callId: callId.slice(0, LONGEST_VALUE),
    branch: parameter(via?.split(",", 1)[0], "branch"),
    fromTag: parameter(from, "tag") ?? "",
    toTag: parameter(to, "tag") ?? "",
    hasSdp: /^(?:application\/sdp|multipart\/)/i.test(contentType),
  };
}

/** The last one of that name: a display name in quotes may pretend to have one. */
function parameter(value: string | undefined, name: string): string | undefined {
  if (value === undefined) return undefined;
  const afterAddress = value.slice(value.lastIndexOf(">") + 1);
  const match = new RegExp(`;[ \\t]*${name}[ \\t]*=[ \\t]*([^;,\\s]+)`, "i").exec(afterAddress);
  return match?.[1].slice(0, LONGEST_VALUE);
}
