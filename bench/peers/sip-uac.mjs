// npm `sip` as a caller. Usage: BENCH_PEERS=FOLDER node sip-uac.mjs PORT
import { ANSWER } from "../support/description.mjs";
import { requireFrom } from "../support/npm-peers.mjs";
import { obey } from "../support/paced.mjs";
import { freePort } from "../support/processes.mjs";

// What goes to its own address it takes for a connection of before.
const CALLER = "127.0.0.2";
const sip = requireFrom(process.env.BENCH_PEERS)("sip");
const target = `sip:bench@127.0.0.1:${process.argv[2]}`;
const port = await freePort();
const contact = [{ uri: `sip:caller@${CALLER}:${port}` }];
let calls = 0;

sip.start(
  {
    address: CALLER,

    port,
    udp: true,
    tcp: false,
  },
  (request) => sip.send(sip.makeResponse(request, 405, "Method Not Allowed")),
);

function headersOf(call, method, to) {
  return {
    to,
    from: { uri: `sip:caller@${CALLER}:${port}`, params: { tag: `f${call}` } },
    "call-id": `${call}-${process.pid}@127.0.0.1`,
    cseq: { method, seq: method === "BYE" ? 2 : 1 },
    "max-forwards": 70,
  };
}

obey((done) => {
  const call = ++calls;
  const headers = {
    ...headersOf(call, "INVITE", { uri: target }),
    contact,
    "content-type": "application/sdp",
  };
  sip.send({ method: "INVITE", uri: target, headers, content: ANSWER }, (response) => {
    if (response.status < 200) return;
    if (response.status >= 300) {
      done(false);
      return;
    }
    const { to } = response.headers;
    const uri = response.headers.contact[0].uri;
    sip.send({ method: "ACK", uri, headers: { ...headersOf(call, "ACK", to), via: [] } });
    sip.send({ method: "BYE", uri, headers: headersOf(call, "BYE", to) }, (last) =>
      done(last.status === 200),
    );
  });
});
