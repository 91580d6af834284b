/** SIP over WebSocket, plain and over TLS: listening and connecting with the subprotocol `sip` (RFC 7118). */
import { createServer as createHttpServer } from "node:http";
import type { IncomingMessage, Server as HttpServer } from "node:http";
import { createServer as createHttpsServer, Server as HttpsServer } from "node:https";
import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Duplex } from "node:stream";
import { WebSocket, WebSocketServer } from "ws";
import { errorText, printable } from "../foundation/index.js";
import type { Logger } from "../foundation/index.js";
import { bracket } from "./addresses.js";
import type { Opener } from "./connection-pool.js";
import { mayConnect } from "./origin-rule.js";
import { Admission, connectionOptions, listen, sourceAddress } from "./listener.js";
import type { Listener, StreamContext } from "./listener.js";
import { checkPinned, clientTlsOptions, listenSecure, serverTlsOptions } from "./tls.js";
import { explainTlsError } from "./tls-identity.js";
import type { FlowTarget, TlsMaterial, TransportOptions } from "./transport.js";
import { WebSocketConnection } from "./websocket-connection.js";

const SUBPROTOCOL = "sip";
/** Origins that are named in the log. */
const MOST_TOLD = 20;

/** Serves one ws or wss entry, to programs and to the web pages that the origin rule lets in. */
export function listenWebSocket(
  entry: TransportOptions,
  context: StreamContext,
): Promise<Listener> {
  const { settings } = context;
  const admission = new Admission(context.pool);
  const server = createHttp(entry, settings.tuning.handshakeTimeoutMs);
  const refused = new RefusedOrigins(settings.logger);
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: settings.limits.streamMessage,
    perMessageDeflate: false,
    handleProtocols: () => SUBPROTOCOL,
  });
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => undefined);
    admission.admit(socket);
  });
  server.on("tlsClientError", (error: Error) => {
    settings.logger.debug(`TLS handshake with a WebSocket client failed: ${errorText(error)}`);
  });
  server.on("clientError", (_error: Error, socket: Duplex) => socket.destroy());
  server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const fault = upgradeFault(request, entry.path);
    if (fault !== undefined) {
      refuse(socket, fault);
      return;
    }
    const { origin, host } = request.headers;
    if (!mayConnect({ origin, host, secure: entry.protocol === "wss" }, settings.origins)) {
      refused.tell(origin ?? "");
      refuse(socket, "403 Forbidden", "Pages of this origin may not connect; see `origins`.");
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const options = connectionOptions(entry.protocol, socket, false, context);
      admission.open(new WebSocketConnection(webSocket, options));
    });
  });
  return server instanceof HttpsServer
    ? listenSecure(server, entry, context)
    : listen(server, entry, context);
}

/** Says of each origin once that it was refused: it may be the page of the user's own telephone. */
class RefusedOrigins {
  readonly #told = new Set<string>();

  constructor(private readonly logger: Logger) {}

  tell(origin: string): void {
    if (this.#told.size >= MOST_TOLD || this.#told.has(origin)) return;
    this.#told.add(origin);
    this.logger.warn(
      `WebSocket: pages of ${printable(origin)} may not connect; put their host into origins if they are yours`,
    );
  }
}

function createHttp(entry: TransportOptions, timeoutMs: number): HttpServer | HttpsServer {
  const times = {
    headersTimeout: timeoutMs,
    requestTimeout: timeoutMs,
    keepAliveTimeout: timeoutMs,
  };
  const server =
    entry.protocol === "wss"
      ? createHttpsServer({ ...serverTlsOptions(entry, timeoutMs), ...times })
      : createHttpServer(times);
  server.on("request", (_request, response) => {
    response.writeHead(426, {
      "Content-Type": "text/plain",
      Connection: "close",
      Upgrade: "websocket",
    });
    response.end("This port speaks SIP over WebSocket (RFC 7118).\n");
  });
  return server;
}

/** The status line of the refusal, or undefined when the upgrade is welcome. */
function upgradeFault(request: IncomingMessage, path: string | undefined): string | undefined {
  const asked = (request.url ?? "/").split("?", 1)[0];
  if (path !== undefined && path !== "" && asked !== path) return "404 Not Found";
  const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",");
  // RFC 7118 §4: without the subprotocol it is not SIP.
  if (!offered.some((name) => name.trim().toLowerCase() === SUBPROTOCOL)) return "400 Bad Request";
  return undefined;
}

const WHAT_IT_NEEDS = 'SIP over WebSocket needs the subprotocol "sip" and the configured path.';

function refuse(socket: Socket, status: string, why = WHAT_IT_NEEDS): void {
  const text = `${status}: ${why}\n`;
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}

/** @returns what the pool calls to open a connection. */
export function webSocketOpener(
  material: TlsMaterial | undefined,
  defaultPath: string | undefined,
  context: StreamContext,
): Opener {
  return (target, done) => {
    let socket: Socket | undefined;
    let webSocket: WebSocket;
    try {
      webSocket = new WebSocket(webSocketUrl(target, defaultPath), SUBPROTOCOL, {
        createConnection: () => (socket = openSocket(target, material, context)),
        perMessageDeflate: false,
        maxPayload: context.settings.limits.streamMessage,
        followRedirects: false,
      });
    } catch (error) {
      context.settings.clock.defer(() => done(error, undefined));
      return () => undefined;
    }
    webSocket.once("error", (error) =>
      done(explainWebSocketError(target, urlPath(target, defaultPath), error), undefined),
    );
    webSocket.once("open", () => {
      webSocket.removeAllListeners("error");
      if (!socket) return;
      const options = connectionOptions(target.protocol, socket, true, context);
      const connection = new WebSocketConnection(webSocket, options);
      // RFC 7118 §5.2: its `.invalid` address leads nowhere else, so closing it would cut us off.
      connection.retain();
      done(undefined, connection);
    });
    return () => {
      webSocket.removeAllListeners();
      webSocket.on("error", () => undefined);
      webSocket.terminate();
    };
  };
}

function webSocketUrl(target: FlowTarget, defaultPath: string | undefined): string {
  const host = bracket(target.serverName ?? target.address);
  return `${target.protocol}://${host}:${target.port}${urlPath(target, defaultPath)}`;
}

function urlPath(target: FlowTarget, defaultPath: string | undefined): string {
  const path = target.path ?? defaultPath ?? "/";
  return path.startsWith("/") ? path : `/${path}`;
}

function openSocket(
  target: FlowTarget,
  material: TlsMaterial | undefined,
  context: StreamContext,
): Socket {
  if (target.protocol === "wss") {
    const socket = connectTls(clientTlsOptions(target, material, context));
    socket.once("secureConnect", () => {
      const fault = checkPinned(socket, material);
      if (fault !== undefined) socket.destroy(new Error(fault));
    });
    return socket;
  }
  return connectTcp({
    host: target.address,
    port: target.port,
    localAddress: sourceAddress(target.protocol, target.address, context),
  });
}

function explainWebSocketError(target: FlowTarget, path: string, error: Error): unknown {
  if (error.message.includes("subprotocol")) {
    return new Error("the server speaks WebSocket but not SIP over WebSocket: check the path", {
      cause: error,
    });
  }
  const answer = /Unexpected server response: (\d+)/.exec(error.message);
  if (answer) {
    return new Error(`the web server answered ${answer[1]} to ${path}: check the path and port`, {
      cause: error,
    });
  }
  return target.protocol === "wss" ? explainTlsError(error) : error;
}
