// The full user agent as a client that registers many accounts, again and again, at the rate that the bench asks for.
// Usage: node registrations.mjs PORT, started by bench/suites/register.mjs. Build first: it measures dist/.
import { createRequire } from "node:module";
import { obey } from "./support/paced.mjs";

const require = createRequire(import.meta.url);
const { UserAgent } = require("../dist/lib/index.js");

const registrar = `sip:127.0.0.1:${process.argv[2]}`;
const ACCOUNTS = 1000;

const agent = new UserAgent({ transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }] });
await agent.start();
const accounts = Array.from({ length: ACCOUNTS }, (_, index) =>
  agent.addAccount({
    id: `account-${index}`,
    uri: `sip:bench${index}@127.0.0.1`,
    authUser: "bench",
    password: "secret",
    registrar,
    register: false,
    keepAlive: 0,
  }),
);
let next = 0;
obey((done) => {
  const account = accounts[next++ % ACCOUNTS];
  account.register().then(
    ({ ok }) => done(ok),
    () => done(false),
  );
});
