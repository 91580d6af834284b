/**
 * Where rtpengines report the keys that they hear (their option `dtmf-log-dest`): datagrams of JSON. Who does not know the
 * random id of a call can say nothing about it.
 */
import { createSocket, type Socket } from "node:dgram";
import { InvalidArgumentError } from "../../foundation/index.js";

export interface EngineKey {
  readonly callId: string;
  /** Of who pressed it. */
  readonly tag: string;
  readonly digit: string;
  /** Milliseconds. */
  readonly duration: number;
}

const KEYS = "0123456789*#ABCD";
const LONGEST = 4_096;
const LONGEST_NAME = 256;
const LONGEST_KEY_MS = 60_000;

export class DigitLog {
  readonly #socket: Socket;

  /**
   * @param address - `host:port` to listen on. @param onError - It cannot be listened on; said once.
   * @throws InvalidArgumentError when that is no address.
   */
  constructor(address: string, onKey: (key: EngineKey) => void, onError: (error: Error) => void) {
    const { host, port } = parsed(address);
    this.#socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    this.#socket.on("error", onError);
    this.#socket.on("message", (message) => {
      const key = readKey(message);
      if (key !== undefined) onKey(key);
    });
    this.#socket.bind(port, host);
    this.#socket.unref();
  }

  close(): void {
    this.#socket.removeAllListeners("message");
    this.#socket.close();
  }
}

/** @throws InvalidArgumentError */
function parsed(address: string): { host: string; port: number } {
  const [, host = "", port = "0"] = /^(.+):(\d{1,5})$/.exec(address.trim()) ?? [];
  if (host === "" || Number(port) < 1 || Number(port) > 65_535) {
    throw new InvalidArgumentError(`"${address}" is no host:port`, { rule: "bad-engine" });
  }
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

/** Undefined for anything that is no key. */
export function readKey(message: Buffer): EngineKey | undefined {
  if (message.length > LONGEST) return undefined;
  let said: unknown;
  try {
    said = JSON.parse(message.toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof said !== "object" || said === null) return undefined;
  const fields = said as Readonly<Record<string, unknown>>;
  const { callid: callId, source_tag: tag, event, duration } = fields;
  if (fields["type"] !== "DTMF" || !isName(callId) || !isName(tag)) return undefined;
  const digit = Number.isInteger(event) ? KEYS[event as number] : undefined;
  if (digit === undefined) return undefined;
  const length = typeof duration === "number" && duration > 0 ? duration : 0;
  return { callId, tag, digit, duration: Math.min(length, LONGEST_KEY_MS) };
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= LONGEST_NAME;
}
