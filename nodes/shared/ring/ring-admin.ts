/** The endpoints of "ring my flow" (contract §8 `sip/rings`). */
import type { NodeAPI } from "node-red";
import { InvalidArgumentError, type Logger, SipError } from "../../../lib/index.js";
import { callsOfStack } from "../call.js";
import type { Engine } from "../engine.js";
import { findEngine } from "../engines.js";
import { nodeError } from "../errors.js";
import { translate } from "../texts.js";
import { Ring, type RungCall } from "./ring.js";
import { type RingRequest, readRingRequest } from "./ring-request.js";
import { rings } from "./rings.js";
import { wayTo } from "./way.js";

export function registerRings(RED: NodeAPI, shown: (value: unknown) => string): void {
  const { httpAdmin } = RED;
  const read = RED.auth.needsPermission("sip.read");
  const write = RED.auth.needsPermission("sip.write");

  httpAdmin.post("/sip/rings", write, (request, response) => {
    void startRing(RED, request.body).then(
      ({ id }) => response.status(201).json({ ring: id }),
      (error: unknown) => {
        const { message, code } = nodeError(RED, error);
        response.status(statusOf(error)).json({ message, code });
      },
    );
  });
  httpAdmin.get("/sip/rings/:id", read, (request, response) => {
    const ring = rings.get(String(request.params["id"]));
    if (ring === undefined) {
      response.sendStatus(404);
      return;
    }
    // The texts of messages are clean already, and keep their lines.
    const messages = JSON.stringify(ring.messages);
    response.type("json").send(`${shown(ring.describe()).slice(0, -1)},"messages":${messages}}`);
  });
  httpAdmin.get("/sip/rings/:id/wav", read, (request, response) => {
    const wav = rings.get(String(request.params["id"]))?.heard.wav();
    if (wav === undefined) response.sendStatus(404);
    else response.type("audio/wav").send(wav);
  });
  httpAdmin.delete("/sip/rings/:id", write, (request, response) => {
    const ring = rings.get(String(request.params["id"]));
    if (ring === undefined) {
      response.sendStatus(404);
      return;
    }
    void ring.hangUp().then(() => response.sendStatus(204));
  });
}

/** @throws InvalidArgumentError `bad-ring`, InvalidStateError `stack-failed` or `too-many-rings`. */
async function startRing(RED: NodeAPI, body: unknown): Promise<Ring> {
  const request = readRingRequest(body);
  const engine = findEngine(request.stackId);
  const { userAgent } = engine ?? {};
  if (engine === undefined || userAgent === undefined || engine.state !== "running") {
    throw failed(engine?.problem ?? "that stack is not deployed, or does not run");
  }
  const way = wayTo(userAgent.bound, () => engine.settings.transports());
  if (way === undefined) throw failed("the stack listens nowhere");
  const ring = new Ring(
    request,
    {
      userAgent,
      flowMakesDescriptions: engine.settings.flowMakesDescriptions,
      find: (callId) => calledSession(request, callId),
    },
    way,
    quiet(RED, engine),
    (key, values) => translate(RED, `ring.${key}`, values),
    () => rings.tidy(),
  );
  await rings.start(ring);
  return ring;
}

function calledSession({ stackId }: RingRequest, callId: string): RungCall | undefined {
  const call = callsOfStack(stackId).find(
    ({ session }) => session.direction === "incoming" && session.snapshot().callId === callId,
  );
  return call === undefined ? undefined : { session: call.id, node: call.owner?.nodeId };
}

/** The caller's own troubles are told by the ring; the runtime's log gets only what is wrong. */
function quiet(RED: NodeAPI, { settings }: Engine): Logger {
  const line = (text: string): string => `[ring:${settings.name}] ${text}`;
  return {
    debug: (text) => RED.log.debug(line(text)),
    info: (text) => RED.log.debug(line(text)),
    warn: (text) => RED.log.debug(line(text)),
    error: (text) => RED.log.warn(line(text)),
  };
}

function failed(detail: string): SipError {
  return new SipError("E_STATE", detail, { rule: "stack-failed" });
}

function statusOf(error: unknown): number {
  if (error instanceof InvalidArgumentError) return 400;
  return error instanceof SipError && error.rule === "too-many-rings" ? 429 : 409;
}
