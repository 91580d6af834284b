// The floor: a socket and texts cut out of the request. No transactions, no state, no checks; not a SIP stack.
// Usage: node bare-uas.mjs PORT
import dgram from "node:dgram";
import { ANSWER } from "../support/description.mjs";

const port = Number(process.argv[2]);
const socket = dgram.createSocket({
  type: "udp4",
  recvBufferSize: 4 << 20,
  sendBufferSize: 4 << 20,
});

/** The line of a header that every message of this bench has. */
function line(text, name) {
  const start = text.indexOf(`\r\n${name}: `) + 2;
  return text.slice(start, text.indexOf("\r\n", start) + 2);
}

socket.on("message", (data, { port: to, address }) => {
  const text = data.latin1Slice();
  const method = text.slice(0, text.indexOf(" "));
  if (method === "ACK") return;
  const before = line(text, "Via") + line(text, "From");
  const after = line(text, "Call-ID") + line(text, "CSeq");
  const called = line(text, "To");
  if (method !== "INVITE") {
    socket.send(
      `SIP/2.0 200 OK\r\n${before}${called}${after}Content-Length: 0\r\n\r\n`,
      to,
      address,
    );
    return;
  }
  const common = `${before}${called.slice(0, -2)};tag=bare\r\n${after}Contact: <sip:bench@127.0.0.1:${port}>\r\n`;
  socket.send(`SIP/2.0 180 Ringing\r\n${common}Content-Length: 0\r\n\r\n`, to, address);
  const body = `Content-Type: application/sdp\r\nContent-Length: ${ANSWER.length}\r\n\r\n${ANSWER}`;
  socket.send(`SIP/2.0 200 OK\r\n${common}${body}`, to, address);
});
process.once("SIGTERM", () => process.exit(0));
socket.bind(port, "127.0.0.1");
