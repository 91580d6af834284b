/** Admin endpoints of contract §8: what stacks and sessions there are, and hanging up. */
import type { NodeAPI } from "node-red";
import { errorText, printable } from "../../lib/index.js";
import { callsOfStack, findCall } from "./call.js";
import type { Engine } from "./engine.js";
import { allEngines, findEngine } from "./engines.js";
import { METRICS_TYPE, metricsText } from "./metrics.js";
import { registerRings } from "./ring/ring-admin.js";
import { registerTraceEndpoints } from "./tracing/endpoints.js";

const registered = new WeakSet<object>();

/** Routes cannot be taken away again, so they are made once and look for the stacks when they are asked. */
export function registerAdmin(RED: NodeAPI): void {
  const { httpAdmin } = RED;
  // Absent when the runtime is embedded without an editor.
  if ((httpAdmin as unknown) === undefined || registered.has(httpAdmin)) return;
  registered.add(httpAdmin);
  const read = RED.auth.needsPermission("sip.read");
  const write = RED.auth.needsPermission("sip.write");
  registerTraceEndpoints(RED);

  httpAdmin.get("/sip/stacks", read, (_request, response) => {
    response.type("json").send(shown([...allEngines()].map(describeStack)));
  });
  httpAdmin.get("/sip/sessions", read, (_request, response) => {
    response.type("json").send(shown([...allEngines()].flatMap(describeSessions)));
  });
  httpAdmin.get("/sip/metrics", read, (_request, response) => {
    response.type(METRICS_TYPE).send(metricsText(allEngines()));
  });
  registerRings(RED, shown);
  for (const method of ["post", "delete"] as const) {
    httpAdmin[method]("/sip/stacks/:id/drain", write, (request, response) => {
      const engine = findEngine(String(request.params["id"]));
      if (engine === undefined) {
        response.sendStatus(404);
        return;
      }
      if (method === "post") engine.drain.begin();
      else engine.drain.end();
      response
        .status(202)
        .type("json")
        .send(shown(describeStack(engine)));
    });
  }
  httpAdmin.delete("/sip/sessions/:id", write, (request, response) => {
    const call = findCall(String(request.params["id"]));
    if (call === undefined) {
      response.sendStatus(404);
      return;
    }
    call.session.end().then(
      () => response.sendStatus(204),
      (error: unknown) => response.status(409).json({ message: errorText(error) }),
    );
  });
}

/** As JSON, without the passwords that URIs may hold. */
function shown(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    typeof part === "string" && part.includes("@") ? printable(part, 2 * part.length) : part,
  );
}

function describeStack(engine: Engine): Record<string, unknown> {
  const { userAgent } = engine;
  const isUp = engine.state === "running" && userAgent !== undefined;
  return {
    id: engine.stackId,
    name: engine.settings.name,
    state: engine.state,
    problem: engine.problem,
    draining: engine.drain.isWanted,
    calls: engine.callCount,
    group: describeGroup(engine),
    transports: isUp ? userAgent.bound : [],
    accounts: [...engine.accounts.entries()].map((entry) => ({
      id: entry.options.id,
      uri: entry.options.uri,
      problem: entry.problem,
      registration: describeRegistration(engine, entry.options.id),
      standby: engine.accounts.standby(entry.options.id),
    })),
    counters: isUp ? userAgent.counters() : {},
  };
}

/** What it shares with other instances; absent when it is alone. */
function describeGroup({ group, leases }: Engine): unknown {
  if (group === undefined) return undefined;
  const { instance, isConnected: connected, members } = group;
  return { instance, connected, members: [...members].sort(), leases };
}

function describeRegistration({ accounts }: Engine, id: string): unknown {
  const status = accounts.registration(id);
  return status === undefined ? undefined : { ...status, refreshIn: accounts.refreshIn(id) };
}

function describeSessions(engine: Engine): Record<string, unknown>[] {
  return callsOfStack(engine.stackId).map((call) => ({
    ...call.session.snapshot(),
    stack: engine.stackId,
    node: call.owner?.nodeId,
  }));
}
