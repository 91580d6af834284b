/** Messages of every kind as a stranger at 10.0.0.9 sends them to bob at 10.0.0.2. */
import { requestText } from "../support/scripted-peer.js";

export const SDP =
  "v=0\r\no=x 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n" +
  "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

const CONTACT = "Contact: <sip:peer@10.0.0.9>";
const SDP_TYPE = "Content-Type: application/sdp";
const TO = "<sip:bob@10.0.0.2>;tag=x";

/** New ones each time: every message begins a transaction of its own. */
export function soundMessages(): string[] {
  const response = (status: string, method = "INVITE"): string =>
    requestText({ method }).replace(/^[^\r]*/, `SIP/2.0 ${status}`);
  return [
    requestText({ method: "INVITE", headers: [CONTACT, SDP_TYPE], body: SDP }),
    requestText({
      method: "INVITE",
      headers: [
        CONTACT,
        "Record-Route: <sip:p1@10.0.0.7;lr>, <sip:p2@10.0.0.8>",
        "Supported: 100rel, timer, replaces, gruu",
        "Session-Expires: 1800;refresher=uac",
        "Min-SE: 90",
        'P-Asserted-Identity: "Bob" <sip:bob@example.com>, <tel:+4930123>',
        "Diversion: <sip:a@b>;reason=no-answer",
      ],
    }),
    requestText({
      method: "INVITE",
      headers: [CONTACT, "Replaces: abc;to-tag=1;from-tag=2;early-only", "Require: replaces"],
    }),
    requestText({ method: "OPTIONS", headers: ["Accept: application/sdp"] }),
    requestText({ method: "MESSAGE", headers: ["Content-Type: text/plain"], body: "hello" }),
    requestText({
      method: "MESSAGE",
      headers: ["Content-Type: multipart/mixed;boundary=b"],
      body: "--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b\r\n\r\nho\r\n--b--\r\n",
    }),
    requestText({
      method: "REFER",
      headers: [CONTACT, "Refer-To: <sip:carol@10.0.0.7?Replaces=a%3Bto-tag%3Db>"],
    }),
    requestText({
      method: "NOTIFY",
      headers: [CONTACT, "Event: refer;id=1", "Subscription-State: active;expires=60"],
      body: "SIP/2.0 100 Trying\r\n",
    }),
    requestText({ method: "SUBSCRIBE", headers: [CONTACT, "Event: dialog", "Expires: 600"] }),
    requestText({ method: "UPDATE", to: TO, headers: [CONTACT, SDP_TYPE], body: SDP }),
    requestText({ method: "PRACK", to: TO, headers: ["RAck: 1 1 INVITE"] }),
    requestText({ method: "BYE", to: TO, headers: ['Reason: Q.850;cause=16;text="done"'] }),
    requestText({ method: "CANCEL" }),
    requestText({ method: "ACK", to: TO }),
    requestText({
      method: "INFO",
      headers: ["Content-Type: application/dtmf-relay"],
      body: "Signal=1\r\nDuration=160\r\n",
    }),
    response("100 Trying"),
    response("183 Session Progress"),
    response("200 OK"),
    response("200 OK", "OPTIONS"),
    response("302 Moved").replace("Content-Length", `${CONTACT};q=0.5\r\nContent-Length`),
    response("401 Unauthorized").replace(
      "Content-Length",
      'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth,auth-int", algorithm=SHA-256\r\nContent-Length',
    ),
    response("422 Too Small").replace("Content-Length", "Min-SE: 300\r\nContent-Length"),
    response("503 Unavailable").replace(
      "Content-Length",
      "Retry-After: 7 (busy)\r\nContent-Length",
    ),
  ];
}
