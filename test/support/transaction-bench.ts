/** A transaction layer on a manual clock with a recording user, and the messages that its tests send into it. */
import { silentLogger, type Logger, type SipError } from "../../lib/foundation/index.js";
import {
  createRequest,
  createResponse,
  NameAddr,
  parseUri,
  SipRequest,
  type SipResponse,
  type Uri,
} from "../../lib/message/index.js";
import {
  TransactionLayer,
  type ClientTransactionUser,
  type ServerTransaction,
  type ServerTransactionUser,
  type TransactionLayerOptions,
  type TransactionLayerUser,
} from "../../lib/transaction/index.js";
import type { TransportProtocol } from "../../lib/transport/transport.js";
import { FakeFlow } from "./fake-flow.js";
import { ManualClock } from "./manual-clock.js";
import { SeededRandom } from "./seeded-random.js";

/** Records what a client transaction reports: `180`, `failure E_TIMEOUT`, `terminated`. */
export class ClientRecorder implements ClientTransactionUser {
  readonly log: string[] = [];
  readonly responses: SipResponse[] = [];

  onResponse(response: SipResponse): void {
    this.log.push(String(response.statusCode));
    this.responses.push(response);
  }
  onFailure(error: SipError): void {
    this.log.push(`failure ${error.code}`);
  }
  onTerminated(): void {
    this.log.push("terminated");
  }
}

/** Records what a server transaction reports: `CANCEL`, `ACK`, `failure E_TIMEOUT`, `terminated`. */
export class ServerRecorder implements ServerTransactionUser {
  readonly log: string[] = [];

  onCancel(): void {
    this.log.push("CANCEL");
  }
  onAck(): void {
    this.log.push("ACK");
  }
  onFailure(error: SipError): void {
    this.log.push(`failure ${error.code}`);
  }
  onTerminated(): void {
    this.log.push("terminated");
  }
}

/** Keeps error lines, so that a test sees that nothing failed in silence. */
export class ErrorLog implements Logger {
  readonly errors: string[] = [];
  debug = silentLogger.debug;
  info = silentLogger.info;
  warn = silentLogger.warn;
  error(text: string): void {
    this.errors.push(text);
  }
}

export class TransactionBench implements TransactionLayerUser {
  readonly clock = new ManualClock();
  readonly logger = new ErrorLog();
  readonly layer: TransactionLayer;
  readonly flow: FakeFlow;
  /** New requests in order. */
  readonly transactions: ServerTransaction[] = [];
  /** ACKs and 2xx that belong to no transaction. */
  readonly acks: SipRequest[] = [];
  readonly strays: SipResponse[] = [];
  /** What the user does with a new request; by default nothing. */
  answer: (transaction: ServerTransaction) => void = () => undefined;

  constructor(protocol: TransportProtocol = "udp", options: Partial<TransactionLayerOptions> = {}) {
    this.flow = new FakeFlow(this.clock, protocol);
    this.layer = new TransactionLayer({
      clock: this.clock,
      random: new SeededRandom(3),
      logger: this.logger,
      user: this,
      ...options,
    });
  }

  onRequest(transaction: ServerTransaction): void {
    this.transactions.push(transaction);
    this.answer(transaction);
  }
  onAck(ack: SipRequest): void {
    this.acks.push(ack);
  }
  onStrayResponse(response: SipResponse): void {
    this.strays.push(response);
  }

  /** The newest server transaction, which must be there. */
  get transaction(): ServerTransaction {
    const last = this.transactions.at(-1);
    if (!last) throw new Error("No request came through");
    return last;
  }

  /** Hands a request in and returns it. */
  receive(request: SipRequest): SipRequest {
    this.layer.receive(request, this.flow);
    return request;
  }

  /** Sends our own request. */
  send(method: string, user: ClientTransactionUser) {
    return this.layer.request(outgoing(method), this.flow, user);
  }

  /** Hands in the peer's response to our last request of this method. */
  respond(statusCode: number, method: string, tag = "peer"): void {
    const sent = this.flow.sent.findLast(
      ({ message }) => message.kind === "request" && message.method === method,
    )?.message;
    if (!(sent instanceof SipRequest)) throw new Error(`No ${method} was sent`);
    const response = createResponse(sent, { statusCode, toTag: tag });
    this.layer.receive(response, this.flow);
  }
}

function uri(text: string): Uri {
  const parsed = parseUri(text);
  if (!parsed) throw new Error(text);
  return parsed;
}

/** A request of ours, without Via. */
export function outgoing(method: string): SipRequest {
  return createRequest({
    method,
    uri: "sip:bob@192.0.2.2",
    from: new NameAddr(uri("sip:alice@192.0.2.1"), undefined, new Map([["tag", "local"]])),
    to: new NameAddr(uri("sip:bob@192.0.2.2")),
    callId: "call-1",
    sequence: 1,
    headers: [["Contact", "<sip:alice@192.0.2.1>"]],
  });
}

export interface IncomingFields {
  readonly branch?: string | undefined;
  readonly sentBy?: string;
  readonly callId?: string;
  readonly fromTag?: string;
  readonly toTag?: string | undefined;
  readonly sequence?: number;
  readonly uri?: string;
}

/** A request of the peer, as it comes out of the transport layer. Branch undefined = none at all. */
export function incoming(method: string, fields: IncomingFields = {}): SipRequest {
  const from = new Map([["tag", fields.fromTag ?? "remote"]]);
  const to = new Map(fields.toTag === undefined ? [] : [["tag", fields.toTag]]);
  const request = createRequest({
    method,
    uri: fields.uri ?? "sip:alice@192.0.2.1",
    from: new NameAddr(uri("sip:bob@192.0.2.2"), undefined, from),
    to: new NameAddr(uri("sip:alice@192.0.2.1"), undefined, to),
    callId: fields.callId ?? "call-1",
    sequence: fields.sequence ?? 1,
    headers: [["Contact", "<sip:bob@192.0.2.2:5070>"]],
  });
  const branch = "branch" in fields ? fields.branch : "z9hG4bKpeer1";
  const parameter = branch === undefined ? "" : `;branch=${branch}`;
  const via = `SIP/2.0/UDP ${fields.sentBy ?? "192.0.2.2:5070"}${parameter};received=192.0.2.2`;
  request.headers.prepend("Via", via);
  request.source = { protocol: "udp", address: "192.0.2.2", port: 5070 };
  return request;
}

/** The response of our user, tagged as the transaction proposes. */
export function reply(transaction: ServerTransaction, statusCode: number): void {
  transaction.respond(
    createResponse(transaction.request, { statusCode, toTag: transaction.localTag }),
  );
}
