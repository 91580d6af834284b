// All benches, in the order of the document.
import { flow } from "./flow.mjs";
import { parser } from "./parser.mjs";
import { sdp } from "./sdp.mjs";
import { uas } from "./uas.mjs";

export const SUITES = [uas, flow, parser, sdp];
