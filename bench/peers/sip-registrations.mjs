// npm `sip` with its digest module as a client that registers. Usage: BENCH_PEERS=FOLDER node sip-registrations.mjs PORT
import { requireFrom } from "../support/npm-peers.mjs";
import { obey } from "../support/paced.mjs";
import { freePort } from "../support/processes.mjs";

const require = requireFrom(process.env.BENCH_PEERS);
// What goes to its own address it takes for a connection of before.
const CALLER = "127.0.0.2";
const sip = require("sip");
const digest = require("sip/digest");
const uri = `sip:127.0.0.1:${process.argv[2]}`;
const port = await freePort();
const credentials = { user: "bench", password: "secret" };
const ACCOUNTS = 1000;

sip.start(
  {
    address: CALLER,

    port,
    udp: true,
    tcp: false,
  },
  () => undefined,
);
const accounts = Array.from({ length: ACCOUNTS }, (_, index) => ({
  index,
  sequence: 0,
  session: {},
}));
let next = 0;

function request({ index, sequence }) {
  const own = `sip:bench${index}@127.0.0.1`;
  return {
    method: "REGISTER",
    uri,
    headers: {
      to: { uri: own },
      from: { uri: own, params: { tag: `f${index}-${sequence}` } },
      "call-id": `${index}-${process.pid}@127.0.0.1`,
      cseq: { method: "REGISTER", seq: sequence },
      contact: [{ uri: `sip:bench${index}@${CALLER}:${port}` }],
      expires: 300,
      "max-forwards": 70,
    },
  };
}

obey((done) => {
  const account = accounts[next++ % ACCOUNTS];
  const send = (tries) => {
    account.sequence += 1;
    const message = request(account);
    if (account.session.nonce !== undefined) digest.signRequest(account.session, message);
    sip.send(message, (response) => {
      if (response.status === 401 && tries > 0) {
        account.session = {};
        digest.signRequest(account.session, request(account), response, credentials);
        send(tries - 1);
      } else if (response.status >= 200) done(response.status === 200);
    });
  };
  send(2);
});
