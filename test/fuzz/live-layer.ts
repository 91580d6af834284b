/**
 * A running user agent with real sockets: datagrams, streams that are cut anywhere, and WebSockets. From time to time
 * a sound OPTIONS must be answered.
 */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import WebSocket from "ws";
import { EmbeddedMediaHandler } from "../../lib/media/index.js";
import { UserAgent } from "../../lib/user-agent/index.js";
import { requestText } from "../support/scripted-peer.js";
import { type Layer, noted } from "./layer.js";
import type { Mutation } from "./mutation.js";
import { soundMessages } from "./sound-messages.js";

const HOST = "127.0.0.1";
/** Inputs between two questions whether it is still well. */
const ASK_EVERY = 200;
const ANSWER_MS = 5_000;

export class LiveLayer implements Layer {
  readonly name = "live";
  readonly share = 0.01;
  readonly #errors: string[] = [];
  #userAgent: UserAgent | undefined;
  #socket: Socket | undefined;
  #ports: Record<string, number> = {};
  #count = 0;

  async take(mutation: Mutation): Promise<void> {
    const sound = Buffer.from(mutation.pick(soundMessages()), "latin1");
    const bytes = noted(mutation.of(sound, sound));
    const way = mutation.below(20);
    if (way === 0) await this.#stream(bytes, mutation);
    else if (way === 1) await this.#webSocket(bytes);
    else await this.#datagram(bytes.subarray(0, 60_000));
    if (++this.#count % ASK_EVERY === 0) await this.#ask();
  }

  async end(): Promise<void> {
    if (this.#userAgent === undefined) return;
    await this.#ask();
    await this.#userAgent.stop({ graceMs: 500 });
    this.#socket?.close();
    assert.deepEqual(this.#errors, []);
  }

  async begin(): Promise<void> {
    const quiet = (): void => undefined;
    const userAgent = new UserAgent({
      transports: [
        { protocol: "udp", address: HOST, port: 0 },
        { protocol: "tcp", address: HOST, port: 0 },
        { protocol: "ws", address: HOST, port: 0 },
      ],
      mediaHandler: new EmbeddedMediaHandler({ address: HOST }),
      logger: { debug: quiet, info: quiet, warn: quiet, error: (text) => this.#errors.push(text) },
    });
    let calls = 0;
    userAgent.onIncomingCall = (session) => {
      const turn = calls++ % 3;
      if (turn === 0) session.accept().catch(() => undefined);
      if (turn === 1) session.reject({ statusCode: 486 }).catch(() => undefined);
      return turn < 2;
    };
    await userAgent.start();
    for (const { protocol, port } of userAgent.bound) this.#ports[protocol] = port;
    this.#userAgent = userAgent;
    const socket = createSocket("udp4").bind(0, HOST);
    await once(socket, "listening");
    // What comes back is of no interest, but must be taken away.
    socket.on("message", () => undefined);
    this.#socket = socket;
  }

  #datagram(bytes: Buffer): Promise<void> {
    return new Promise((resolve) => {
      this.#socket?.send(bytes, this.#ports["udp"], HOST, () => resolve());
    });
  }

  async #stream(bytes: Buffer, mutation: Mutation): Promise<void> {
    const socket = connect(this.#ports["tcp"] ?? 0, HOST);
    socket.on("error", () => undefined).on("data", () => undefined);
    const cut = mutation.below(bytes.length + 1);
    const closed = once(socket, "close");
    await once(socket, "connect");
    socket.write(bytes.subarray(0, cut));
    await new Promise((resolve) => setImmediate(resolve));
    if (mutation.below(2) === 0) socket.end(bytes.subarray(cut));
    else socket.resetAndDestroy();
    setTimeout(() => socket.destroy(), 200);
    await closed;
  }

  async #webSocket(bytes: Buffer): Promise<void> {
    const socket = new WebSocket(`ws://${HOST}:${this.#ports["ws"]}`, "sip");
    socket.on("error", () => undefined);
    await once(socket, "open");
    socket.send(bytes, { binary: bytes.length % 2 === 0 });
    await new Promise((resolve) => setImmediate(resolve));
    socket.terminate();
    await once(socket, "close");
  }

  async #ask(): Promise<void> {
    const socket = createSocket("udp4").bind(0, HOST);
    await once(socket, "listening");
    const via = `Via: SIP/2.0/UDP ${HOST}:${socket.address().port};branch=z9hG4bKask${this.#count};rport`;
    const text = requestText({ method: "OPTIONS", via, uri: `sip:${HOST}` });
    const answered = once(socket, "message", { signal: AbortSignal.timeout(ANSWER_MS) });
    const repeat = setInterval(() => socket.send(text, this.#ports["udp"], HOST), 500);
    socket.send(text, this.#ports["udp"], HOST);
    try {
      const [answer] = (await answered) as [Buffer];
      assert.match(answer.toString("latin1"), /^SIP\/2\.0 200 /);
    } finally {
      clearInterval(repeat);
      socket.close();
    }
  }
}
