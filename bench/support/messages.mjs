// The messages of the parser bench: an INVITE of 1,349 bytes that came through four proxies, with an offer.
const lines = (...parts) => `${parts.join("\r\n")}\r\n`;

export const OFFER = lines(
  "v=0",
  "o=alice 2890844526 2890844526 IN IP4 192.0.2.10",
  "s=-",
  "c=IN IP4 192.0.2.10",
  "t=0 0",
  "m=audio 49170 RTP/AVP 0 8 9 101",
  "a=rtpmap:0 PCMU/8000",
  "a=rtpmap:8 PCMA/8000",
  "a=rtpmap:9 G722/8000",
  "a=rtpmap:101 telephone-event/8000",
  "a=fmtp:101 0-16",
  "a=ptime:20",
  "a=sendrecv",
);

const proxies = [4, 3, 2, 1];
const head = lines(
  "INVITE sip:bob@203.0.113.70:5060;transport=udp SIP/2.0",
  ...proxies.map(
    (n) =>
      `Via: SIP/2.0/UDP edge${n}.example.org:5060;branch=z9hG4bKd0c5f7a9${n};received=192.0.2.${n}`,
  ),
  "Via: SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bK3b41e9d2;rport=5062;received=192.0.2.10",
  ...proxies
    .slice(0, 3)
    .map((n) => `Record-Route: <sip:edge${n}.example.org:5060;lr;ftag=7d91c0e44f>`),
  "Max-Forwards: 66",
  'From: "Alice Example" <sip:alice@example.org>;tag=7d91c0e44f',
  "To: Bob <sip:bob@example.org>",
  "Call-ID: f81d4fae-7dec-11d0-a765@192.0.2.10",
  "CSeq: 27182 INVITE",
  "Contact: <sip:alice@192.0.2.10:5062;transport=udp>",
  "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, REFER, NOTIFY",
  "Supported: replaces, timer, 100rel",
  "User-Agent: ",
  "Content-Type: application/sdp",
  `Content-Length: ${OFFER.length}`,
);

const LENGTH = 1349;
const product = "bench".padEnd(LENGTH - head.length - 2 - OFFER.length, "-phone/1.0");

export const INVITE = `${head.replace("User-Agent: ", `User-Agent: ${product}`)}\r\n${OFFER}`;
