// What a datagram costs that the stack wants nothing of, without the socket: `node bench/refused.mjs`, after `npm run build`.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { MessageReceiver, resolveSettings, UserAgent } = require("../dist/lib/rooms.js");

const COUNT = 200_000;
const body =
  "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n";

let number = 0;
function request(method, toTag = "") {
  number++;
  return Buffer.from(
    `${method} sip:alice@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bK${number};rport\r\nMax-Forwards: 70\r\n` +
      `From: <sip:x@198.51.100.9>;tag=${number}\r\nTo: <sip:alice@192.0.2.1>${toTag}\r\nCall-ID: c${number}@198.51.100.9\r\nCSeq: 1 ${method}\r\n` +
      `Contact: <sip:x@198.51.100.9>\r\nUser-Agent: none\r\nContent-Type: application/sdp\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}

/** A transport that keeps its user and sends nothing. */
class NoTransport {
  bound = [];
  protocols = ["udp"];
  start(user) {
    this.user = user;
    return Promise.resolve();
  }
  stop() {
    return Promise.resolve();
  }
  connect(_target, callback) {
    callback(new Error("nowhere"), undefined);
  }
  responseFlow(_request, flow, callback) {
    callback(undefined, flow);
  }
  counters() {
    return {};
  }
}

function flowFrom(address) {
  return {
    protocol: "udp",
    reliable: false,
    remoteAddress: address,
    remotePort: 5060,
    localAddress: "192.0.2.1",
    localPort: 5060,
    sentBy: "192.0.2.1:5060",
    isOpen: true,
    send: () => undefined,
    onClosed: () => () => undefined,
  };
}

const transport = new NoTransport();
const userAgent = new UserAgent({
  transports: [{ protocol: "udp", address: "192.0.2.1", port: 5060 }],
  transportLayer: transport,
  allow: ["10.0.0.0/8"],
});
await userAgent.start();
const receiver = new MessageReceiver(resolveSettings({}));
receiver.user = transport.user;

function measure(what, messages, addressOf) {
  const flows = Array.from({ length: 5_000 }, (_, i) => flowFrom(addressOf(i)));
  for (let i = 0; i < 20_000; i++)
    receiver.receive(messages[i % messages.length], flows[i % 5_000], "datagram");
  const begin = process.cpuUsage();
  for (let i = 0; i < COUNT; i++) {
    receiver.receive(messages[i % messages.length], flows[i % flows.length], "datagram");
  }
  const { user, system } = process.cpuUsage(begin);
  console.log(`${what.padEnd(64)} ${((user + system) / COUNT).toFixed(2)} µs`);
}

const many = (make) => Array.from({ length: 1_000 }, make);
const stranger = () => "198.51.100.9";
measure(
  "an INVITE of a stranger that is not answered any more (unread)",
  many(() => request("INVITE")),
  stranger,
);
measure(
  "the same with a tag in To (read, refused in silence)",
  many(() => request("INVITE", ";tag=x")),
  stranger,
);
measure(
  "INVITEs of 5,000 forged strangers",
  many(() => request("INVITE")),
  (i) => `198.51.${i >> 8}.${i & 255}`,
);
measure(
  "a response that nobody asked for",
  many(() =>
    Buffer.from(
      `SIP/2.0 200 OK\r\n${String(request("INVITE")).split("\r\n").slice(1).join("\r\n")}`,
    ),
  ),
  stranger,
);
measure(
  "garbage of 500 bytes",
  many((_, i) => Buffer.alloc(500, i & 255)),
  stranger,
);
await userAgent.stop();
