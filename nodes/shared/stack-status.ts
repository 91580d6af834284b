/** What a stack and an account say under the nodes that use them (contract §8 "Status"). */
import type { NodeAPI, NodeStatus as RuntimeStatus } from "node-red";
import { printable, type RegistrationStatus } from "../../lib/index.js";
import type { Engine } from "./engine.js";
import { translate } from "./texts.js";

const LONGEST_TEXT = 60;

export function stackStatus(
  RED: NodeAPI,
  engine: Engine | undefined,
  accountId: string | undefined,
): RuntimeStatus {
  if (engine === undefined) return problem(translate(RED, "status.noStack"));
  switch (engine.state) {
    case "failed":
      return problem(engine.problem ?? translate(RED, "status.failed"));
    case "starting":
      return { fill: "yellow", shape: "ring", text: translate(RED, "status.starting") };
    case "stopped":
      return { fill: "grey", shape: "ring", text: translate(RED, "status.stopped") };
    case "running":
      if (engine.drain.isWanted) return draining(RED, engine);
      if (accountId !== undefined) return accountStatus(RED, engine, accountId);
      if (engine.warning !== undefined) return problem(engine.warning);
      return well(RED, engine, "status.listening");
  }
}

function draining(RED: NodeAPI, { callCount: count }: Engine): RuntimeStatus {
  const text = translate(RED, count === 0 ? "status.drained" : "status.draining", { count });
  return { fill: "yellow", shape: "ring", text };
}

/** Who takes every certificate, or is cut off from the other instances, is told so wherever all seems well. */
function well(
  RED: NodeAPI,
  { verifiesServers, group }: Engine,
  key: string,
  facts: Readonly<Record<string, string>> = {},
): RuntimeStatus {
  const text = translate(RED, key, facts);
  if (group?.isConnected === false) {
    const alone = `${text} (${translate(RED, "status.alone")})`;
    return { fill: "yellow", shape: "dot", text: alone };
  }
  const more = verifiesServers ? "" : ` (${translate(RED, "status.unverified")})`;
  return { fill: "green", shape: "dot", text: text + more };
}

function accountStatus(RED: NodeAPI, engine: Engine, accountId: string): RuntimeStatus {
  const entry = engine.accounts.entry(accountId);
  if (entry === undefined) return problem(translate(RED, "status.noAccount"));
  if (entry.problem !== undefined) return problem(entry.problem);
  if (entry.options.register === false) {
    return well(RED, engine, "status.listening");
  }
  const holder = engine.accounts.standby(accountId);
  if (holder !== undefined) return standby(RED, engine, holder);
  return registrationStatus(RED, engine, engine.accounts.registration(accountId));
}

/** Another instance keeps the registration; this one calls out all the same. */
function standby(RED: NodeAPI, engine: Engine, holder: string): RuntimeStatus {
  const key = holder === "" ? "status.standbyFree" : "status.standby";
  return well(RED, engine, key, { holder: printable(holder, 30) });
}

function registrationStatus(
  RED: NodeAPI,
  engine: Engine,
  registration: RegistrationStatus | undefined,
): RuntimeStatus {
  switch (registration?.state) {
    case "registered":
      return well(RED, engine, "status.registered");
    case "failed":
      return problem(
        [
          registration.statusCode || undefined,
          registration.cause === "unauthorized"
            ? translate(RED, "status.credentials")
            : (registration.reason ?? registration.cause),
        ]
          .filter((part) => part !== undefined)
          .join(" ") || translate(RED, "status.failed"),
      );
    case "registering":
      return { fill: "yellow", shape: "ring", text: translate(RED, "status.registering") };
    case "unregistering":
    case "unregistered":
    case undefined:
      return { fill: "grey", shape: "ring", text: translate(RED, "status.unregistered") };
  }
}

function problem(text: string): RuntimeStatus {
  const short = text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT - 1)}…` : text;
  return { fill: "red", shape: "ring", text: short };
}
