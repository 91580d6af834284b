/** What the sidebar asks for (contract §8): calls with their history, the messages of a call or a stack, the same as pcap, keys. */
import type { NodeAPI } from "node-red";
import type { Request, Response } from "express";
import {
  errorText,
  InvalidArgumentError,
  type MediaStatistics,
  printable,
} from "../../../lib/index.js";
import { type Call, callsOfStack, findCall } from "../call.js";
import { allEngines } from "../engines.js";
import { isRecord } from "../sip-fields.js";
import type { CallSummary } from "./call-summary.js";
import { changes } from "./changes.js";
import { history, traces } from "./index.js";
import { liveStatistics } from "./live-statistics.js";
import type { LoggedMessage } from "./message-log.js";
import { PCAP_TYPE, pcapOf } from "./pcap.js";

const DIGITS = /^[0-9A-D*#,]{1,32}$/;

export function registerTraceEndpoints(RED: NodeAPI): void {
  const { httpAdmin } = RED;
  const read = RED.auth.needsPermission("sip.read");
  const write = RED.auth.needsPermission("sip.write");
  changes.publishTo(RED);

  httpAdmin.get("/sip/calls", read, (_request, response) => {
    // The number first: what changes meanwhile is told once more.
    const { revision } = changes;
    const live = [...allEngines()].flatMap(({ stackId }) => callsOfStack(stackId));
    void liveStatistics(live).then((statistics) => {
      const calls = live.filter(({ over }) => !over);
      json(response, {
        revision,
        calls: calls.map((call) => history.live(call, statistics.get(call.id))),
        ended: history.ended(),
      });
    });
  });
  httpAdmin.get("/sip/sessions/:id", read, (request, response) => {
    const handle = idOf(request);
    const call = findCall(handle);
    void liveStatistics(call === undefined ? [] : [call]).then((statistics) => {
      const summary = findSummary(handle, statistics.get(handle));
      if (summary === undefined) response.sendStatus(404);
      else json(response, { ...summary, messages: ladder(traces.messages(handle)) });
    });
  });
  httpAdmin.get("/sip/sessions/:id/pcap", read, (request, response) => {
    const handle = idOf(request);
    const summary = findSummary(handle);
    if (summary === undefined) {
      response.sendStatus(404);
      return;
    }
    const both = request.query["peer"] === "1" && summary.peer !== undefined;
    const peers = both && summary.peer !== undefined ? traces.messages(summary.peer) : [];
    sendPcap(response, `call-${summary.startTime}`, [...traces.messages(handle), ...peers]);
  });
  httpAdmin.get("/sip/stacks/:id/messages", read, (request, response) => {
    json(response, ladder(traces.others(idOf(request))));
  });
  httpAdmin.get("/sip/stacks/:id/pcap", read, (request, response) => {
    const now = new Date().toISOString();
    sendPcap(response, `stack-${now}`, traces.others(idOf(request)));
  });
  httpAdmin.post("/sip/sessions/:id/digits", write, (request, response) => {
    const call = findCall(idOf(request));
    const body: unknown = request.body;
    const digits = isRecord(body) ? body["digits"] : undefined;
    if (call === undefined) response.sendStatus(404);
    else if (typeof digits !== "string" || !DIGITS.test(digits)) {
      refuse(response, 400, "digits are 0-9, A-D, *, # and a comma for a pause, at most 32");
    } else void sendDigits(call, digits, response);
  });
}

function findSummary(handle: string, statistics?: MediaStatistics): CallSummary | undefined {
  const call = findCall(handle);
  return call === undefined ? history.find(handle) : history.live(call, statistics);
}

async function sendDigits(call: Call, digits: string, response: Response): Promise<void> {
  try {
    const outcome = await call.session.sendDigits({ digits });
    if (outcome.ok) response.sendStatus(204);
    else refuse(response, 409, outcome.reason ?? outcome.cause);
  } catch (error) {
    refuse(response, error instanceof InvalidArgumentError ? 400 : 409, errorText(error));
  }
}

function sendPcap(response: Response, name: string, logged: readonly LoggedMessage[]): void {
  const messages = logged.map(({ message }) => message).sort((a, b) => a.time - b.time);
  response.attachment(`${name.replace(/[^0-9A-Za-z-]/g, "-")}.pcap`);
  response.type(PCAP_TYPE).send(pcapOf(messages));
}

function ladder(logged: readonly LoggedMessage[]): unknown[] {
  return logged.map((one) => one.ladder);
}

function refuse(response: Response, status: number, message: string): void {
  response.status(status).json({ message: printable(message, 500) });
}

function idOf(request: Request): string {
  return String(request.params["id"]);
}

/** Without the passwords that URIs may hold; the texts of messages have none any more. */
function json(response: Response, value: unknown): void {
  response
    .type("json")
    .send(
      JSON.stringify(value, (name, part: unknown) =>
        name !== "text" && typeof part === "string" && part.includes("@")
          ? printable(part, 2 * part.length)
          : part,
      ),
    );
}
