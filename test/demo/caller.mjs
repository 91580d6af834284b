// The demo's built-in caller: a telephone of its own in a few lines over bare UDP sockets, so that what it sees is
// not the product's opinion of itself. It calls, listens, presses digits, waits for the other side to hang up.
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";

const token = () => randomBytes(6).toString("hex");
const muLaw = Int16Array.from({ length: 256 }, (_, code) => {
  const value = ~code & 0xff;
  const magnitude = (((value & 0x0f) << 3) + 0x84) << ((value & 0x70) >> 4);
  return value & 0x80 ? 0x84 - magnitude : magnitude - 0x84;
});

/**
 * Places one call.
 * @param {{port: number, user: string, digits: string, onLine?: (line: string) => void, address?: string}} options
 * @returns what was seen: `messages` in order ("INVITE →", "← 180" …), packets and tones heard, who hung up.
 */
export async function call({ port, user, digits, onLine = () => {}, address = "127.0.0.1" }) {
  const signalling = createSocket("udp4");
  const media = createSocket("udp4");
  signalling.bind(0, address);
  media.bind(0, address);
  await Promise.all([once(signalling, "listening"), once(media, "listening")]);
  const here = `${address}:${signalling.address().port}`;
  const id = { call: token(), tag: token(), to: "" };
  let target = `sip:${user}@${address}:${port}`;
  const seen = { messages: [], packets: 0, samples: [], digitsSent: "", ended: "", status: 0 };
  let answered;
  let finished;
  const done = new Promise((resolve) => (finished = resolve));
  const established = new Promise((resolve) => (answered = resolve));

  const show = (line) => {
    seen.messages.push(line);
    onLine(line);
  };
  const lines = (text, name) =>
    text
      .split("\r\n")
      .filter((line) => line.toLowerCase().startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trim());
  const send = (text) => signalling.send(text, port, address);
  const request = (method, number, body = "") =>
    `${method} ${target} SIP/2.0\r\nVia: SIP/2.0/UDP ${here};branch=z9hG4bK${token()};rport\r\nMax-Forwards: 70\r\n` +
    `From: "Demo caller" <sip:caller@${here}>;tag=${id.tag}\r\nTo: <sip:${user}@${address}:${port}>${id.to}\r\n` +
    `Call-ID: ${id.call}\r\nCSeq: ${number} ${method}\r\nContact: <sip:caller@${here}>\r\nUser-Agent: demo-caller\r\n` +
    `${body ? "Content-Type: application/sdp\r\n" : ""}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

  signalling.on("message", (data) => {
    const text = data.toString("utf8");
    const status = /^SIP\/2\.0 (\d+) (.*)\r\n/.exec(text);
    if (status) {
      const method = /\d+ (\w+)/.exec(lines(text, "cseq")[0] ?? "")?.[1];
      show(`  <─── ${status[1]} ${status[2]} (${method})`);
      if (method !== "INVITE") {
        if (method === "BYE") finished("caller");
        return;
      }
      const code = Number(status[1]);
      if (code < 200) return;
      seen.status = code;
      id.to = /;tag=[^;>\s]+/.exec(lines(text, "to")[0] ?? "")?.[0] ?? "";
      target = /<([^>]+)>/.exec(lines(text, "contact")[0] ?? "")?.[1] ?? target;
      send(request("ACK", 1));
      show("  ───> ACK");
      if (code >= 300) return finished("refused");
      answered(Number(/m=audio (\d+)/.exec(text)?.[1]));
      return;
    }
    const method = text.slice(0, text.indexOf(" "));
    show(`  <─── ${method}`);
    const copied = ["via", "from", "to", "call-id", "cseq"].flatMap((name) =>
      lines(text, name).map((value) => `${name}: ${value}\r\n`),
    );
    send(`SIP/2.0 200 OK\r\n${copied.join("")}content-length: 0\r\n\r\n`);
    show(`  ───> 200 OK (${method})`);
    if (method === "BYE") setTimeout(() => finished("flow"), 300);
  });
  media.on("message", (packet) => {
    if (packet.length < 13 || (packet[1] & 0x7f) !== 0) return;
    seen.packets++;
    for (const code of packet.subarray(12)) seen.samples.push(muLaw[code]);
  });

  const offer = `v=0\r\no=caller 1 1 IN IP4 ${address}\r\ns=-\r\nc=IN IP4 ${address}\r\nt=0 0\r\nm=audio ${media.address().port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n`;
  const invite = request("INVITE", 1, offer);
  send(invite);
  show(`  ───> INVITE ${target}`);
  const again = setInterval(() => seen.messages.length === 1 && send(invite), 500);
  const limit = setTimeout(() => finished("timeout"), 25_000);

  const talk = async () => {
    const remotePort = await established;
    clearInterval(again);
    const ssrc = randomBytes(4);
    let number = 1;
    let timestamp = 0;
    const rtp = (payloadType, marker, stamp, payload) => {
      const packet = Buffer.alloc(12 + payload.length);
      packet[0] = 0x80;
      packet[1] = payloadType | (marker ? 0x80 : 0);
      packet.writeUInt16BE(number++ & 0xffff, 2);
      packet.writeUInt32BE(stamp >>> 0, 4);
      ssrc.copy(packet, 8);
      payload.copy(packet, 12);
      media.send(packet, remotePort, address);
    };
    const silence = Buffer.alloc(160, 0xff);
    let stop = false;
    void done.then(() => (stop = true));
    let ticks = 0;
    const pending = [...digits];
    // Two seconds of listening first, then a digit every 400 ms: 8 event packets, the last three with the end bit.
    while (!stop) {
      await new Promise((next) => setTimeout(next, 20));
      ticks++;
      if (ticks > 100 && ticks % 20 === 0 && pending.length > 0) {
        const digit = pending.shift();
        const event = "0123456789*#ABCD".indexOf(digit);
        for (let i = 1; i <= 8; i++) {
          const payload = Buffer.from([event, i > 5 ? 0x8a : 0x0a, 0, 0]);
          payload.writeUInt16BE(Math.min(i, 6) * 160, 2);
          rtp(101, i === 1, timestamp, payload);
          if (i < 6) await new Promise((next) => setTimeout(next, 20));
        }
        timestamp += 6 * 160;
        seen.digitsSent += digit;
        show(`  ~~~> digit ${digit} (RTP telephone-event)`);
      } else {
        rtp(0, ticks === 1, timestamp, silence);
        timestamp += 160;
      }
    }
  };
  const talking = talk();
  seen.ended = await done;
  clearInterval(again);
  clearTimeout(limit);
  if (seen.status === 200) await talking;
  signalling.close();
  media.close();
  return seen;
}

/** Root mean square of what was heard, 0 … 1, over its loudest second. */
export function loudness(samples) {
  let best = 0;
  for (let start = 0; start + 8000 <= samples.length; start += 4000) {
    let sum = 0;
    for (let i = start; i < start + 8000; i++) sum += (samples[i] / 32768) ** 2;
    best = Math.max(best, Math.sqrt(sum / 8000));
  }
  return best;
}
