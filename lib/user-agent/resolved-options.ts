/** Options as the user agent works with them: checked, with every default filled in. */
import { InvalidArgumentError, printable } from "../foundation/index.js";
import {
  DEFAULT_LIMITS,
  parseNameAddr,
  parseParameters,
  parseUri,
  SipUri,
  type MessageLimits,
  type Parameters,
} from "../message/index.js";
import type { Rel100, SessionTimerSettings } from "../session/index.js";
import { DEFAULT_TIMERS, type TimerOptions } from "../transaction/index.js";
import type { TransportOptions, TransportProtocol } from "../transport/transport.js";
import type { ContactExtras } from "./contact.js";
import type { AccountOptions, UserAgentOptions } from "./options.js";

/** Product name in User-Agent and Server when the application sets none. */
const DEFAULT_PRODUCT = "sipflow-node-red-sip";

const DEFAULT_TRANSPORTS: readonly TransportOptions[] = [
  { protocol: "udp", address: "0.0.0.0", port: 5060 },
];

/** RFC 4028 §4 and §5. */
const DEFAULT_SESSION_EXPIRES = 1800;
const DEFAULT_MIN_SE = 90;

const PROTOCOLS: readonly string[] = ["udp", "tcp", "tls", "ws", "wss"];

export interface ResolvedOptions {
  readonly transports: readonly TransportOptions[];
  readonly userAgent: string;
  readonly timers: TimerOptions;
  readonly limits: MessageLimits;
  readonly maxSessions: number;
  readonly maxRequestsPerSecond: number;
  readonly unhandledStatus: number;
  readonly infoPackages: readonly string[];
  /** RFC 4028; seconds. */
  readonly sessionTimer: SessionTimerSettings;
  readonly rel100: Rel100;
}

/** @throws InvalidArgumentError naming the option and its cure. */
export function resolveOptions(options: UserAgentOptions): ResolvedOptions {
  const unhandledStatus = options.unhandledStatus ?? 480;
  if (!Number.isInteger(unhandledStatus) || unhandledStatus < 300 || unhandledStatus > 699) {
    throw new InvalidArgumentError("unhandledStatus must be a status code from 300 to 699.", {
      rule: "bad-option",
    });
  }
  const userAgent = options.userAgent ?? DEFAULT_PRODUCT;
  if (/[\r\n\0]/.test(userAgent)) {
    throw new InvalidArgumentError("userAgent must not hold line breaks.", { rule: "bad-option" });
  }
  return {
    transports: resolveTransports(options.transports),
    userAgent: userAgent.trim(),
    timers: { ...DEFAULT_TIMERS, ...options.timers },
    limits: options.limits ?? DEFAULT_LIMITS,
    maxSessions: count(options.maxSessions, "maxSessions"),
    maxRequestsPerSecond: count(options.maxRequestsPerSecond, "maxRequestsPerSecond"),
    unhandledStatus,
    infoPackages: options.infoPackages ?? [],
    sessionTimer: {
      sessionExpires: seconds(options.sessionExpires, DEFAULT_SESSION_EXPIRES, "sessionExpires"),
      minSE: seconds(options.minSE, DEFAULT_MIN_SE, "minSE"),
    },
    rel100: reliability(options.rel100),
  };
}

function resolveTransports(
  transports: readonly TransportOptions[] | undefined,
): readonly TransportOptions[] {
  if (transports === undefined || transports.length === 0) return DEFAULT_TRANSPORTS;
  for (const { protocol, port } of transports) {
    if (!PROTOCOLS.includes(protocol)) {
      throw new InvalidArgumentError(
        `"${printable(String(protocol))}" is no transport; choose udp, tcp, tls, ws or wss.`,
        { rule: "bad-option" },
      );
    }
    if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
      throw new InvalidArgumentError(`Port ${String(port)} is not between 0 and 65535.`, {
        rule: "bad-option",
      });
    }
  }
  return transports;
}

/** @throws InvalidArgumentError `bad-option`. */
export function reliability(value: string | undefined): Rel100 {
  if (value === undefined) return "supported";
  if (value === "none" || value === "supported" || value === "required") return value;
  throw new InvalidArgumentError("rel100 must be none, supported or required.", {
    rule: "bad-option",
  });
}

function count(value: number | undefined, name: string): number {
  if (value === undefined) return 0;
  if (Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError(`${name} must be a number from 0 on.`, { rule: "bad-option" });
}

/** @returns whole seconds. @throws InvalidArgumentError */
function seconds(value: number | undefined, fallback: number, name: string): number {
  return value === undefined ? fallback : Math.ceil(Math.min(count(value, name), 2 ** 32 - 1));
}

/** A registrar or proxy: what is resolved, and the path of a WebSocket URL. */
export interface ServerAddress {
  readonly uri: SipUri;
  readonly path?: string | undefined;
}

export interface ResolvedAccount {
  readonly id: string;
  /** Address-of-record. */
  readonly uri: SipUri;
  readonly displayName: string | undefined;
  readonly authUser: string;
  readonly password: string | undefined;
  readonly register: boolean;
  readonly registrar: ServerAddress;
  readonly outboundProxy: ServerAddress | undefined;
  readonly cacheOutboundProxy: boolean;
  readonly expires: number;
  readonly minExpires: number;
  readonly sendExpires: boolean;
  readonly transport: TransportProtocol | undefined;
  readonly outbound: boolean;
  readonly instanceId: string | undefined;
  /** 0 = unlimited. */
  readonly maxCalls: number;
  readonly maxCallsPerMinute: number;
  readonly contactExtras: ContactExtras;
  readonly learnPublicAddress: boolean;
  /** Seconds; undefined = as it fits. */
  readonly keepAlive: number | undefined;
  readonly mayRegister: (() => boolean) | undefined;
}

const DEFAULT_EXPIRES = 3600;
const DEFAULT_MIN_EXPIRES = 30;

/** @throws InvalidArgumentError naming the setting and its cure. */
export function resolveAccount(options: AccountOptions): ResolvedAccount {
  if (typeof options.id !== "string" || options.id === "") {
    throw new InvalidArgumentError("An account needs an id.", { rule: "bad-account" });
  }
  const uri = addressOfRecord(options.uri);
  const transport = accountTransport(options.transport);
  const registrar = blank(options.registrar)
    ? undefined
    : parseServer(options.registrar as string, "registrar");
  const outboundProxy = blank(options.outboundProxy)
    ? undefined
    : parseServer(options.outboundProxy as string, "outbound proxy");
  const expires = positive(options.expires, DEFAULT_EXPIRES, "expires");
  return {
    id: options.id,
    uri,
    displayName: blank(options.displayName)
      ? undefined
      : checkedText(options.displayName as string),
    authUser: blank(options.authUser) ? uri.decodedUser : (options.authUser as string),
    password: blank(options.password) ? undefined : options.password,
    register: options.register ?? true,
    registrar: registrar ?? { uri: domainOf(uri) },
    outboundProxy,
    cacheOutboundProxy: options.cacheOutboundProxy ?? false,
    expires,
    minExpires: Math.min(positive(options.minExpires, DEFAULT_MIN_EXPIRES, "minExpires"), expires),
    sendExpires: options.sendExpires ?? true,
    transport,
    outbound: options.outbound ?? false,
    instanceId: instanceId(options.instanceId),
    maxCalls: count(options.maxCalls, "maxCalls"),
    maxCallsPerMinute: count(options.maxCallsPerMinute, "maxCallsPerMinute"),
    contactExtras: {
      uri: contactParameters(options.contactUriParams, "contactUriParams", OWN_URI_PARAMETERS),
      header: contactParameters(options.contactParams, "contactParams", OWN_HEADER_PARAMETERS),
    },
    learnPublicAddress: options.learnPublicAddress ?? true,
    keepAlive: keepAlive(options.keepAlive),
    mayRegister: options.mayRegister,
  };
}

/** What the stack itself writes there. */
const OWN_URI_PARAMETERS: readonly string[] = ["line", "gr", "maddr", "lr"];
const OWN_HEADER_PARAMETERS: readonly string[] = ["expires", "reg-id", "pub-gruu", "temp-gruu"];
const MOST_PARAMETERS = 16;

/** `name=value;name`, as it stands in a Contact. */
function contactParameters(
  text: string | undefined,
  name: string,
  reserved: readonly string[],
): Parameters {
  if (blank(text)) return new Map();
  const written = (text as string).trim().replace(/^;/, "");
  const isUri = name === "contactUriParams";
  const readable = !isUri || parseUri(`sip:x@h;${written}`) instanceof SipUri;
  const parameters =
    !readable || written.length > 1_024 || /[\r\n\0]/.test(written)
      ? undefined
      : parseParameters(`;${written}`);
  if (parameters === undefined || parameters.size === 0 || parameters.size > MOST_PARAMETERS) {
    throw new InvalidArgumentError(
      `${name}: "${printable(written, 80)}" cannot be read; write for example q=0.5;audio.`,
      { rule: "bad-account" },
    );
  }
  const taken = reserved.find((own) => parameters.has(own));
  if (taken !== undefined) {
    throw new InvalidArgumentError(`${name}: "${taken}" is written by the stack itself.`, {
      rule: "bad-account",
    });
  }
  return parameters;
}

/** RFC 5626 §4.1: a URN. */
function instanceId(text: string | undefined): string | undefined {
  if (blank(text)) return undefined;
  if (/^urn:[A-Za-z0-9][A-Za-z0-9:.-]{1,100}$/.test(text as string)) return text;
  throw new InvalidArgumentError("instanceId must be a URN such as urn:uuid:….", {
    rule: "bad-account",
  });
}

function keepAlive(seconds: number | undefined): number | undefined {
  if (seconds === undefined) return undefined;
  if (Number.isFinite(seconds) && (seconds === 0 || (seconds >= 5 && seconds <= 3_600))) {
    return seconds;
  }
  throw new InvalidArgumentError("keepAlive must be 0 or 5 to 3600 seconds.", {
    rule: "bad-account",
  });
}

function addressOfRecord(text: unknown): SipUri {
  const written = typeof text === "string" ? text.trim() : "";
  const whole = /^sips?:/i.test(written) ? written : `sip:${written}`;
  const uri = /[\r\n\0]/.test(written) ? undefined : parseUri(whole);
  if (!(uri instanceof SipUri) || uri.user === undefined || uri.user === "") {
    throw new InvalidArgumentError(
      `"${printable(written)}" is no address of an account; write for example sip:alice@example.com.`,
      { rule: "bad-account" },
    );
  }
  return new SipUri(uri.scheme, uri.user, uri.host, uri.port, uri.parameters);
}

function domainOf(uri: SipUri): SipUri {
  return new SipUri(uri.scheme, undefined, uri.host, uri.port, new Map(uri.parameters));
}

/** `sip:…`, `sips:…`, `ws(s)://host[:port]/path`, `<sip:…;lr>` or `host[:port]`. */
function parseServer(text: string, what: string): ServerAddress {
  const written = text.trim();
  const server = /[\r\n\0]/.test(written)
    ? undefined
    : /^wss?:\/\//i.test(written)
      ? webSocketServer(written)
      : sipServer(written);
  if (server === undefined) {
    throw new InvalidArgumentError(
      `"${printable(written)}" is no ${what}; write for example sip:example.com, sip:192.0.2.7:5060;transport=tcp or wss://example.com/ws.`,
      { rule: "bad-account" },
    );
  }
  return server;
}

function sipServer(written: string): ServerAddress | undefined {
  const bare = written.includes("<") ? parseNameAddr(written)?.uri.toString() : written;
  if (bare === undefined) return undefined;
  const uri = parseUri(/^sips?:/i.test(bare) ? bare : `sip:${bare}`);
  return uri instanceof SipUri ? { uri } : undefined;
}

/** RFC 7118: a WebSocket URL stands for its host, port, path and `transport=ws(s)`. */
function webSocketServer(written: string): ServerAddress | undefined {
  const match = /^(wss?):\/\/([^/?#\s]+)([/?][^#\s]*)?$/i.exec(written);
  if (match === null) return undefined;
  const protocol = match[1].toLowerCase();
  const authority = parseUri(`sip:${match[2]}`);
  if (!(authority instanceof SipUri) || authority.user !== undefined) return undefined;
  const port = authority.port ?? (protocol === "wss" ? 443 : 80);
  const uri = new SipUri(
    "sip",
    undefined,
    authority.host,
    port,
    new Map([["transport", protocol]]),
  );
  return { uri, path: match[3] ?? "/" };
}

function accountTransport(transport: AccountOptions["transport"]): TransportProtocol | undefined {
  if (transport === undefined || transport === "auto") return undefined;
  if (PROTOCOLS.includes(transport)) return transport;
  throw new InvalidArgumentError(
    `"${printable(String(transport))}" is no transport; choose auto, udp, tcp, tls, ws or wss.`,
    { rule: "bad-account" },
  );
}

function checkedText(text: string): string {
  if (/[\r\n\0]/.test(text)) {
    throw new InvalidArgumentError("The display name must not hold line breaks.", {
      rule: "bad-account",
    });
  }
  return text;
}

function positive(value: number | undefined, fallback: number, name: string): number {
  if (value === undefined) return fallback;
  if (Number.isFinite(value) && value > 0) return Math.min(Math.ceil(value), 2 ** 32 - 1);
  throw new InvalidArgumentError(`${name} must be a number of seconds above 0.`, {
    rule: "bad-account",
  });
}

function blank(text: string | undefined): boolean {
  return text === undefined || text.trim() === "";
}
