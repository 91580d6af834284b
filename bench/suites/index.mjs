// All benches, in the order of the document.
import { flow } from "./flow.mjs";
import { parser } from "./parser.mjs";
import { register } from "./register.mjs";
import { sdp } from "./sdp.mjs";
import { uac } from "./uac.mjs";
import { uas } from "./uas.mjs";

export const SUITES = [uas, uac, flow, register, parser, sdp];
