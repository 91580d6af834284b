/** What this stack says about itself: User-Agent, Server, Allow, Supported, Accept, Recv-Info (RFC 3261 §20, RFC 6086). */
import type { HeaderList } from "../session/index.js";

/** Methods that a peer may send (RFC 3261 §20.5). */
export const ALLOWED_METHODS: readonly string[] = [
  "INVITE",
  "ACK",
  "CANCEL",
  "BYE",
  "PRACK",
  "OPTIONS",
  "INFO",
  "MESSAGE",
  "NOTIFY",
  "REFER",
  "SUBSCRIBE",
  "UPDATE",
];

/** Extensions that a peer may use and require (RFC 3261 §20.37). */
export const SUPPORTED_OPTIONS: readonly string[] = [
  "100rel",
  "199",
  "norefersub",
  "path",
  "replaces",
  "tdialog",
  "timer",
  "outbound",
  "gruu",
];

/** Asked for in a REGISTER only by accounts that want them (RFC 5626, RFC 5627). */
const FLOW_OPTIONS: readonly string[] = ["outbound", "gruu"];

/** Event packages that a peer may subscribe to: REFER's own. */
export const EVENT_PACKAGES: readonly string[] = ["refer"];

const SDP = "application/sdp";

/** Bodies that an INVITE may have. */
export const INVITE_BODIES: readonly string[] = [SDP, "multipart/mixed", "multipart/alternative"];

/** Every body that means something to the stack itself. */
const ACCEPT = [
  SDP,
  "application/dtmf-relay",
  "application/dtmf",
  "message/sipfrag",
  "multipart/mixed",
  "text/plain",
].join(", ");

type Header = readonly [string, string];

/** The headers of every message, made once. */
export class Capabilities {
  readonly supports: ReadonlySet<string>;

  readonly #ack: Header[];
  readonly #plainRequest: Header[];
  readonly #capableRequest: Header[];
  readonly #optionsRequest: Header[];
  readonly #plainResponse: Header[];
  readonly #capableResponse: Header[];
  readonly #optionsResponse: Header[];
  readonly #notAllowed: Header[];
  readonly #notAccepted: Header[];

  /**
   * @param product - User-Agent and Server. @param infoPackages - RFC 6086 packages that are taken.
   * @param without - Option tags that the application has turned off.
   */
  constructor(product: string, infoPackages: readonly string[], without: readonly string[] = []) {
    const options = SUPPORTED_OPTIONS.filter((option) => !without.includes(option));
    this.supports = new Set(options);
    const userAgent: Header[] = product === "" ? [] : [["User-Agent", product]];
    const server: Header[] = product === "" ? [] : [["Server", product]];
    const allow: Header = ["Allow", ALLOWED_METHODS.join(", ")];
    const supported: Header = ["Supported", options.join(", ")];
    const accept: Header = ["Accept", ACCEPT];
    const packages: Header[] =
      infoPackages.length === 0 ? [] : [["Recv-Info", infoPackages.join(", ")]];
    this.#ack = userAgent;
    // RFC 4028 §7.1: in each request except ACK.
    this.#plainRequest = [...userAgent, supported];
    this.#capableRequest = [...userAgent, allow, supported, ...packages];
    this.#optionsRequest = [...userAgent, allow, supported, accept];
    this.#plainResponse = server;
    this.#capableResponse = [...server, allow, supported, ...packages];
    this.#optionsResponse = [
      ...server,
      allow,
      accept,
      ["Accept-Encoding", "identity"],
      supported,
      ["Allow-Events", EVENT_PACKAGES.join(", ")],
      ...packages,
    ];
    this.#notAllowed = [...server, allow];
    this.#notAccepted = [...server, accept, ["Accept-Encoding", "identity"]];
  }

  /** Of a REGISTER. @param outbound - asks for RFC 5626 and a GRUU (RFC 5627 §4.1) besides. */
  registerHeaders(outbound: boolean): Header[] {
    return this.#capableRequest.map(([name, value]) => {
      if (name !== "Supported") return [name, value];
      const tags = value.split(", ").filter((tag) => outbound || !FLOW_OPTIONS.includes(tag));
      return [name, tags.join(", ")];
    });
  }

  /** Shared lists, not to be changed. */
  headers(kind: "request" | "response", method: string, statusCode?: number): Header[] {
    if (kind === "request") {
      if (method === "ACK") return this.#ack;
      const isCapable = method === "INVITE" || method === "REGISTER" || method === "UPDATE";
      if (isCapable) return this.#capableRequest;
      return method === "OPTIONS" ? this.#optionsRequest : this.#plainRequest;
    }
    switch (statusCode) {
      case 405:
        return this.#notAllowed;
      case 415:
        return this.#notAccepted;
      default:
    }
    if (method === "OPTIONS") return this.#optionsResponse;
    const isDialogAnswer =
      (method === "INVITE" || method === "UPDATE") &&
      statusCode !== undefined &&
      statusCode >= 200 &&
      statusCode < 300;
    return isDialogAnswer ? this.#capableResponse : this.#plainResponse;
  }
}

/** Allow without a method that is refused all the same (RFC 3261 §21.4.6). */
export function allowWithout(method: string): HeaderList {
  return [["Allow", ALLOWED_METHODS.filter((name) => name !== method).join(", ")]];
}
