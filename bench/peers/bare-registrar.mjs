// A registrar with a socket and texts: asks for a digest, checks it, answers 200.
// Usage: node bare-registrar.mjs PORT once|keep; "once": a nonce is good for one REGISTER, so each one is asked again
import { createHash } from "node:crypto";
import dgram from "node:dgram";

const port = Number(process.argv[2]);
const once = process.argv[3] === "once";
const nonces = new Set();
let count = 0;
const socket = dgram.createSocket({
  type: "udp4",
  recvBufferSize: 4 << 20,
  sendBufferSize: 4 << 20,
});
const md5 = (text) => createHash("md5").update(text).digest("hex");
const HA1 = md5("bench:bench:secret");

function line(text, name) {
  const start = text.indexOf(`\r\n${name}: `) + 2;
  return start === 1 ? "" : text.slice(start, text.indexOf("\r\n", start) + 2);
}

function isRight(header) {
  const of = (name) => new RegExp(`[ ,]${name}="?([^",\\s]+)"?`).exec(header)?.[1] ?? "";
  const nonce = of("nonce");
  if (!nonces.has(nonce)) return false;
  if (once) nonces.delete(nonce);
  const ha2 = md5(`REGISTER:${of("uri")}`);
  return of("response") === md5(`${HA1}:${nonce}:${of("nc")}:${of("cnonce")}:auth:${ha2}`);
}

socket.on("message", (data, { port: to, address }) => {
  const text = data.latin1Slice();
  const common = `${line(text, "Via")}${line(text, "From")}${line(text, "To").trimEnd()};tag=registrar\r\n${line(text, "Call-ID")}${line(text, "CSeq")}`;
  if (isRight(line(text, "Authorization"))) {
    const contact = line(text, "Contact").trimEnd();
    const expires = contact.includes("expires=") ? "" : ";expires=300";
    socket.send(
      `SIP/2.0 200 OK\r\n${common}${contact}${expires}\r\nContent-Length: 0\r\n\r\n`,
      to,
      address,
    );
    return;
  }
  const nonce = `n${(++count).toString(36)}x${process.pid}`;
  nonces.add(nonce);
  const challenge = `WWW-Authenticate: Digest realm="bench", nonce="${nonce}", qop="auth", algorithm=MD5, stale=true\r\n`;
  socket.send(
    `SIP/2.0 401 Unauthorized\r\n${common}${challenge}Content-Length: 0\r\n\r\n`,
    to,
    address,
  );
});
process.once("SIGTERM", () => process.exit(0));
socket.bind(port, "127.0.0.1");
