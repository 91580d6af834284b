/**
 * Tries one way to a server, and whether an address of this machine can be bound, without a transport layer: what the
 * test buttons of an editor show step by step. Nothing is left behind.
 */
import { createSocket } from "node:dgram";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { connect as connectTls, type PeerCertificate, type TLSSocket } from "node:tls";
import { SystemClock, TransportError, type Clock } from "../foundation/index.js";
import { ipFamily } from "./addresses.js";
import { LocalAddresses } from "./local-address.js";
import { checkCertificateIdentity, explainTlsError } from "./tls-identity.js";
import { keyMaterial, LEAST_VERSION } from "./tls.js";
import { bindError, errorCode, sendError } from "./transport-errors.js";
import type { FlowTarget, TlsMaterial, TransportOptions } from "./transport.js";

export interface ProbeOptions {
  readonly signal: AbortSignal;
  /** Milliseconds for the whole. */
  readonly limitMs: number;
  readonly tls?: TlsMaterial | undefined;
  readonly clock?: Clock | undefined;
}

/** What a server showed in its TLS handshake. Times in milliseconds since 1970. */
export interface PeerCertificateFacts {
  readonly name: string;
  readonly issuer: string;
  readonly validFrom: number;
  readonly validTo: number;
  /** `TLSv1.3`. */
  readonly version: string;
  /** Why it is not to be trusted, in words. */
  readonly fault?: string | undefined;
}

export interface ConnectionProbe {
  /** Our address on the way there. */
  readonly localAddress: string;
  /** Milliseconds until the socket was connected. */
  readonly connectMs: number;
  /** tls and wss only. */
  readonly tls?: { readonly ms: number; readonly peer: PeerCertificateFacts } | undefined;
}

/** How long the "port unreachable" of a host may take to come back (RFC 1122 §3.2.2.1). */
const UNREACHABLE_MS = 250;

/**
 * Connects as a stream transport would, and shakes hands where it is TLS, trusting nobody blindly: the fault of a
 * certificate is told, not thrown.
 *
 * @throws TransportError when nobody takes the connection, or does not speak TLS; its words name the cure.
 */
export async function probeConnection(
  target: FlowTarget,
  options: ProbeOptions,
): Promise<ConnectionProbe> {
  const clock = options.clock ?? new SystemClock();
  const began = clock.now();
  const socket = connectTcp({ host: target.address, port: target.port });
  try {
    await settled(socket, "connect", target, options, clock);
    const connectMs = clock.now() - began;
    const localAddress = socket.localAddress ?? "";
    if (target.protocol !== "tls" && target.protocol !== "wss") return { localAddress, connectMs };
    const shaking = clock.now();
    const peer = await handshake(socket, target, options, clock);
    return { localAddress, connectMs, tls: { ms: clock.now() - shaking, peer } };
  } finally {
    socket.destroy();
  }
}

/**
 * Sends an empty datagram (RFC 5626 §4.4.1's CRLF) to learn whether that machine says that nothing listens there.
 * Silence is no fault: most servers do not answer it.
 *
 * @returns our address on the way there. @throws TransportError.
 */
export function probeDatagram(
  target: FlowTarget,
  options: Pick<ProbeOptions, "signal" | "clock">,
): Promise<string> {
  const clock = options.clock ?? new SystemClock();
  const socket = createSocket(ipFamily(target.address) === 6 ? "udp6" : "udp4");
  return new Promise<string>((resolve, reject) => {
    let timer: { cancel(): void } | undefined;
    const finish = (error: unknown): void => {
      timer?.cancel();
      options.signal.removeEventListener("abort", abort);
      const { address } = timer === undefined ? { address: "" } : socket.address();
      socket.removeAllListeners().on("error", () => undefined);
      socket.close();
      if (error === undefined) resolve(address);
      else reject(sendError(target, error));
    };
    const abort = (): void => finish(new Error("cancelled"));
    options.signal.addEventListener("abort", abort);
    socket.on("error", finish);
    socket.connect(target.port, target.address, () => {
      timer = clock.setTimer(UNREACHABLE_MS, () => finish(undefined));
      socket.send("\r\n\r\n");
    });
  });
}

/** Binds an entry of a transport list and lets go again. @throws TransportError that names port and cure. */
export async function probeBind(entry: TransportOptions): Promise<void> {
  const { address } = entry;
  const port = entry.port ?? 0;
  const ipv6Only = ipFamily(address) === 6;
  if (entry.protocol === "udp") {
    const socket = createSocket({ type: ipv6Only ? "udp6" : "udp4", ipv6Only });
    await bound(socket, entry, (done) => socket.bind({ address, port, exclusive: true }, done));
    await new Promise<void>((done) => socket.close(() => done()));
    return;
  }
  const server: Server = createServer();
  await bound(server, entry, (done) =>
    server.listen({ host: address, port, ipv6Only, exclusive: true }, done),
  );
  await new Promise<void>((done) => server.close(() => done()));
}

export interface MachineAddress {
  readonly address: string;
  readonly family: 4 | 6;
  /** Loopback. */
  readonly internal: boolean;
}

/** The addresses of this machine, and that from which a far host is reached, for each family that has one. */
export async function machineAddresses(): Promise<{
  readonly addresses: readonly MachineAddress[];
  readonly preferred: { readonly ipv4?: string; readonly ipv6?: string };
}> {
  const local = new LocalAddresses({ clock: new SystemClock() });
  await local.learnDefaultRoutes();
  const addresses = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map(({ address, family, internal }): MachineAddress => ({
      address,
      family: family === "IPv6" ? 6 : 4,
      internal,
    })),
  );
  const has = (family: 4 | 6): boolean => addresses.some((entry) => entry.family === family);
  return {
    addresses,
    preferred: {
      ...(has(4) ? { ipv4: local.towards("198.51.100.1") } : {}),
      ...(has(6) ? { ipv6: local.towards("2001:db8::1") } : {}),
    },
  };
}

async function handshake(
  socket: Socket,
  target: FlowTarget,
  options: ProbeOptions,
  clock: Clock,
): Promise<PeerCertificateFacts> {
  const { tls: material } = options;
  const expected = material?.serverName ?? target.serverName ?? target.address;
  const secure = connectTls({
    ...keyMaterial(material ?? {}),
    socket,
    servername: ipFamily(expected) === 0 ? expected : "",
    minVersion: LEAST_VERSION,
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  try {
    await settled(secure, "secureConnect", target, options, clock);
    return certificateFacts(secure, expected);
  } finally {
    secure.on("error", () => undefined);
    secure.destroy();
  }
}

function certificateFacts(socket: TLSSocket, expected: string): PeerCertificateFacts {
  const certificate = socket.getPeerCertificate();
  return {
    name: nameOf(certificate.subject) || (certificate.subjectaltname ?? ""),
    issuer: nameOf(certificate.issuer),
    validFrom: Date.parse(certificate.valid_from),
    validTo: Date.parse(certificate.valid_to),
    version: socket.getProtocol() ?? "",
    fault: chainFault(socket) ?? checkCertificateIdentity(expected, certificate),
  };
}

/** Node's types say Error, its sockets hold the code as a text. */
function chainFault(socket: TLSSocket): string | undefined {
  if (socket.authorized) return undefined;
  const { authorizationError: fault } = socket as { authorizationError?: unknown };
  const code = fault instanceof Error ? (errorCode(fault) ?? fault.message) : String(fault);
  const explained = explainTlsError(Object.assign(new Error(code), { code }));
  return explained instanceof Error ? explained.message : code;
}

/** The common name, else the organisation. */
function nameOf(names: Partial<PeerCertificate["subject"]> | undefined): string {
  const first = (value: unknown): string =>
    typeof value === "string" ? value : Array.isArray(value) ? String(value[0] ?? "") : "";
  return first(names?.CN) || first(names?.O);
}

/** The event of a socket, or why it does not come. */
function settled(
  socket: Socket,
  event: "connect" | "secureConnect",
  target: FlowTarget,
  options: ProbeOptions,
  clock: Clock,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (error?: unknown): void => {
      timer.cancel();
      options.signal.removeEventListener("abort", abort);
      socket.removeListener("error", finish);
      socket.removeListener("close", closed);
      if (error === undefined) resolve();
      else {
        socket.on("error", () => undefined);
        reject(sendError(target, explainTlsError(error)));
      }
    };
    const abort = (): void => finish(new Error("cancelled"));
    const closed = (): void => finish(Object.assign(new Error("closed"), { code: "ECONNRESET" }));
    const timer = clock.setTimer(options.limitMs, () =>
      finish(Object.assign(new Error("timed out"), { code: "ETIMEDOUT" })),
    );
    options.signal.addEventListener("abort", abort);
    socket.once(event, () => finish());
    socket.once("error", finish);
    socket.once("close", closed);
  });
}

function bound(
  socket: { once(event: "error", listener: (error: Error) => void): unknown; close(): unknown },
  entry: TransportOptions,
  bind: (done: () => void) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(bindError(entry, error));
    });
    try {
      bind(resolve);
    } catch (error) {
      reject(error instanceof TransportError ? error : bindError(entry, error));
    }
  });
}
