// What a call costs the user agent itself: INVITE, 180, 200, ACK, BYE, 200 through the whole stack without sockets.
// Usage: node calls.mjs [CALLS] [AT_ONCE]. Prints CPU time per call, the making of the peer's messages included, and
// what survives. With --expose-gc the heap is cleaned before both readings. Build first (`npm run build`): it measures dist/.
// PARTS=10 measures ten times CALLS one after the other; OPEN=10000 holds as many other calls meanwhile; T1=500 is the
// transactions' T1 in ms: answered ones linger 64 times as long; WARM=0 begins cold.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const {
  applyViaRules,
  DescriptionMediaHandler,
  parseMessage,
  UserAgent,
} = require("../dist/lib/rooms.js");

const calls = Number(process.argv[2] ?? 40_000);
const atOnce = Number(process.argv[3] ?? 4);
const number = (name, otherwise) => Number(process.env[name] ?? otherwise);
const parts = number("PARTS", 1);
const open = number("OPEN", 0);
const warmUp = number("WARM", 15_000);
// By default as many calls linger as at 1,500 a second.
const T1 = number("T1", 60);

const source = { protocol: "udp", address: "127.0.0.1", port: 5999 };
const sent = [];
const flow = {
  protocol: "udp",
  reliable: false,
  localAddress: "127.0.0.1",
  localPort: 5060,
  remoteAddress: source.address,
  remotePort: source.port,
  sentBy: "127.0.0.1:5060",
  contactHost: "127.0.0.1:5060",
  isOpen: true,
  send: (bytes) => void sent.push(bytes),
  onClosed: () => () => undefined,
};
let user;
const transportLayer = {
  bound: [{ protocol: "udp", address: "127.0.0.1", port: 5060 }],
  protocols: ["udp"],
  start: (given) => Promise.resolve(void (user = given)),
  stop: () => Promise.resolve(),
  connect: (_target, callback) => callback(undefined, flow),
  responseFlow: (_request, arrivedOn, callback) => callback(undefined, arrivedOn),
  counters: () => ({ received: 0, sent: 0, malformed: 0, dropped: 0, connections: 0 }),
};
const userAgent = new UserAgent({
  transports: transportLayer.bound,
  transportLayer,
  mediaHandler: new DescriptionMediaHandler({ address: "127.0.0.1", port: 6010 }),
  allow: ["127.0.0.0/8"],
  timers: { t1: T1, t2: 8 * T1, t4: 10 * T1 },
});
const report = (error) => console.error(error.message);
userAgent.onIncomingCall = (session) => {
  session.progress({ statusCode: 180 }).catch(report);
  session.accept().catch(report);
  return true;
};
await userAgent.start();

const SDP = `v=0
o=bench 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 6000 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=sendrecv
`.replaceAll("\n", "\r\n");

function request(call, method, sequence, toTag = "", further = "", body = "") {
  const head = `${method} sip:bench@127.0.0.1:5060 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bK-${call}-${method};rport
Max-Forwards: 70
From: "Bench Caller" <sip:caller@127.0.0.1:5999>;tag=from-${call}
To: <sip:bench@127.0.0.1:5060>${toTag}
Call-ID: ${call}-bench@127.0.0.1
CSeq: ${sequence} ${method}
${further}Content-Length: ${body.length}

`.replaceAll("\n", "\r\n");
  return Buffer.from(head + body, "latin1");
}

const INVITE_HEADERS = `Contact: <sip:caller@127.0.0.1:5999;transport=UDP>
Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO
Supported: replaces, timer
Content-Type: application/sdp
`;

function deliver(bytes) {
  const { message } = parseMessage(bytes);
  applyViaRules(message, source);
  user.onMessage(message, flow);
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const firstLine = (bytes) => bytes.toString("latin1", 0, 11);
const tagOf = (bytes) => /\r\nTo: [^\r]*(;tag=[^\r;]+)/.exec(bytes.toString("latin1"))?.[1];

/** @returns how many calls ran from INVITE to the 200 of their BYE (or of the INVITE, when they are `held`). */
async function run(first, count, held = false) {
  let complete = 0;
  for (let call = first; call < first + count; call += atOnce) {
    for (let i = 0; i < atOnce; i++)
      deliver(request(call + i, "INVITE", 1, "", INVITE_HEADERS, SDP));
    await turn();
    const answers = sent.splice(0).filter((bytes) => firstLine(bytes) === "SIP/2.0 200");
    for (const [i, answer] of answers.entries())
      deliver(request(call + i, "ACK", 1, tagOf(answer)));
    await turn();
    if (held) {
      complete += answers.length;
      continue;
    }
    for (const [i, answer] of answers.entries())
      deliver(request(call + i, "BYE", 2, tagOf(answer)));
    await turn();
    complete += sent.splice(0).length;
  }
  return complete;
}

const heap = () => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
};

let next = 0;
const further = async (count, held) => {
  const complete = await run(next, count, held);
  next += count;
  return complete;
};
await further(open, true);
await further(warmUp);
const heapBefore = heap();
const figures = [];
for (let part = 0; part < parts; part++) {
  const before = process.cpuUsage();
  const complete = await further(calls);
  const { user: own, system } = process.cpuUsage(before);
  const grown = heap() - heapBefore;
  figures.push({ complete, cpu: (own + system) / complete, grown });
  console.log(
    `${complete} calls: ${((own + system) / complete).toFixed(1)} µs CPU per call, heap ${(grown / 2 ** 20).toFixed(1)} MB more`,
  );
}
const code = figures.every(({ complete }) => complete >= calls) ? 0 : 1;
if (process.send) process.send(figures, () => process.exit(code));
else process.exit(code);
