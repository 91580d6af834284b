// Answers an offer: parse, negotiate, write. Usage: node descriptions.mjs ROUNDS MS; sends runs per second by name.
import { createRequire } from "node:module";
import { OFFER } from "../support/messages.mjs";
import { ratesOf } from "../support/rates.mjs";

const require = createRequire(import.meta.url);
const { DescriptionMediaHandler } = require("../../dist/lib/index.js");
const { parse, write } = require("sdp-transform");
const [rounds, ms] = process.argv.slice(2).map(Number);

const handler = new DescriptionMediaHandler({ address: "198.51.100.7", port: 6010 });
const context = {
  sessionId: "bench",
  localAddress: "198.51.100.7",
  remoteAddress: "192.0.2.10",
  events: { onDigit() {}, onMediaTimeout() {}, onError: (error) => console.error(error.message) },
};
const answer = (offer) => handler.createSession(context).answer(offer);
// Offers that differ in port and session: nothing can be remembered of the one before.
const offers = Array.from({ length: 4096 }, (_, index) =>
  OFFER.replace("49170", String(10_000 + 2 * index)).replaceAll(
    "2890844526",
    String(2_890_844_526 + index),
  ),
);
let next = 0;
const other = () => offers[next++ & 4095];

const rates = ratesOf(
  {
    different: () => answer(other()),
    same: () => answer(OFFER),
    parseOnly: () => parse(other()),
    parseAndWrite: () => write(parse(other())),
  },
  { rounds, ms },
);
process.send(Object.fromEntries(rates), () => process.exit(0));
