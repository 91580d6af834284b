// The full user agent as a caller: INVITE with an offer, 180, 200, ACK, BYE, 200, at the rate that the bench asks for.
// Usage: node uac.mjs PORT, started by bench/suites/uac.mjs. Build first (`npm run build`): it measures dist/.
import { createRequire } from "node:module";
import { obey } from "./support/paced.mjs";

const require = createRequire(import.meta.url);
const { DescriptionMediaHandler, UserAgent } = require("../dist/lib/index.js");

const targets = [`sip:bench@127.0.0.1:${process.argv[2]}`];
const agent = new UserAgent({
  transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }],
  mediaHandler: new DescriptionMediaHandler({ address: "127.0.0.1", port: 6000 }),
  allow: ["127.0.0.0/8"],
});
const report = (error) => console.error(error.message);

await agent.start();
const open = new Map();
agent.on("sessionEvent", (session, event) => {
  if (event.name === "confirmed") session.end().catch(report);
  if (event.name !== "ended" && event.name !== "failed") return;
  const done = open.get(session.id);
  open.delete(session.id);
  done?.(event.name === "ended");
});
obey((done) => void open.set(agent.invite({ targets }).id, done));
