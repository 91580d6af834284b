/** The user agent of a test call: one way out, one account, sound on the loopback. */
import {
  type DescriptionModifier,
  type Logger,
  SipUri,
  type TransportOptions,
  type UserAgentOptions,
} from "../../../lib/index.js";
import { environment } from "../environment.js";
import { misuse } from "../errors.js";
import type { RingRequest } from "./ring-request.js";
import { addressParts, bracketed, hostPort, type Way } from "./way.js";

export const CALLER_ACCOUNT = "caller";
/** Away from the default range of the stacks. */
const RTP_MIN = 30_000;
const RTP_MAX = 32_000;
const CODECS = ["opus", "G722", "PCMU", "PCMA"];

export function callerOptions(way: Way, logger: Logger): UserAgentOptions {
  return {
    transports: [transportOf(way)],
    userAgent: "ring-my-flow",
    // It says for itself what it supports, so that it works with every stack.
    rel100: "supported",
    mediaHandler: environment().createMediaHandler({
      address: undefined,
      advertise: undefined,
      portMin: RTP_MIN,
      portMax: RTP_MAX,
      codecs: CODECS,
      srtp: "optional",
      mediaTimeout: 0,
      logger,
    }),
    descriptionModifiers: way.advertised === undefined ? [] : [homeward(way.advertised, way)],
    logger,
  };
}

/** TLS: the stack's own certificate and no other. WebSocket: only out. */
function transportOf({ protocol, address, path, certificate }: Way): TransportOptions {
  const isWebSocket = protocol === "ws" || protocol === "wss";
  return {
    protocol,
    address,
    port: isWebSocket ? undefined : 0,
    path,
    tls: certificate === undefined ? undefined : { pinned: certificate },
  };
}

/** The address that the stack advertises leads round through a router, if at all: its sound is here. */
function homeward(advertised: string, { address }: Way): DescriptionModifier {
  return ({ type, sdp }, { direction }) => {
    if (direction === "local") return { type, sdp };
    const here = `IN ${address.includes(":") ? "IP6" : "IP4"} ${address}`;
    const lines = sdp.split("\r\n").map((line) => {
      const [kind, , shown] = line.split(" ");
      return kind === "c=IN" && shown === advertised ? `c=${here}` : line;
    });
    return { type, sdp: lines.join("\r\n") };
  };
}

/** @throws InvalidArgumentError `bad-ring`. */
export function calledUri(request: RingRequest, way: Way): string {
  const { user } = parts("to", request.to);
  return `sip:${user}@${hostPort(way)};transport=${way.protocol}`;
}

/** @throws InvalidArgumentError `bad-ring`. */
export function callerUri(request: RingRequest, way: Way): string {
  const { user, host } = parts("from", request.from);
  return new SipUri("sip", user, host ?? bracketed(way.address)).toString();
}

function parts(name: string, text: string): { user: string; host: string | undefined } {
  try {
    const found = addressParts(text);
    const isHost = found.host === undefined || /^[A-Za-z0-9.:[\]-]{1,128}$/.test(found.host);
    if (found.user !== "" && isHost) return found;
  } catch {
    // Half of a surrogate pair: no text.
  }
  throw misuse("bad-ring", `${name}: a user or number, or user@host`);
}
