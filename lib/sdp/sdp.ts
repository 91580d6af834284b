/**
 * A typed view of session descriptions (RFC 8866) over sdp-transform's objects. A description is bounded and
 * checked line by line before sdp-transform sees it, and only the lines that negotiation needs are handed on,
 * so that neither size nor odd attributes of a peer cost time. Writing is direct: our own descriptions have few
 * kinds of lines, and a template engine costs more than the whole negotiation.
 */
import { parse } from "sdp-transform";
import type { SessionDescription } from "sdp-transform";
import { staticPayloadType } from "./static-payload-types.js";

export type SdpDirection = "sendrecv" | "sendonly" | "recvonly" | "inactive";

/** One format of an RTP m-line. */
export interface SdpCodec {
  /** 0–127. */
  readonly payloadType: number;
  /** Encoding name as written, e.g. `PCMU`, `telephone-event`; compared without case. */
  readonly name: string;
  /** Hz. */
  readonly clockRate: number;
  readonly channels: number;
  /** The `a=fmtp` text after the payload type. */
  readonly parameters?: string | undefined;
}

/** One m-line with what applies to it, session-level lines included. */
export interface SdpMedia {
  readonly kind: string;
  /** 0 = rejected or disabled. */
  readonly port: number;
  /** Transport protocol as written, e.g. `RTP/AVP`. */
  readonly protocol: string;
  /** The formats of the m-line as written. */
  readonly formats: readonly string[];
  /** Connection address without TTL; empty when there is no c= line. */
  readonly address: string;
  readonly direction: SdpDirection;
  /** Known codecs in the order of the m-line; empty unless the protocol is RTP. */
  readonly codecs: readonly SdpCodec[];
  /** Milliseconds. */
  readonly ptime?: number | undefined;
  readonly maxPtime?: number | undefined;
  /** RFC 3605. */
  readonly rtcpPort?: number | undefined;
  readonly rtcpAddress?: string | undefined;
  /** RTP and RTCP on one port (RFC 5761). */
  readonly rtcpMux?: boolean | undefined;
  /** The values of the `a=crypto` lines as written (RFC 4568); absent = none. */
  readonly crypto?: readonly string[] | undefined;
}

export interface SdpDescription {
  readonly media: readonly SdpMedia[];
}

export type SdpParseResult =
  | { readonly ok: true; readonly sdp: SdpDescription }
  | { readonly ok: false; readonly reason: string };

/** What a description may hold at most (docs: limits of the parsers). */
export const SDP_LIMITS = {
  /** Characters. */
  length: 65_536,
  lineLength: 8_192,
  media: 32,
  attributesPerMedia: 256,
  formatsPerMedia: 128,
} as const;

const DIRECTIONS: ReadonlySet<string> = new Set(["sendrecv", "sendonly", "recvonly", "inactive"]);
/** Attributes that negotiation reads; all others are skipped before parsing. */
const WANTED_ATTRIBUTES: ReadonlySet<string> = new Set([
  ...DIRECTIONS,
  "rtpmap",
  "fmtp",
  "ptime",
  "maxptime",
  "rtcp",
]);

interface MediaLine {
  readonly kind: string;
  readonly port: number;
  readonly protocol: string;
  readonly formats: string[];
  rtcpMux?: boolean;
  crypto?: string[];
}

/**
 * Reads a description of a peer. Lines may end in CRLF or LF, the last one need not end (RFC 8866 §5 is
 * stricter, real devices are not). Never throws.
 */
export function parseSdp(text: string): SdpParseResult {
  if (text.length > SDP_LIMITS.length) return fail("the description is too long");
  if (text.includes("\0")) return fail("the description holds a NUL");
  const mediaLines: MediaLine[] = [];
  const kept: string[] = [];
  let attributes = 0;
  let position = 0;
  let first = true;
  while (position < text.length) {
    let end = text.indexOf("\n", position);
    if (end < 0) end = text.length;
    const line = text.slice(
      position,
      text.charCodeAt(end - 1) === 13 && end > position ? end - 1 : end,
    );
    position = end + 1;
    if (line.length === 0) continue;
    if (line.length > SDP_LIMITS.lineLength) return fail("a line is too long");
    if (line.includes("\r")) return fail("a carriage return inside a line");
    if (first) {
      if (line !== "v=0") return fail('the first line is not "v=0"');
      first = false;
      continue;
    }
    if (line.charCodeAt(1) !== 61) return fail("a line without type");
    switch (line.charCodeAt(0)) {
      case 109: {
        // m=
        if (mediaLines.length === SDP_LIMITS.media) return fail("too many m-lines");
        const media = parseMediaLine(line);
        if (media === undefined) return fail("a malformed m-line");
        mediaLines.push(media);
        attributes = 0;
        kept.push(line);
        break;
      }
      case 97: {
        // a=
        if (++attributes > SDP_LIMITS.attributesPerMedia) return fail("too many attributes");
        const colon = line.indexOf(":");
        const name = colon < 0 ? line.slice(2).trimEnd() : line.slice(2, colon);
        if (WANTED_ATTRIBUTES.has(name)) kept.push(line);
        else if (name === "crypto" || name === "rtcp-mux")
          takeTransportAttribute(line, name, mediaLines.at(-1));
        break;
      }
      case 99: // c=
        kept.push(line);
        break;
      default:
    }
  }
  if (first) return fail("the description is empty");
  return { ok: true, sdp: view(parse(kept.join("\n")), mediaLines) };
}

/**
 * The text of our description from the `s=` line on. The lines before it hold the version number, which grows
 * only when this text changes (RFC 3264 §8).
 */
export function writeSdpBody(media: readonly SdpMedia[], address: string): string {
  let text = `s=-\r\nc=IN IP${ipVersion(address)} ${address}\r\nt=0 0\r\n`;
  for (const line of media) {
    text += `m=${line.kind} ${line.port} ${line.protocol} ${line.formats.join(" ")}\r\n`;
    if (line.port === 0) continue;
    for (const codec of line.codecs) {
      const channels = codec.channels === 1 ? "" : `/${codec.channels}`;
      text += `a=rtpmap:${codec.payloadType} ${codec.name}/${codec.clockRate}${channels}\r\n`;
      if (codec.parameters !== undefined) {
        text += `a=fmtp:${codec.payloadType} ${codec.parameters}\r\n`;
      }
    }
    if (line.ptime !== undefined) text += `a=ptime:${line.ptime}\r\n`;
    if (line.rtcpMux === true) text += "a=rtcp-mux\r\n";
    for (const value of line.crypto ?? []) text += `a=crypto:${value}\r\n`;
    text += `a=${line.direction}\r\n`;
  }
  return text;
}

/** Puts the `v=` and `o=` lines before a body of `writeSdpBody`. */
export function composeSdp(
  origin: { readonly sessionId: string; readonly version: number; readonly address: string },
  body: string,
): string {
  return `v=0\r\no=- ${origin.sessionId} ${origin.version} IN IP${ipVersion(origin.address)} ${origin.address}\r\n${body}`;
}

/** True for protocols whose formats are RTP payload types. */
export function isRtpProtocol(protocol: string): boolean {
  return protocol.includes("RTP/");
}

/** A decimal number of at most nine digits, or undefined: never "1e9", "0x10", "-1". */
export function decimal(text: string): number | undefined {
  if (text.length === 0 || text.length > 9) return undefined;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}

function fail(reason: string): SdpParseResult {
  return { ok: false, reason };
}

function ipVersion(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

/** `m=<media> <port>[/<number>] <protocol> <format> …`, RFC 8866 §5.14. */
function parseMediaLine(line: string): MediaLine | undefined {
  const fields = line
    .slice(2)
    .split(" ")
    .filter((field) => field.length > 0);
  const [kind, portField, protocol] = fields;
  if (kind === undefined || portField === undefined || protocol === undefined) return undefined;
  if (!fields.every(isVisible)) return undefined;
  const slash = portField.indexOf("/");
  const port = decimal(slash < 0 ? portField : portField.slice(0, slash));
  if (port === undefined || port > 65_535) return undefined;
  const formats = fields.slice(3);
  if (formats.length > SDP_LIMITS.formatsPerMedia) return undefined;
  if (isRtpProtocol(protocol)) {
    for (const format of formats) {
      const payloadType = decimal(format);
      if (payloadType === undefined || payloadType > 127) return undefined;
    }
  }
  return { kind: kind.toLowerCase(), port, protocol, formats };
}

/**
 * What says how packets travel. Read here and not by sdp-transform, which reads one session parameter of a crypto line
 * and would hide a second one that changes the packets.
 */
function takeTransportAttribute(line: string, name: string, media: MediaLine | undefined): void {
  // Both have a meaning for one stream only.
  if (media === undefined) return;
  if (name === "rtcp-mux") media.rtcpMux = true;
  else (media.crypto ??= []).push(line.slice("a=crypto:".length));
}

function view(parsed: SessionDescription, mediaLines: readonly MediaLine[]): SdpDescription {
  const sessionAddress = connectionAddress(parsed.connection);
  const sessionDirection = parsed.direction;
  return {
    media: mediaLines.map((line, index): SdpMedia => {
      const media = parsed.media[index];
      const rtcpPort = media?.rtcp?.port;
      return {
        ...line,
        address: connectionAddress(media?.connection) || sessionAddress,
        direction: media?.direction ?? sessionDirection ?? "sendrecv",
        codecs: isRtpProtocol(line.protocol) ? codecsOf(line.formats, media) : [],
        ptime: milliseconds(media?.ptime),
        maxPtime: milliseconds(media?.maxptime),
        rtcpPort: isPort(rtcpPort) ? rtcpPort : undefined,
        rtcpAddress: media?.rtcp?.address,
      };
    }),
  };
}

/** The address of a c= line without TTL and count (`224.2.1.1/127/3`). */
function connectionAddress(connection: { ip?: string } | undefined): string {
  const ip = connection?.ip;
  if (typeof ip !== "string") return "";
  const slash = ip.indexOf("/");
  return slash < 0 ? ip : ip.slice(0, slash);
}

function codecsOf(
  formats: readonly string[],
  media: SessionDescription["media"][number] | undefined,
): SdpCodec[] {
  const codecs: SdpCodec[] = [];
  for (const format of formats) {
    const payloadType = Number(format);
    const map = media?.rtp.find((entry) => entry.payload === payloadType);
    const parameters = media?.fmtp.find((entry) => entry.payload === payloadType)?.config;
    if (map === undefined) {
      const known = staticPayloadType(payloadType);
      if (known) codecs.push({ payloadType, ...known, parameters: optionalText(parameters) });
    } else if (typeof map.codec === "string" && isClockRate(map.rate)) {
      codecs.push({
        payloadType,
        name: map.codec,
        clockRate: map.rate,
        channels: map.encoding === undefined ? 1 : Number(map.encoding),
        parameters: optionalText(parameters),
      });
    }
  }
  return codecs;
}

/** Printable ASCII without space: what may be repeated in an answer. */
function isVisible(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x21 || code > 0x7e) return false;
  }
  return true;
}

/** sdp-transform turns a text of digits alone into a number. */
function optionalText(value: string | number | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}

function isClockRate(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value <= 1_000_000;
}

function isPort(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value <= 65_535;
}

/** sdp-transform gives integers as numbers and anything else as text. */
function milliseconds(value: unknown): number | undefined {
  const number = typeof value === "string" ? Number(value) : value;
  return typeof number === "number" && number > 0 && number <= 1_000 ? number : undefined;
}
