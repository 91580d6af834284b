/** The properties of a `sip-stack` node → options of the user agent, and the fingerprint that a deploy compares. */
import { createHash } from "node:crypto";
import type { Node, NodeAPI } from "node-red";
import {
  type EngineAddress,
  errorText,
  isIPv4,
  isIPv6,
  type Logger,
  type Rel100,
  type MediaHandler,
  parseEngineAddresses,
  type SrtpMode,
  type TlsMaterial,
  type TransportOptions,
  type TransportProtocol,
  type UserAgentOptions,
} from "../../lib/index.js";
import { environment } from "./environment.js";
import { misuse } from "./errors.js";
import { checkSharedState } from "./fleet/index.js";
import type { MediaEngineSettings } from "./media-engines.js";
import { parseList } from "./properties.js";
import { expandEnvironment, type NodeConfig } from "./property-values.js";
import { product } from "./product.js";
import { readRuntimeSettings } from "./runtime-settings.js";
import { isRecord } from "./sip-fields.js";
import { readTlsFiles, tlsPaths, tlsStamp, type TlsPaths } from "./tls-files.js";

const PROTOCOLS: ReadonlySet<string> = new Set(["udp", "tcp", "tls", "ws", "wss"]);
const DEFAULT_TRANSPORTS = [{ protocol: "udp", address: "0.0.0.0", port: 5060 }];
const DEFAULT_CODECS = ["opus", "G722", "PCMU", "PCMA"];
/** Properties that change nothing in the running stack. */
const NOT_SETTINGS: ReadonlySet<string> = new Set([
  "id",
  "type",
  "z",
  "name",
  "x",
  "y",
  "wires",
  "_users",
  "version",
]);

export interface StackSettings {
  /** Two equal fingerprints = the running stack can stay. */
  readonly fingerprint: string;
  readonly name: string;
  readonly redeploy: "keep" | "hangup";
  readonly unhandledStatus: number;
  /** Key material comes from other config nodes, which may be created after this one. */
  readonly usesTls: boolean;
  /** `media: none`. */
  readonly flowMakesDescriptions: boolean;
  /** `redis://…` of what instances share; undefined = this one is alone. */
  readonly sharedState: string | undefined;
  /** The messages of calls are kept for the ladder view. */
  readonly trace: boolean;
  /** The transports with their key material as it is now. @throws InvalidArgumentError `bad-stack`. */
  transports(): readonly TransportOptions[];
  /** Changes when a file of the TLS configurations does. */
  tlsStamp(): string;
  /** What a test button needs besides the transports. @throws InvalidArgumentError `bad-stack`. */
  surroundings(): StackSurroundings;
  /** `media: rtpengine`. */
  readonly usesRtpengine: boolean;
  /** `media: rtpengine`; undefined = bridges stay here. @throws InvalidArgumentError `bad-stack`. */
  mediaEngines(): MediaEngineSettings | undefined;
  /** @throws InvalidArgumentError `bad-stack` that names the wrong setting. */
  options(logger: Logger): UserAgentOptions;
}

export interface StackSurroundings {
  readonly dnsServers: readonly string[] | undefined;
  readonly userAgent: string;
  /** The built-in media; undefined = none. */
  readonly rtp:
    | { readonly address: string | undefined; readonly portMin: number; readonly portMax: number }
    | undefined;
}

interface TlsNode {
  addTLSOptions(options: Record<string, unknown>): Record<string, unknown>;
}

class SettingsReader {
  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly config: NodeConfig,
  ) {}

  raw(name: string): unknown {
    const value = this.config[name];
    return typeof value === "string" ? expandEnvironment(this.RED, this.node, value).trim() : value;
  }

  text(name: string): string | undefined {
    const value = this.raw(name);
    if (value === undefined || value === null || value === "") return undefined;
    if (typeof value !== "string") throw misuse("bad-stack", `${name} must be a text`);
    return value;
  }

  number(name: string, fallback: number, highest = Number.MAX_SAFE_INTEGER): number {
    const value = this.raw(name);
    if (value === undefined || value === null || value === "") return fallback;
    const number = wholeNumber(value);
    if (number === undefined || number > highest) {
      throw misuse("bad-stack", `${name} must be a whole number up to ${highest}`);
    }
    return number;
  }

  flag(name: string): boolean {
    const value = this.raw(name);
    return value === true || value === "true";
  }

  list(name: string): string[] | undefined {
    const value = this.raw(name);
    if (value === undefined || value === null || value === "") return undefined;
    const entries = parseList(value, name).map((entry) =>
      expandEnvironment(this.RED, this.node, entry),
    );
    return entries.length === 0 ? undefined : entries;
  }

  /** Names that stand in a header as they are. */
  tokens(name: string): string[] | undefined {
    const entries = this.list(name);
    const wrong = entries?.find((entry) => !/^[A-Za-z0-9\-.!%*_+`'~]+$/.test(entry));
    if (wrong !== undefined) throw misuse("bad-stack", `${name}: "${wrong}" is no name`);
    return entries;
  }

  rel100(): Rel100 {
    const value = this.text("rel100") ?? "supported";
    if (value === "none" || value === "supported" || value === "required") return value;
    throw misuse("bad-stack", "rel100 must be none, supported or required");
  }

  transports(): TransportOptions[] {
    let value = this.raw("transports");
    if (typeof value === "string" && value !== "") {
      try {
        value = JSON.parse(value) as unknown;
      } catch {
        throw misuse("bad-stack", "transports is no valid JSON");
      }
    }
    if (value === undefined || value === null || value === "") value = [];
    if (!Array.isArray(value)) throw misuse("bad-stack", "transports is no list");
    const entries: unknown[] = value.length > 0 ? (value as unknown[]) : DEFAULT_TRANSPORTS;
    return entries.map((entry, index) => this.#transport(entry, index + 1));
  }

  #transport(entry: unknown, number: number): TransportOptions {
    if (!isRecord(entry)) throw misuse("bad-stack", `transport ${number} is no object`);
    const text = (name: string): string => {
      const value = entry[name] ?? "";
      if (typeof value !== "string") {
        throw misuse("bad-stack", `transport ${number}: its ${name} must be a text`);
      }
      return expandEnvironment(this.RED, this.node, value).trim();
    };
    const protocol = text("protocol").toLowerCase();
    if (!PROTOCOLS.has(protocol)) {
      throw misuse("bad-stack", `transport ${number}: unknown protocol "${protocol}"`);
    }
    const port = typeof entry["port"] === "string" ? text("port") : entry["port"];
    const isWebSocket = protocol === "ws" || protocol === "wss";
    const noPort = port === undefined || port === null || port === "";
    const portNumber = noPort ? undefined : wholeNumber(port);
    if (!noPort && (portNumber === undefined || portNumber > 65_535)) {
      throw misuse("bad-stack", `transport ${number}: the port must be a number from 0 to 65535`);
    }
    const tlsId = text("tls");
    const advertise = text("advertise");
    if (advertise !== "" && !isHostPort(advertise)) {
      throw misuse("bad-stack", `transport ${number}: advertise must be host or host:port`);
    }
    return {
      protocol: protocol as TransportProtocol,
      address: text("address") || "0.0.0.0",
      // A WebSocket transport without a port only connects out.
      port: portNumber ?? (isWebSocket ? undefined : protocol === "tls" ? 5061 : 5060),
      advertise: advertise || undefined,
      path: isWebSocket ? text("path") || undefined : undefined,
      tls: tlsId === "" ? undefined : this.#tls(tlsId, number),
    };
  }

  #tls(id: string, number: number): TlsMaterial {
    const node: unknown = this.RED.nodes.getNode(id);
    if (!isTlsNode(node)) {
      throw misuse("bad-stack", `transport ${number}: its TLS settings (tls-config) are missing`);
    }
    const material = node.addTLSOptions({});
    Object.assign(material, readTlsFiles(this.tlsPaths(id)));
    const text = (name: string): string | undefined => {
      const value = material[name];
      return typeof value === "string" && value !== "" ? value : undefined;
    };
    const pem = (name: string): string | Buffer | undefined => {
      const value = material[name];
      return Buffer.isBuffer(value) ? value : text(name);
    };
    return {
      cert: pem("cert"),
      key: pem("key"),
      ca: pem("ca"),
      passphrase: text("passphrase"),
      serverName: text("servername"),
      verifyServer: material["rejectUnauthorized"] !== false,
    };
  }

  /** The files of a tls-config node. */
  tlsPaths(id: string): TlsPaths {
    let paths: TlsPaths = {};
    this.RED.nodes.eachNode((def) => {
      if (def.id !== id) return;
      const text = expandEnvironment(this.RED, this.node, JSON.stringify(def));
      paths = tlsPaths(JSON.parse(text) as Record<string, unknown>);
    });
    return paths;
  }

  /** Ids of the tls-config nodes in use. */
  tlsIds(): string[] {
    const value = this.config["transports"];
    const text = typeof value === "string" ? value : JSON.stringify(value ?? "");
    let entries: unknown;
    try {
      entries = JSON.parse(text);
    } catch {
      return [];
    }
    if (!Array.isArray(entries)) return [];
    return (entries as unknown[])
      .map((entry) => (isRecord(entry) ? entry["tls"] : undefined))
      .filter((id): id is string => typeof id === "string" && id !== "");
  }

  srtp(): SrtpMode {
    const value = this.text("srtp") ?? "off";
    if (value === "off" || value === "optional" || value === "required") return value;
    throw misuse("bad-stack", "srtp must be off, optional or required");
  }

  /** @throws InvalidArgumentError `bad-stack`. */
  rtp(): { address: string | undefined; portMin: number; portMax: number } {
    const portMin = this.number("rtpPortMin", 10_000, 65_535);
    const portMax = this.number("rtpPortMax", 20_000, 65_535);
    if (portMin >= portMax) throw misuse("bad-stack", "rtpPortMin must be less than rtpPortMax");
    const address = this.text("mediaAddress");
    if (address !== undefined && !isIPv4(address) && !isIPv6(address)) {
      throw misuse("bad-stack", "mediaAddress must be an IP address of this machine");
    }
    return { address, portMin, portMax };
  }

  /** @throws InvalidArgumentError `bad-stack`. */
  engines(): readonly EngineAddress[] {
    let engines: readonly EngineAddress[];
    try {
      engines = parseEngineAddresses(this.text("rtpengine") ?? "");
    } catch (error) {
      throw misuse("bad-stack", `rtpengine: ${errorText(error)}`);
    }
    if (engines.length > 0) return engines;
    throw misuse("bad-stack", "rtpengine: its address is missing, like udp://127.0.0.1:2223");
  }

  mediaHandler(advertise: string | undefined, logger: Logger): MediaHandler | undefined {
    const media = this.text("media") ?? "rtp";
    const srtp = this.srtp();
    if (media === "none") return undefined;
    if (media !== "rtp" && media !== "rtpengine") {
      throw misuse("bad-stack", `media "${media}": use rtp, rtpengine or none`);
    }
    const { address, portMin, portMax } = this.rtp();
    return environment().createMediaHandler({
      address,
      advertise,
      portMin,
      portMax,
      codecs: this.list("codecs") ?? DEFAULT_CODECS,
      srtp,
      mediaTimeout: this.number("mediaTimeout", 0, 86_400) * 1000,
      logger,
    });
  }
}

function wholeNumber(value: unknown): number | undefined {
  const text = String(value);
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** What may stand in Via and Contact: a name or address, with or without a port. */
function isHostPort(text: string): boolean {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(\d{1,5}))?$/.exec(text);
  return match !== null && Number(match[2] ?? 1) <= 65_535 && match[2] !== "0";
}

function isTlsNode(value: unknown): value is TlsNode {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { addTLSOptions?: unknown }).addTLSOptions === "function"
  );
}

/** Reads what is needed at once; wrong values are found when the options are made. */
export function readStackSettings(RED: NodeAPI, node: Node, config: NodeConfig): StackSettings {
  const reader = new SettingsReader(RED, node, config);
  const runtime = readRuntimeSettings(RED);
  const tlsIds = reader.tlsIds();
  let hasWarned = false;
  const unhandled = wholeNumber(reader.raw("unhandledStatus") ?? "") ?? 480;
  return {
    fingerprint: fingerprint(RED, node, config, tlsIds),
    name: typeof config.name === "string" && config.name !== "" ? config.name : config.id,
    redeploy: config["redeploy"] === "hangup" ? "hangup" : "keep",
    unhandledStatus: unhandled >= 300 && unhandled <= 699 ? unhandled : 480,
    usesTls: tlsIds.length > 0,
    usesRtpengine: reader.raw("media") === "rtpengine",
    flowMakesDescriptions: reader.raw("media") === "none",
    sharedState: textOf(reader.raw("sharedState")),
    trace: runtime.trace ?? reader.flag("trace"),
    transports: () => reader.transports(),
    tlsStamp: () => tlsIds.map((id) => tlsStamp(reader.tlsPaths(id))).join(" "),
    surroundings: () => ({
      dnsServers: reader.list("dnsServers"),
      userAgent: reader.text("userAgent") ?? product(),
      rtp: reader.text("media") === "none" ? undefined : reader.rtp(),
    }),
    mediaEngines: () => {
      if (reader.text("media") !== "rtpengine") return undefined;
      const codecs = reader.list("codecs") ?? DEFAULT_CODECS;
      return { engines: reader.engines(), codecs, digits: runtime.rtpengineDigits };
    },
    options: (logger) => {
      const transports = reader.transports();
      // A start that fails is tried again and again; the warning comes once.
      if (!hasWarned) {
        warnOfOpenKeys(reader, transports, logger);
        warnOfUnverified(transports, logger);
      }
      const sharedState = reader.text("sharedState");
      if (sharedState !== undefined) checkSharedState(sharedState);
      // Whoever gets the flow gets what stands in it.
      if (!hasWarned && hasOpenPassword(textOf(config["sharedState"]) ?? "")) {
        logger.warn("sharedState: the password stands in the flow; write ${NAME} instead");
      }
      hasWarned = true;
      const advertise = transports.find((transport) => transport.advertise)?.advertise;
      return {
        transports,
        userAgent: reader.text("userAgent") ?? product(),
        mediaHandler: reader.mediaHandler(hostOf(advertise), logger),
        allow: reader.list("allow"),
        deny: reader.list("deny"),
        trusted: reader.list("trusted"),
        dial: reader.list("dial"),
        infoPackages: reader.tokens("infoPackages"),
        origins: reader.list("origins"),
        rel100: reader.rel100(),
        maxSessions: lower(reader.number("maxSessions", 0), runtime.maxSessions),
        maxRequestsPerSecond: reader.number("maxRequestsPerSecond", 0),
        unhandledStatus: reader.number("unhandledStatus", 480, 699),
        sessionExpires: reader.number("sessionExpires", 1800),
        minSE: reader.number("minSE", 90),
        dnsServers: reader.list("dnsServers"),
        logger,
      };
    },
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
}

/** Of two limits where 0 and undefined are none. */
function lower(own: number, of: number | undefined): number {
  if (of === undefined) return own;
  return own === 0 ? of : Math.min(own, of);
}

/** Without verification anybody on the way can take the server's place, and gets the calls. */
function warnOfUnverified(transports: readonly TransportOptions[], logger: Logger): void {
  const open = transports.find(({ tls }) => tls?.verifyServer === false);
  if (open === undefined) return;
  logger.warn(
    `${open.protocol}: the certificates of servers are not verified; anybody on the way can pretend to be the server`,
  );
}

/** The keys of SRTP travel in the session description: whoever reads the signalling can listen (RFC 4568 §8.1). */
function warnOfOpenKeys(
  reader: SettingsReader,
  transports: readonly TransportOptions[],
  logger: Logger,
): void {
  if (reader.srtp() === "off" || reader.text("media") === "none") return;
  const open = transports.find(({ protocol }) => protocol !== "tls" && protocol !== "wss");
  if (open === undefined) return;
  logger.warn(
    `SRTP: the keys of calls over ${open.protocol} can be read on the way; use tls or wss to keep them secret`,
  );
}

/** The host of `host[:port]`, which SDP shows. */
function hostOf(advertise: string | undefined): string | undefined {
  if (advertise === undefined) return undefined;
  if (advertise.startsWith("[")) return advertise.slice(1, advertise.indexOf("]"));
  const colon = advertise.indexOf(":");
  return colon >= 0 && colon === advertise.lastIndexOf(":") ? advertise.slice(0, colon) : advertise;
}

/** A hash, because key material and passwords go into it. */
function fingerprint(RED: NodeAPI, node: Node, config: NodeConfig, tlsIds: string[]): string {
  const settings = Object.keys(config)
    .filter((name) => !NOT_SETTINGS.has(name))
    .sort()
    .map((name) => [name, expandEnvironment(RED, node, JSON.stringify(config[name] ?? null))]);
  const hash = createHash("sha256").update(JSON.stringify(settings));
  const used = new Set(tlsIds);
  if (used.size > 0) {
    RED.nodes.eachNode((def) => {
      if (!used.has(def.id)) return;
      hash.update(JSON.stringify([def, RED.nodes.getCredentials(def.id)]));
    });
  }
  return hash.digest("hex");
}

/** Node-RED has put the value of a variable in the place of `${NAME}` where that was the whole text. */
function hasOpenPassword(address: string): boolean {
  const isOpen = /:[^/@]+@/.test(address) && !address.includes("${");
  return isOpen && !Object.values(process.env).includes(address);
}
