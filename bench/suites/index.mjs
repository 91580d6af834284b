// All benches, in the order of the document.
import { flow } from "./flow.mjs";
import { growth } from "./growth.mjs";
import { memorySuite } from "./memory.mjs";
import { parser } from "./parser.mjs";
import { processes } from "./processes.mjs";
import { register } from "./register.mjs";
import { relay } from "./relay.mjs";
import { rtp } from "./rtp.mjs";
import { sdp } from "./sdp.mjs";
import { setup } from "./setup.mjs";
import { uac } from "./uac.mjs";
import { uas } from "./uas.mjs";

export const SUITES = [
  ...[uas, uac, flow, register],
  ...[parser, sdp, memorySuite, growth, setup],
  ...[rtp, relay, processes],
];
