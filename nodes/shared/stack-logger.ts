/**
 * The log of a stack in Node-RED's: `[sip-stack:Name] session=… node=… what happened`. Handle and node are fields of the entry,
 * too, for log handlers that write JSON.
 */
import type { NodeAPI } from "node-red";
import { type Logger, printable, type SessionEvent } from "../../lib/index.js";
import { type Call, findCall } from "./call.js";
import { isRecord } from "./sip-fields.js";

export interface StackLogger extends Logger {
  /** Somebody reads what is said at this level; what is costly to say need not be said otherwise. */
  readonly isDebug: boolean;
}

/** How the rooms below say which call a line is about. */
const OF_SESSION = /^session ([\w-]{8,64}): /;
const LONGEST_LINE = 1000;

/** It lives longer than a node instance. */
export function stackLogger(RED: NodeAPI, stackId: string, name: string): StackLogger {
  const { log } = RED;
  const write = (level: number, text: string): void => {
    const match = OF_SESSION.exec(text);
    const session = match?.[1];
    const node = session === undefined ? undefined : findCall(session)?.owner?.nodeId;
    const rest = printable(match === null ? text : text.slice(match[0].length), LONGEST_LINE);
    const about = [
      ...(session === undefined ? [] : [`session=${session}`]),
      ...(node === undefined ? [] : [`node=${node}`]),
    ];
    const entry = {
      level,
      type: "sip-stack",
      id: stackId,
      name: printable(name),
      msg: [...about, rest].join(" "),
      ...(session === undefined ? {} : { session }),
      ...(node === undefined ? {} : { node }),
    };
    log.log(entry);
  };
  return {
    isDebug: logsDebug(RED),
    debug: (text) => write(log.DEBUG, text),
    info: (text) => write(log.INFO, text),
    warn: (text) => write(log.WARN, text),
    error: (text) => write(log.ERROR, text),
  };
}

/** What became of a call, in a line; nothing for most events. */
export function callStory({ session }: Call, event: SessionEvent): string | undefined {
  const { direction, local, remote, callId, startTime, answerTime, duration } = event.snapshot;
  switch (event.name) {
    case "incoming":
    case "inviting": {
      const [from, to] = direction === "incoming" ? [remote, local] : [local, remote];
      return `session ${session.id}: ${direction} call from ${from.uri} to ${to.uri}, Call-ID ${callId}`;
    }
    case "answered": {
      const seconds = (Date.parse(answerTime ?? startTime) - Date.parse(startTime)) / 1000;
      return `session ${session.id}: answered after ${seconds.toFixed(1)} s`;
    }
    case "ended":
    case "failed": {
      const cause = event.snapshot.cause ?? "unknown";
      const status = event.statusCode === undefined ? "" : ` (${event.statusCode})`;
      const after = duration === undefined ? "" : ` after ${duration.toFixed(1)} s`;
      return `session ${session.id}: ${event.name}: ${cause}${status}${after}`;
    }
    default:
      return undefined;
  }
}

function logsDebug(RED: NodeAPI): boolean {
  const settings: unknown = RED.settings;
  const logging = isRecord(settings) ? settings["logging"] : undefined;
  if (!isRecord(logging)) return false;
  return Object.values(logging).some(
    (one) => isRecord(one) && (one["level"] === "debug" || one["level"] === "trace"),
  );
}
