/** The traces and the history of this process. */
import { changes } from "./changes.js";
import { CallHistory } from "./history.js";
import { Traces } from "./traces.js";

export const traces = new Traces(() => changes.tell());
export const history = new CallHistory(traces);
