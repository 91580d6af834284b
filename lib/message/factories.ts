/** Requests, ACK, CANCEL and responses as RFC 3261 §8.1.1, §17.1.1.3, §9.1 and §8.2.6 build them. */
import { InvalidArgumentError } from "../foundation/index.js";
import { checkUserHeaderValue, checkUserToken } from "./header-checks.js";
import { HeaderField, HeaderMap } from "./headers.js";
import { headerName } from "./header-names.js";
import type { NameAddr } from "./name-addr.js";
import { SipRequest, SipResponse, viasOf } from "./message.js";
import { checkRequestUri } from "./serializer.js";
import { reasonPhrase } from "./status.js";

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

/** Shared by all messages without body. */
const NO_BODY = Buffer.alloc(0);

const MAX_FORWARDS = headerName("max-forwards");
const MAX_FORWARDS_70 = new HeaderField(MAX_FORWARDS, "70");
const CSEQ = headerName("cseq");
const TO = headerName("to");

/**
 * A request without Via: the transaction adds it when the flow is known.
 *
 * @throws InvalidArgumentError (`bad-header`) when a value holds CR, LF or NUL or a name is no token.
 */
export function createRequest(fields: RequestFields): SipRequest {
  checkUserToken("Method", fields.method);
  checkRequestUri(fields.uri);
  if (!Number.isInteger(fields.sequence) || fields.sequence < 0 || fields.sequence > 0x7fff_ffff) {
    throw new InvalidArgumentError("CSeq numbers run from 0 to 2^31-1", { rule: "bad-header" });
  }
  const headers = new HeaderMap();
  for (const route of fields.routes ?? []) headers.add("route", route);
  if ((fields.maxForwards ?? 70) === 70) headers.fields.push(MAX_FORWARDS_70);
  else headers.add("max-forwards", String(fields.maxForwards));
  headers.add("from", fields.from.toString());
  headers.add("to", fields.to.toString());
  headers.add("call-id", fields.callId);
  headers.fields.push(new HeaderField(CSEQ, `${fields.sequence} ${fields.method}`));
  addContent(headers, fields);
  return new SipRequest(fields.method, fields.uri, headers, fields.body ?? NO_BODY);
}

/** ACK for a final response ≥ 300, same branch as the INVITE (§17.1.1.3). */
export function createNon2xxAck(invite: SipRequest, response: SipResponse): SipRequest {
  const ack = createHopByHop(invite, "ACK");
  const to = response.headers.first("to");
  if (to !== undefined) {
    const fields = ack.headers.fields;
    const index = fields.findIndex((field) => field.header === TO);
    fields[index] = to;
  }
  return ack;
}

/** CANCEL for a pending INVITE (§9.1). */
export function createCancel(invite: SipRequest): SipRequest {
  return createHopByHop(invite, "CANCEL");
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

/** Methods whose 101–299 responses make a dialog, with a route set copied from the request. */
const DIALOG_FORMING = new Set(["INVITE", "SUBSCRIBE", "REFER", "NOTIFY"]);

/**
 * Copies Via, From, To, Call-ID, CSeq (and Record-Route, for dialog-forming 1xx/2xx) of the request,
 * Timestamp into a 100 (§8.2.6.1). Copied lines stay as the peer wrote them, faulty ones too.
 *
 * @throws InvalidArgumentError for a bad status code, reason phrase or header of ours.
 */
export function createResponse(request: SipRequest, fields: ResponseFields): SipResponse {
  const { statusCode } = fields;
  if (!Number.isInteger(statusCode) || statusCode < 100 || statusCode > 699) {
    throw new InvalidArgumentError("Status codes run from 100 to 699");
  }
  if (fields.reason !== undefined) checkUserHeaderValue("Reason phrase", fields.reason);
  const copyRoute = statusCode > 100 && statusCode < 300 && DIALOG_FORMING.has(request.method);
  const copied: HeaderField[] = [];
  for (const field of request.headers.fields) {
    switch (field.header.name) {
      case "via":
      case "from":
      case "call-id":
      case "cseq":
        copied.push(field);
        break;
      case "to":
        copied.push(withTag(field, request, fields));
        break;
      case "record-route":
        if (copyRoute) copied.push(field);
        break;
      case "timestamp":
        if (statusCode === 100) copied.push(field);
        break;
    }
  }
  const headers = new HeaderMap(copied);
  addContent(headers, fields);
  return new SipResponse(
    statusCode,
    fields.reason ?? reasonPhrase(statusCode),
    headers,
    fields.body ?? NO_BODY,
  );
}

function withTag(field: HeaderField, request: SipRequest, fields: ResponseFields): HeaderField {
  const { toTag } = fields;
  if (toTag === undefined || fields.statusCode === 100) return field;
  if (request.to.tag !== undefined) return field;
  checkUserToken("To tag", toTag);
  return new HeaderField(field.header, `${field.value};tag=${toTag}`);
}

/** Contact, further headers, Content-Type: the part that comes from our side. */
function addContent(headers: HeaderMap, fields: RequestFields | ResponseFields): void {
  if (fields.contact !== undefined) headers.add("contact", fields.contact);
  if (fields.headers !== undefined) {
    for (const [name, value] of fields.headers) headers.add(name, value);
  }
  if (fields.contentType === undefined) return;
  if (headers.has("content-type")) headers.set("content-type", fields.contentType);
  else headers.add("content-type", fields.contentType);
}

/** ACK or CANCEL of the INVITE's own hop: its top Via, route, identity and sequence number. */
function createHopByHop(invite: SipRequest, method: "ACK" | "CANCEL"): SipRequest {
  const fields: HeaderField[] = [];
  let viaSeen = false;
  for (const field of invite.headers.fields) {
    switch (field.header.name) {
      case "via":
        if (!viaSeen) fields.push(topOnly(field));
        viaSeen = true;
        break;
      case "route":
      case "from":
      case "to":
      case "call-id":
        fields.push(field);
        break;
    }
  }
  fields.push(MAX_FORWARDS_70, new HeaderField(CSEQ, `${invite.cseq.sequence} ${method}`));
  return new SipRequest(method, invite.uri, new HeaderMap(fields), NO_BODY);
}

function topOnly(field: HeaderField): HeaderField {
  const vias = viasOf(field);
  return vias.length < 2 ? field : new HeaderField(field.header, String(vias[0]));
}

export { reasonPhrase };
