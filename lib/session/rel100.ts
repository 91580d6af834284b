/**
 * Whether provisional responses to an INVITE travel reliably, and the headers that say so: `100rel` in Supported and
 * Require, RSeq, RAck (RFC 3262 §3, §4, §7).
 */
import type { SipRequest, SipResponse } from "../message/index.js";
import type { HeaderList } from "./session-types.js";

/** `none`: never; `supported`: where both sides can; `required`: no call without it. */
export type Rel100 = "none" | "supported" | "required";

const OPTION = "100rel";
/** §7.1. */
const LARGEST_RSEQ = 0xffff_ffff;
/** §7.2: response number, CSeq number and method of the request that it answers. */
const RACK = /^(\d{1,10})[ \t]+(\d{1,10})[ \t]+([!%'*+\-.0-9A-Z_`a-z~]+)$/;

export interface RAck {
  readonly responseNumber: number;
  readonly sequence: number;
  readonly method: string;
}

/** The value of a RAck header. @returns undefined when malformed. */
export function parseRAck(text: string | undefined): RAck | undefined {
  const match = RACK.exec(text ?? "");
  if (match === null) return undefined;
  const responseNumber = Number(match[1]);
  const sequence = Number(match[2]);
  if (responseNumber > LARGEST_RSEQ || sequence > LARGEST_RSEQ) return undefined;
  return { responseNumber, sequence, method: match[3] };
}

/** RSeq of a provisional response that was sent reliably; undefined when it was not, or its RSeq cannot be read. */
export function reliableNumber(response: SipResponse): number | undefined {
  const { statusCode } = response;
  if (statusCode <= 100 || statusCode >= 200 || response.to.tag === undefined) return undefined;
  if (!response.tokens("require").includes(OPTION)) return undefined;
  const text = response.headers.get("rseq") ?? "";
  const number = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  return number >= 1 && number <= LARGEST_RSEQ ? number : undefined;
}

/** Must provisional responses to this INVITE be reliable, may they be, or not (§3)? */
export function callerWants(invite: SipRequest): Rel100 {
  if (invite.tokens("require").includes(OPTION)) return "required";
  return invite.tokens("supported").includes(OPTION) ? "supported" : "none";
}

/** The stack's headers of an INVITE of ours, with what this call says about reliable responses (§4). */
export function withRel100(headers: HeaderList, rel100: Rel100): HeaderList {
  let offered = rel100 === "none";
  const result: (readonly [string, string])[] = [];
  for (const header of headers) {
    const [name, value] = header;
    if (name.toLowerCase() !== "supported") {
      result.push(header);
      continue;
    }
    const options = tokensOf(value).filter((option) => option !== OPTION);
    if (!offered) options.push(OPTION);
    offered = true;
    if (options.length > 0) result.push([name, options.join(", ")]);
  }
  if (!offered) result.push(["Supported", OPTION]);
  return result;
}

/** The Require line of a call that must have them. */
export function requireRel100(rel100: Rel100): HeaderList {
  return rel100 === "required" ? [["Require", OPTION]] : [];
}

function tokensOf(value: string): string[] {
  return value
    .split(",")
    .map((token) => token.trim())
    .filter((token) => token !== "");
}
