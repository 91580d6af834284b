/**
 * Descriptions in parts: the session's lines and those of each stream (RFC 8866 §5). Streams of one description can so be
 * described by several, and put together again, without any of them understanding the others' lines.
 */
import { MediaError } from "../foundation/index.js";
import { allowed, mirrored, peerDirection } from "./offer-answer.js";
import { isRtpProtocol, parseSdp, SDP_LIMITS } from "./sdp.js";
import type { SdpCodec, SdpDirection } from "./sdp.js";

/** Lines without their ends. */
export interface SdpSections {
  readonly session: readonly string[];
  /** One per m-line, which is the first. */
  readonly media: readonly (readonly string[])[];
}

/** One stream of a description, with what the session's lines say about it. */
export interface SdpStream {
  /** Of the m-line, lower case: `audio` `video` `image` `message` … */
  readonly streamType: string;
  /** 0 = declined. */
  readonly port: number;
  /** As written: `RTP/AVP`, `udptl`, `TCP/MSRP`. */
  readonly protocol: string;
  readonly formats: readonly string[];
  /** Connection address, empty when there is none. */
  readonly address: string;
  /** From the side whose description it is. */
  readonly direction: SdpDirection;
  /** RTP only: formats whose meaning is known. */
  readonly codecs: readonly SdpCodec[];
  /** Its a= lines without `a=`, those of the direction included. */
  readonly attributes: readonly string[];
  /** Its b= lines without `b=`. */
  readonly bandwidth: readonly string[];
  /** a= lines of the session, which count for every stream unless it says otherwise. */
  readonly sessionAttributes: readonly string[];
}

/** What somebody says about a stream of ours. */
export interface SdpStreamDescription {
  /** 1 … 65535; 0 = the stream is declined, or taken back. */
  readonly port: number;
  /** In an answer always the offer's. */
  readonly protocol?: string | undefined;
  /** In an answer default the offer's. */
  readonly formats?: readonly string[] | undefined;
  /** Default: the address of the description. */
  readonly address?: string | undefined;
  /** Without `a=`. */
  readonly attributes?: readonly string[] | undefined;
  /** Without `b=`. */
  readonly bandwidth?: readonly string[] | undefined;
  /** What our side wants; an answer has no more than the offer allows (RFC 3264 §6.1). Default: what the call wants. */
  readonly direction?: SdpDirection | undefined;
}

/** What a section is written for. */
export interface SectionPlace {
  readonly streamType: string;
  /** What the call wants: less than sendrecv is our hold. */
  readonly wanted: SdpDirection;
  /** The offered stream, in an answer. */
  readonly offered?: SdpStream | undefined;
  /** In a later offer: what the protocol and the formats were. */
  readonly previous?: SdpStream | undefined;
}

/** Characters of one section: the streams of one description share what is allowed for all. */
const LONGEST_SECTION = 16_384;
const DIRECTIONS: readonly string[] = ["sendrecv", "sendonly", "recvonly", "inactive"];
const ADDRESS = /^[0-9A-Za-z.:-]{1,255}$/;
const VISIBLE = /^[!-~]{1,256}$/;
const ORIGIN = /^o=(\S+) (\S+) (\d{1,19}) (.+)$/;

/** @throws MediaError rule `bad-sdp`, `statusHint` 400: no description, or one beyond the limits. */
export function readStreams(text: string): readonly SdpStream[] {
  const parsed = parseSdp(text);
  if (!parsed.ok) {
    throw new MediaError(`not a session description: ${parsed.reason}`, {
      rule: "bad-sdp",
      statusHint: 400,
    });
  }
  const { session, media } = splitSdp(text);
  const sessionAttributes = valuesOf(session, "a=");
  return parsed.sdp.media.map((line, index) => ({
    streamType: line.kind,
    port: line.port,
    protocol: line.protocol,
    formats: line.formats,
    address: line.address,
    direction: peerDirection(line),
    codecs: line.codecs,
    attributes: valuesOf(media[index], "a="),
    bandwidth: valuesOf(media[index], "b="),
    sessionAttributes,
  }));
}

/** @param text - One that `readStreams` takes. */
export function splitSdp(text: string): SdpSections {
  const session: string[] = [];
  const media: string[][] = [];
  let lines = session;
  for (const line of text.split(/\r?\n/)) {
    if (line.length === 0) continue;
    if (line.startsWith("m=")) media.push((lines = []));
    lines.push(line);
  }
  return { session, media };
}

export function joinSdp({ session, media }: SdpSections): string {
  return [...session, ...media.flat()].map((line) => `${line}\r\n`).join("");
}

/** The stream in its place with port 0, its formats kept (RFC 3264 §6, §8.2). */
export function declinedSection([line = ""]: readonly string[]): string[] {
  const [kind = "", , protocol = "", ...formats] = line.split(/ +/).filter((field) => field !== "");
  // An m-line needs at least one format (RFC 8866 §9).
  return [[kind, "0", protocol, ...(formats.length > 0 ? formats : ["0"])].join(" ")];
}

export function isDeclined([line = ""]: readonly string[]): boolean {
  return /^m=\S+ +0+(\/\d+)? /.test(line);
}

/**
 * The lines of a stream of ours, port 0 included.
 * @throws MediaError that names what cannot be in a description; nothing of it may be sent.
 */
export function writeSection(fields: SdpStreamDescription, place: SectionPlace): string[] {
  const { streamType, wanted, offered, previous } = place;
  const { port } = fields;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw unfit("the port is no port");
  const protocol = offered?.protocol ?? fields.protocol ?? previous?.protocol ?? "";
  if (fields.protocol !== undefined && fields.protocol !== protocol) {
    throw unfit("an answer keeps the protocol of the offer (RFC 3264 §6)");
  }
  if (!VISIBLE.test(protocol)) throw unfit("there is no protocol");
  const formats = fields.formats ?? offered?.formats ?? previous?.formats ?? [];
  if (formats.length === 0 || !formats.every((format) => VISIBLE.test(format))) {
    throw unfit("there is no format");
  }
  const lines = [`m=${streamType} ${port} ${protocol} ${formats.join(" ")}`];
  if (port === 0) return lines;
  if (fields.address !== undefined) lines.push(connectionLine(fields.address));
  for (const bandwidth of fields.bandwidth ?? []) lines.push(`b=${bandwidth}`);
  const attributes = fields.attributes ?? [];
  if (!attributes.every((text) => typeof text === "string")) throw unfit("an attribute is no text");
  lines.push(...attributes.filter((name) => !DIRECTIONS.includes(name)).map((text) => `a=${text}`));
  const direction = directionOf(fields, protocol, wanted, offered);
  if (direction !== undefined) lines.push(`a=${direction}`);
  check(lines);
  return lines;
}

/** The same stream with another direction. */
export function turnedSection(lines: readonly string[], direction: SdpDirection): string[] {
  const others = lines.filter((line) => !DIRECTIONS.includes(line.slice(2)));
  return others.length === lines.length ? others : [...others, `a=${direction}`];
}

/** The description with this direction for every stream in use. */
export function turnedSdp(text: string, direction: SdpDirection): string {
  const { session, media } = splitSdp(text);
  const turned = media.map((section) => {
    const others = section.filter((line) => !isDirection(line));
    return isDeclined(section) ? others : [...others, `a=${direction}`];
  });
  return joinSdp({ session: session.filter((line) => !isDirection(line)), media: turned });
}

function isDirection(line: string): boolean {
  return line.startsWith("a=") && DIRECTIONS.includes(line.slice(2));
}

export function connectionLine(address: string): string {
  if (!ADDRESS.test(address)) throw unfit("the address is no address");
  return `c=IN IP${address.includes(":") ? 6 : 4} ${address}`;
}

/**
 * The origin of one side's descriptions: user name and session id stay, the version grows by one with each change
 * (RFC 3264 §8), whoever has written the rest.
 */
export class SdpOrigin {
  #last: string | undefined;

  /** `text` as it is to be sent: the same again for the same. @throws MediaError for a text without origin. */
  stamp(text: string): string {
    const last = this.#last;
    const mine = originOf(text);
    if (last === undefined) return (this.#last = text);
    const [, user = "", id = "", version = "0"] = originOf(last);
    const withVersion = (number: string): string =>
      text.replace(mine[0], () => `o=${user} ${id} ${number} ${mine[4] ?? ""}`);
    if (withVersion(version) === last) return last;
    return (this.#last = withVersion(String(BigInt(version) + 1n)));
  }
}

function originOf(text: string): RegExpExecArray {
  for (const line of splitSdp(text).session) {
    const match = ORIGIN.exec(line);
    if (match) return match;
  }
  throw unfit("the description has no origin line");
}

/** Undefined = the section says nothing, which means sendrecv. */
function directionOf(
  fields: SdpStreamDescription,
  protocol: string,
  wanted: SdpDirection,
  offered: SdpStream | undefined,
): SdpDirection | undefined {
  const written = fields.attributes?.find((name): name is SdpDirection =>
    DIRECTIONS.includes(name),
  );
  const own = fields.direction ?? written;
  if (own !== undefined && !DIRECTIONS.includes(own)) throw unfit("the direction is none");
  const most = allowed(
    own ?? wanted,
    offered === undefined ? "sendrecv" : mirrored(offered.direction),
  );
  // Where nobody speaks of directions, as in fax and messages, nothing has to be said.
  const isSilent = own === undefined && !isRtpProtocol(protocol);
  return isSilent && (offered === undefined || offered.direction === "sendrecv") ? undefined : most;
}

function check(lines: readonly string[]): void {
  if (lines.length > SDP_LIMITS.attributesPerMedia) throw unfit("there are too many lines");
  for (const line of lines) {
    if (typeof line !== "string" || hasControl(line))
      throw unfit("a line holds a control character");
  }
  if (lines.join("").length > LONGEST_SECTION) throw unfit("the section is too long");
  const parsed = parseSdp(`v=0\r\n${lines.join("\r\n")}\r\n`);
  if (!parsed.ok) throw unfit(parsed.reason);
}

/** CR, LF and NUL among them: one line stays one line. */
export function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}

function unfit(reason: string): MediaError {
  return new MediaError(`No session description can be made: ${reason}`, {
    rule: "bad-description",
    statusHint: 500,
  });
}

function valuesOf(lines: readonly string[], type: string): string[] {
  return lines.filter((line) => line.startsWith(type)).map((line) => line.slice(type.length));
}
