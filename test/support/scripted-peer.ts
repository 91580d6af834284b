/** A peer that a test plays by hand on the network in memory: it sees requests and answers them as the test says. */
import assert from "node:assert/strict";
import {
  createResponse,
  parseMessage,
  serializeMessage,
  type ParseError,
  type SipMessage,
  SipRequest,
  SipResponse,
  type ResponseFields,
} from "../../lib/message/index.js";
import type { Flow, TransportProtocol } from "../../lib/transport/transport.js";
import type { LoopEndpoint, LoopNetwork } from "./loop-network.js";

export interface ScriptedPeerOptions {
  readonly name: string;
  readonly address: string;
  readonly port?: number;
  readonly protocols?: readonly TransportProtocol[];
}

export class ScriptedPeer {
  readonly endpoint: LoopEndpoint;
  readonly requests: SipRequest[] = [];
  readonly responses: SipResponse[] = [];
  readonly malformed: ParseError[] = [];
  /** Called for each request, repetitions included; answers with `reply`. */
  onRequest: (request: SipRequest) => void = () => undefined;
  readonly #flows = new WeakMap<SipMessage, Flow>();
  #tag = 0;

  constructor(
    network: LoopNetwork,
    readonly options: ScriptedPeerOptions,
  ) {
    this.endpoint = network.endpoint(options);
  }

  async start(): Promise<this> {
    await this.endpoint.start({
      onMessage: (message, flow) => {
        this.#flows.set(message, flow);
        if (message.kind === "request") {
          this.requests.push(message);
          this.onRequest(message);
        } else {
          this.responses.push(message);
        }
      },
      onMalformed: (error) => this.malformed.push(error),
      onConnectionState: () => undefined,
    });
    return this;
  }

  /** Answers a request on the flow on which it came. */
  reply(request: SipRequest, statusCode: number, fields: Partial<ResponseFields> = {}): void {
    const flow = this.#flows.get(request);
    assert.ok(flow);
    const toTag = statusCode === 100 ? undefined : (fields.toTag ?? `peer${++this.#tag}`);
    flow.send(serializeMessage(createResponse(request, { ...fields, statusCode, toTag })));
  }

  /** Sends a message as it is written; line ends may be LF. */
  send(text: string, address: string, port = 5060): void {
    const bytes = Buffer.from(text.replace(/\r?\n/g, "\r\n"), "utf8");
    this.endpoint.datagramFlow(address, port).send(bytes);
  }

  last(method: string): SipRequest {
    const found = this.requests.findLast((request) => request.method === method);
    assert.ok(found, `no ${method} came, but ${this.requests.map((r) => r.method).join(", ")}`);
    return found;
  }

  methods(): string[] {
    return this.requests.map(({ method }) => method);
  }

  statuses(): number[] {
    return this.responses.map(({ statusCode }) => statusCode);
  }
}

export interface RequestText {
  readonly method: string;
  readonly uri?: string;
  readonly from?: string;
  readonly to?: string;
  readonly callId?: string;
  readonly branch?: string;
  readonly sequence?: number;
  readonly via?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
}

let count = 0;

/** A request as a stranger at 10.0.0.9 writes it to bob at 10.0.0.2. */
export function requestText(request: RequestText): string {
  const n = ++count;
  const body = request.body ?? "";
  return [
    `${request.method} ${request.uri ?? "sip:bob@10.0.0.2"} SIP/2.0`,
    request.via ??
      `Via: SIP/2.0/UDP 10.0.0.9:5060;branch=${request.branch ?? `z9hG4bKs${n}`};rport`,
    "Max-Forwards: 70",
    `From: ${request.from ?? "<sip:stranger@10.0.0.9>"};tag=f${n}`,
    `To: ${request.to ?? "<sip:bob@10.0.0.2>"}`,
    `Call-ID: ${request.callId ?? `call-${n}`}`,
    `CSeq: ${request.sequence ?? 1} ${request.method}`,
    ...(request.headers ?? []),
    `Content-Length: ${Buffer.byteLength(body)}`,
    "",
    body,
  ].join("\r\n");
}

/** Reads what `serializeMessage` or a packet of the network's log holds. */
export function parsed(text: string): SipMessage {
  const result = parseMessage(Buffer.from(text));
  assert.ok(result.ok, "the message is malformed");
  return result.message;
}

export { SipRequest, SipResponse };
