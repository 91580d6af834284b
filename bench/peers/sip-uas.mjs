// npm `sip`: transactions over its own UDP transport; of dialogs only what the bench needs to know a BYE.
// Usage: BENCH_PEERS=FOLDER node sip-uas.mjs PORT
import { ANSWER } from "../support/description.mjs";
import { requireFrom } from "../support/npm-peers.mjs";

const sip = requireFrom(process.env.BENCH_PEERS)("sip");
const port = Number(process.argv[2]);
const contact = [{ uri: `sip:bench@127.0.0.1:${port}` }];
const calls = new Set();
let tags = 0;

const options = { address: "127.0.0.1", publicAddress: "127.0.0.1", port, udp: true, tcp: false };
sip.start(options, (request) => {
  const id = request.headers["call-id"];
  if (request.method === "INVITE") {
    calls.add(id);
    request.headers.to.params.tag = `s${++tags}`;
    sip.send(sip.makeResponse(request, 180, "Ringing", { headers: { contact } }));
    const headers = { contact, "content-type": "application/sdp" };
    sip.send(sip.makeResponse(request, 200, "OK", { headers, content: ANSWER }));
  } else if (request.method === "BYE") {
    const known = calls.delete(id);
    sip.send(
      known ? sip.makeResponse(request, 200, "OK") : sip.makeResponse(request, 481, "No Call"),
    );
  } else if (request.method !== "ACK") {
    sip.send(sip.makeResponse(request, 405, "Method Not Allowed"));
  }
});
process.once("SIGTERM", () => process.exit(0));
