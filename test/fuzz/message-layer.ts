/**
 * The parser, the framer and the writer. What parses can be read, answered and written, and writing is stable: what is
 * written parses to the same bytes.
 */
import assert from "node:assert/strict";
import {
  createResponse,
  parseMessage,
  parseText,
  serializeMessage,
  StreamFramer,
  type ParseResult,
  type SipMessage,
} from "../../lib/message/index.js";
import { TORTURE_CASES } from "../fixtures/rfc4475-own/cases.js";
import { type Layer, noted } from "./layer.js";
import { soundMessages } from "./sound-messages.js";

const SEEDS = [
  ...TORTURE_CASES.map((test) => Buffer.from(test.message, "utf8")),
  ...soundMessages().map((text) => Buffer.from(text, "latin1")),
];

export const messageLayer: Layer = {
  name: "message",
  share: 0.5,
  take(mutation) {
    const data = noted(mutation.of(mutation.pick(SEEDS), mutation.pick(SEEDS)));
    check(parseMessage(data));
    parseMessage(data, { framing: "stream" });
    parseText(data.toString("utf8"));
    const framer = new StreamFramer();
    const cut = mutation.below(data.length + 1);
    for (const part of [data.subarray(0, cut), data.subarray(cut)]) {
      for (const output of framer.push(Buffer.from(part))) {
        if (output.kind === "message") parseMessage(output.data, { framing: "stream" });
      }
    }
  },
};

function check(result: ParseResult): void {
  const request = result.ok
    ? result.message.kind === "request"
      ? result.message
      : undefined
    : result.request;
  if (request !== undefined) {
    readEverything(request);
    const answer = createResponse(request, { statusCode: 400, toTag: "ours" });
    const parsed = parseMessage(serializeMessage(answer));
    if (result.ok) assert.ok(parsed.ok, parsed.ok ? "" : parsed.error.reason);
  }
  if (!result.ok) return;
  readEverything(result.message);
  const bytes = serializeMessage(result.message);
  const again = parseMessage(bytes);
  assert.ok(again.ok, again.ok ? "" : `does not parse again: ${again.error.reason}`);
  assert.deepEqual(serializeMessage(again.message), bytes);
}

function readEverything(message: SipMessage): void {
  void [
    message.topVia.branch,
    message.vias.map(String),
    String(message.from),
    String(message.to),
    message.callId,
    message.cseq.sequence,
    message.contacts.map(String),
    message.text,
    message.routes.map(String),
    message.recordRoutes.map(String),
    message.maxForwards,
    message.contentType,
    message.tokens("supported"),
    message.tokens("allow"),
    message.seconds("expires"),
    message.headers.entries(),
    message.isStarContact,
  ];
  if (message.kind === "request") void String(message.requestUri);
}
