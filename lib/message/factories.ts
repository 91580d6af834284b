/** Requests, ACK, CANCEL and responses as RFC 3261 §8.1.1, §17.1.1.3, §9.1 and §8.2.6 build them. */
import type { NameAddr } from "./name-addr.js";
import type { SipRequest, SipResponse } from "./message.js";

export interface RequestFields {
  readonly method: string;
  /** Request-URI. */
  readonly uri: string;
  readonly from: NameAddr;
  readonly to: NameAddr;
  readonly callId: string;
  readonly sequence: number;
  /** Default 70. */
  readonly maxForwards?: number;
  /** Route lines, already in order. */
  readonly routes?: readonly string[];
  /** Contact value. */
  readonly contact?: string | undefined;
  /** Further headers in order; names in display case. */
  readonly headers?: readonly (readonly [string, string])[];
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer | undefined;
}

/** A request without Via: the transaction adds it when the flow is known. */
export function createRequest(_fields: RequestFields): SipRequest {
  throw new Error("pending");
}

/** ACK for a final response ≥ 300, same branch as the INVITE (§17.1.1.3). */
export function createNon2xxAck(_invite: SipRequest, _response: SipResponse): SipRequest {
  throw new Error("pending");
}

/** CANCEL for a pending INVITE (§9.1). */
export function createCancel(_invite: SipRequest): SipRequest {
  throw new Error("pending");
}

export interface ResponseFields {
  readonly statusCode: number;
  /** Default: the phrase of the RFCs for this code. */
  readonly reason?: string | undefined;
  /** Put into To unless the request's To has one; never for 100. */
  readonly toTag?: string | undefined;
  readonly contact?: string | undefined;
  readonly headers?: readonly (readonly [string, string])[];
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer | undefined;
}

/** Copies Via, From, To, Call-ID, CSeq (and Record-Route, for dialog-forming 1xx/2xx) of the request. */
export function createResponse(_request: SipRequest, _fields: ResponseFields): SipResponse {
  throw new Error("pending");
}

/** The reason phrase of the RFCs, or the class's name. */
export function reasonPhrase(_statusCode: number): string {
  throw new Error("pending");
}
