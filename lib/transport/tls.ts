/** SIP over TLS: listening and connecting, with verification on (RFC 3261 §26.3, RFC 5922). */
import type { Socket } from "node:net";
import { createSecureContext, connect, createServer } from "node:tls";
import type {
  ConnectionOptions as TlsConnectOptions,
  SecureContextOptions,
  Server as TlsServer,
  TlsOptions,
  TLSSocket,
} from "node:tls";
import { errorText, TransportError } from "../foundation/index.js";
import { ipFamily } from "./addresses.js";
import type { Opener } from "./connection-pool.js";
import { Admission, connectionOptions, listen, sourceAddress } from "./listener.js";
import type { Listener, StreamContext } from "./listener.js";
import { StreamConnection } from "./stream-connection.js";
import { checkCertificateIdentity, explainTlsError } from "./tls-identity.js";
import { targetName } from "./transport-errors.js";
import type { FlowTarget, TlsMaterial, TransportOptions } from "./transport.js";

/** RFC 8996: nothing older. */
export const LEAST_VERSION = "TLSv1.2";

/** Can this entry serve clients, or has it no certificate and only connects out? */
export function canServeTls(entry: TransportOptions): boolean {
  return entry.tls?.cert !== undefined && entry.tls.key !== undefined;
}

/**
 * Options of a TLS server.
 * @throws TransportError when certificate, key or CA cannot be read.
 */
export function serverTlsOptions(entry: TransportOptions, handshakeTimeout: number): TlsOptions {
  const material = entry.tls ?? {};
  checkMaterial(material, targetName(entry.protocol, entry.address, entry.port ?? 0));
  const verifyClient = material.verifyClient === true;
  return {
    ...keyMaterial(material),
    minVersion: LEAST_VERSION,
    requestCert: verifyClient,
    rejectUnauthorized: verifyClient,
    handshakeTimeout,
  };
}

/**
 * Options of a TLS client that reaches `target`: SNI and verification by the configured domain, else by the
 * address itself.
 */
export function clientTlsOptions(
  target: FlowTarget,
  material: TlsMaterial | undefined,
  context: StreamContext,
): TlsConnectOptions & { localAddress: string | undefined } {
  const expected = material?.serverName ?? target.serverName ?? target.address;
  return {
    ...keyMaterial(material ?? {}),
    host: target.address,
    port: target.port,
    localAddress: sourceAddress(target.protocol, target.address, context),
    // RFC 6066 §3: no SNI for IP addresses.
    servername: ipFamily(expected) === 0 ? expected : "",
    minVersion: LEAST_VERSION,
    // A pinned certificate is compared as it is, see `checkPinned`.
    rejectUnauthorized: material?.verifyServer !== false && material?.pinned === undefined,
    checkServerIdentity: (_host, certificate) => {
      const fault = checkCertificateIdentity(expected, certificate);
      return fault === undefined ? undefined : new Error(fault);
    },
  };
}

/** After the handshake: is the server the one whose certificate is pinned? @returns what is wrong, in words. */
export function checkPinned(
  socket: TLSSocket,
  material: TlsMaterial | undefined,
): string | undefined {
  if (material?.pinned === undefined) return undefined;
  const pem = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END/.exec(
    material.pinned.toString(),
  );
  if (pem === null) return "the certificate that is expected cannot be read: it must be PEM";
  const expected = Buffer.from(pem[1], "base64");
  const isPinned = socket.getPeerX509Certificate()?.raw.equals(expected) === true;
  return isPinned ? undefined : "the server shows another certificate than the one expected";
}

export function listenTls(entry: TransportOptions, context: StreamContext): Promise<Listener> {
  const { settings } = context;
  const admission = new Admission(context.pool);
  const server = createServer(serverTlsOptions(entry, settings.tuning.handshakeTimeoutMs));
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => undefined);
    admission.admit(socket);
  });
  server.on("tlsClientError", (error, socket) => {
    settings.logger.debug(`TLS handshake with a client failed: ${errorText(error)}`);
    socket.destroy();
  });
  server.on("secureConnection", (socket) => {
    if (socket.destroyed) return;
    const options = connectionOptions("tls", socket, false, context);
    admission.open(new StreamConnection(socket, options));
  });
  return listenSecure(server, entry, context);
}

/** Binds a server of TLS, or of HTTPS, whose certificates can be renewed. */
export async function listenSecure(
  server: TlsServer,
  entry: TransportOptions,
  context: StreamContext,
): Promise<Listener> {
  const listener = await listen(server, entry, context);
  const { handshakeTimeoutMs } = context.settings.tuning;
  return {
    ...listener,
    renew: (tls) =>
      server.setSecureContext(serverTlsOptions({ ...entry, tls }, handshakeTimeoutMs)),
  };
}

/** @returns what the pool calls to open a connection. */
export function tlsOpener(material: TlsMaterial | undefined, context: StreamContext): Opener {
  return (target, done) => {
    let socket: TLSSocket;
    try {
      checkMaterial(material ?? {}, targetName("tls", target.address, target.port));
      socket = connect(clientTlsOptions(target, material, context));
    } catch (error) {
      context.settings.clock.defer(() => done(error, undefined));
      return () => undefined;
    }
    socket.once("error", (error) => done(explainTlsError(error), undefined));
    socket.once("secureConnect", () => {
      socket.removeAllListeners("error");
      const fault = checkPinned(socket, material);
      if (fault !== undefined) {
        socket.on("error", () => undefined);
        socket.destroy();
        done(new Error(fault), undefined);
        return;
      }
      done(
        undefined,
        new StreamConnection(socket, connectionOptions("tls", socket, true, context)),
      );
    });
    return () => {
      socket.removeAllListeners();
      socket.on("error", () => undefined);
      socket.destroy();
    };
  };
}

export function keyMaterial(material: TlsMaterial): SecureContextOptions {
  const { cert, key, passphrase, ca } = material;
  return {
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(ca === undefined
      ? {}
      : { ca: typeof ca === "string" || Buffer.isBuffer(ca) ? ca : [...ca] }),
  };
}

/** Reads the PEM texts once, so that a wrong file is reported in words and not as a failing handshake. */
function checkMaterial(material: TlsMaterial, target: string): void {
  try {
    createSecureContext(keyMaterial(material));
  } catch (error) {
    throw new TransportError(
      `The TLS certificate, key or CA cannot be used (${errorText(error)}): they must be PEM, the key must belong to the certificate, and an encrypted key needs its passphrase.`,
      target,
      { cause: error },
    );
  }
}
