/**
 * A hostile sender in a process of its own, on loopback, for a bounded time:
 * `node flooder.mjs KIND FROM TARGET PORT RATE SECONDS`. KIND is a SIP method, `garbage`, `response` or `rtp`; FROM is an
 * address, or `A.B.C.*` for 200 of them in turn; RATE is datagrams per second. Prints `{"sent": …, "answers": …}` at its end.
 */
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";

const [kind, from, target, port, rate, seconds] = process.argv.slice(2);
const TICK_MS = 5;
const DRAIN_MS = 300;

const sdp =
  "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
let count = 0;

function via(address, localPort) {
  return `SIP/2.0/UDP ${address}:${localPort};branch=z9hG4bKflood${process.pid}x${count};rport`;
}

function message(address, localPort) {
  count++;
  if (kind === "garbage") return randomBytes(40 + (count % 1200));
  if (kind === "rtp") {
    const packet = Buffer.alloc(172, 0xd5);
    packet.writeUInt16BE(0x8000, 0);
    packet.writeUInt16BE(count & 0xffff, 2);
    packet.writeUInt32BE((count * 160) >>> 0, 4);
    packet.writeUInt32BE(0x0badf00d, 8);
    return packet;
  }
  const body = kind === "INVITE" ? sdp : kind === "MESSAGE" ? "hello" : "";
  const names = `From: <sip:flood@${address}>;tag=f${count}\r\nTo: <sip:alice@${target}>${kind === "response" ? ";tag=x" : ""}\r\nCall-ID: flood-${process.pid}-${count}\r\n`;
  if (kind === "response") {
    return `SIP/2.0 200 OK\r\nVia: ${via(target, port)}\r\n${names}CSeq: 1 INVITE\r\nContact: <sip:x@${address}>\r\nContent-Length: 0\r\n\r\n`;
  }
  return (
    `${kind} sip:alice@${target}:${port} SIP/2.0\r\nVia: ${via(address, localPort)}\r\nMax-Forwards: 70\r\n${names}CSeq: 1 ${kind}\r\n` +
    `Contact: <sip:flood@${address}:${localPort}>\r\nEvent: presence\r\n` +
    (body === ""
      ? ""
      : `Content-Type: ${kind === "INVITE" ? "application/sdp" : "text/plain"}\r\n`) +
    `Content-Length: ${body.length}\r\n\r\n${body}`
  );
}

let answers = 0;
const addresses = from.endsWith("*")
  ? Array.from({ length: 200 }, (_, i) => from.replace("*", String(i + 1)))
  : [from];
const sockets = await Promise.all(
  addresses.map(
    (address) =>
      new Promise((done) => {
        const socket = createSocket("udp4");
        socket.on("message", () => answers++);
        socket.bind(0, address, () => done(socket));
      }),
  ),
);
const start = performance.now();
let sent = 0;
const timer = setInterval(() => {
  const elapsed = Math.min(performance.now() - start, Number(seconds) * 1000);
  for (const due = Math.floor((elapsed / 1000) * Number(rate)); sent < due; sent++) {
    const turn = sent % sockets.length;
    const socket = sockets[turn];
    socket.send(message(addresses[turn], socket.address().port), Number(port), target);
  }
  if (elapsed < Number(seconds) * 1000) return;
  clearInterval(timer);
  setTimeout(() => {
    console.log(JSON.stringify({ sent, answers }));
    for (const socket of sockets) socket.close();
  }, DRAIN_MS);
}, TICK_MS);
