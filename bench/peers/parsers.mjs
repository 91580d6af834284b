// Reads the same INVITE with every parser there is, touches five headers, and writes a 200 with a description.
// Usage: BENCH_PEERS=FOLDER node parsers.mjs ROUNDS MS; sends {parse, five, reply} by name of the parser.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as ours from "../parser.mjs";
import { INVITE, OFFER } from "../support/messages.mjs";
import { requireFrom } from "../support/npm-peers.mjs";
import { ratesOf } from "../support/rates.mjs";

const [rounds, ms] = process.argv.slice(2).map(Number);
const folder = process.env.BENCH_PEERS;
const parsers = { ours };
const CONTACT = "sip:bob@198.51.100.7:5060";

async function addPeers() {
  const require = requireFrom(folder);
  const sip = require("sip");
  parsers.sip = {
    parse: (text) => sip.parse(text),
    touch: ({ headers }) =>
      headers.via[0].host.length +
      headers.from.uri.length +
      headers.to.uri.length +
      headers.cseq.seq +
      headers["call-id"].length,
    reply200: (message) =>
      sip.stringify(
        sip.makeResponse(message, 200, "OK", {
          headers: { contact: [{ uri: CONTACT }], "content-type": "application/sdp" },
          content: OFFER,
        }),
      ),
  };
  const DrachtioMessage = require("drachtio-sip").SipMessage;
  const SrfMessage = require("drachtio-srf/lib/sip-parser/message");
  const five = ["via", "from", "to", "cseq", "call-id"];
  const touch = (message) => five.filter((name) => message.getParsedHeader(name)).length;
  parsers["drachtio-sip"] = { parse: (text) => new DrachtioMessage(text), touch };
  parsers["drachtio-srf"] = { parse: (text) => new SrfMessage(text), touch };
  require("jssip").debug.disable();
  const jssip = require("jssip/lib/Parser");
  const read = ({ via, from, to, cseq }) =>
    via.host.length + String(from.uri).length + String(to.uri).length + cseq;
  parsers.jssip = {
    parse: (text) => jssip.parseMessage(text, {}),
    touch: (message) => read(message) + message.call_id.length,
  };
  const core = await import(
    pathToFileURL(join(folder, "node_modules/sip.js/lib/core/index.js")).href
  );
  const loggers = new core.LoggerFactory();
  loggers.builtinEnabled = false;
  const logger = loggers.getLogger("bench");
  parsers["sip.js"] = {
    parse: (text) => core.Parser.parseMessage(text, logger),
    touch: (message) => read(message) + message.callId.length,
    reply200: (message) =>
      core.constructOutgoingResponse(message, {
        statusCode: 200,
        toTag: "8321234356",
        extraHeaders: [`Contact: <${CONTACT}>`],
        body: { contentDisposition: "session", contentType: "application/sdp", content: OFFER },
      }).message,
  };
}
if (folder) await addPeers();

const rates = (work) => {
  const functions = {};
  for (const [name, parser] of Object.entries(parsers)) {
    const run = work(parser);
    if (run === undefined) continue;
    if (run() === undefined) throw new Error(`${name} does not read the message`);
    functions[name] = run;
  }
  return Object.fromEntries(ratesOf(functions, { rounds, ms }));
};
const result = {
  parse: rates(
    ({ parse }) =>
      () =>
        parse(INVITE),
  ),
  five: rates(
    ({ parse, touch }) =>
      () =>
        touch(parse(INVITE)),
  ),
  reply: rates(({ parse, reply200 }) => {
    if (reply200 === undefined) return undefined;
    const message = parse(INVITE);
    return () => reply200(message);
  }),
};
process.send(result, () => process.exit(0));
