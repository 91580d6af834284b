/** The ACK for a 2xx, the third message of the handshake, sent by us (RFC 3261 §13.2.2.4). */
import { UNWATCHED } from "../foundation/index.js";
import type { Dialog } from "../dialog/index.js";
import type { SipRequest } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import type { BodyFields } from "./body.js";
import type { SessionServices } from "./session-services.js";

export interface SentAck {
  readonly ack: SipRequest;
  /** For a repeated 2xx: the ACK was lost. */
  resend(): void;
}

const CREDENTIALS = [
  ["authorization", "Authorization"],
  ["proxy-authorization", "Proxy-Authorization"],
] as const;

/** @param invite - As sent: the ACK has its sequence number and its credentials (§22.1). */
export function acknowledge(
  services: SessionServices,
  dialog: Dialog,
  invite: SipRequest,
  flow: Flow,
  body: BodyFields = {},
): SentAck {
  const headers: (readonly [string, string])[] = [];
  for (const [key, name] of CREDENTIALS) {
    for (const value of invite.headers.getAll(key)) headers.push([name, value]);
  }
  headers.push(...services.commonHeaders("request", "ACK"));
  const ack = dialog.createRequest({
    method: "ACK",
    sequence: invite.cseq.sequence,
    headers,
    contentType: body.contentType,
    body: body.body,
  });
  return { ...UNWATCHED, ack, resend: services.sendAck(ack, dialog.nextHop, flow) };
}
