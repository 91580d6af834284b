// sip.js: its core (user agent, transactions, dialogs) over a UDP transport written here; it has none, and none of the
// timers that UDP needs, so it does less than RFC 3261 asks for.
// Usage: BENCH_PEERS=FOLDER node sipjs-uas.mjs PORT
import dgram from "node:dgram";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ANSWER } from "../support/description.mjs";

const port = Number(process.argv[2]);
const folder = join(process.env.BENCH_PEERS, "node_modules/sip.js/lib");
const load = (path) => import(pathToFileURL(join(folder, path)).href);
const core = await load("core/index.js");
const { URI } = await load("grammar/uri.js");

const socket = dgram.createSocket({ type: "udp4", recvBufferSize: 4 << 20 });
const VIA = /^Via: SIP\/2\.0\/UDP ([^:;]+):(\d+)/im;
const transport = {
  protocol: "UDP",
  send(message) {
    const [, address, to] = VIA.exec(message) ?? [];
    return new Promise((resolve, reject) => {
      socket.send(message, Number(to), address, (error) => (error ? reject(error) : resolve()));
    });
  },
};
const loggers = new core.LoggerFactory();
loggers.builtinEnabled = false;
loggers.level = 0;
const logger = loggers.getLogger("bench");
const uri = new URI("sip", "bench", "127.0.0.1", port);
const contact = `<sip:bench@127.0.0.1:${port}>`;
const extraHeaders = [`Contact: ${contact}`];
const agent = new core.UserAgentCore(
  {
    aor: uri,
    contact: { uri, pubGruu: undefined, tempGruu: undefined, toString: () => contact },
    displayName: "",
    hackViaTcp: false,
    loggerFactory: loggers,
    routeSet: [],
    sipjsId: "bench",
    supportedOptionTags: [],
    supportedOptionTagsResponse: [],
    userAgentHeaderFieldValue: "bench",
    viaForceRport: true,
    viaHost: "127.0.0.1",
    authenticationFactory: () => undefined,
    transportAccessor: () => transport,
  },
  {
    onInvite(invite) {
      invite.progress({ statusCode: 180, extraHeaders });
      const body = {
        contentDisposition: "session",
        contentType: "application/sdp",
        content: ANSWER,
      };
      const { session } = invite.accept({ statusCode: 200, extraHeaders, body });
      session.delegate = { onBye: (bye) => bye.accept() };
    },
  },
);
socket.on("message", (data) => {
  const message = core.Parser.parseMessage(data.toString(), logger);
  if (message instanceof core.IncomingRequestMessage)
    agent.receiveIncomingRequestFromTransport(message);
  else if (message instanceof core.IncomingResponseMessage) {
    agent.receiveIncomingResponseFromTransport(message);
  }
});
process.once("SIGTERM", () => process.exit(0));
socket.bind(port, "127.0.0.1");
