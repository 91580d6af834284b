// The full user agent as the server of the benchmark of the peers: dialog, session and SDP negotiation, no sound.
// Usage: node uas.mjs PORT. It answers every INVITE with 180 and 200, takes BYE, and ends on SIGTERM.
// Build first (`npm run build`): it measures dist/, what users run.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { DescriptionMediaHandler, UserAgent } = require("../dist/lib/index.js");

const port = Number(process.argv[2] ?? 5060);

const userAgent = new UserAgent({
  transports: [{ protocol: "udp", address: "127.0.0.1", port }],
  mediaHandler: new DescriptionMediaHandler({ address: "127.0.0.1", port: 6010 }),
  allow: ["127.0.0.0/8"],
});

const report = (error) => console.error(error.message);

userAgent.onIncomingCall = (session) => {
  session.progress({ statusCode: 180 }).catch(report);
  session.accept().catch(report);
  return true;
};

process.on("SIGTERM", () => {
  userAgent.stop({ graceMs: 200 }).then(
    () => process.exit(0),
    () => process.exit(1),
  );
});

await userAgent.start();
console.log(`listening on 127.0.0.1:${port}`);
