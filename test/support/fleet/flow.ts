/** The flow that every instance of the fleet runs: one file for all, what differs comes from the environment. */
import { FlowBuilder, type FlowNode } from "../flow-builder.js";
import { DOMAIN } from "./files.js";

export const STACK = "fleet-stack";

export interface FleetFlow {
  /** Further properties of the stack: `media`, `rtpengine`, `sharedState`. */
  readonly stack?: Record<string, unknown>;
  /** Further properties of `sip-bridge`. */
  readonly bridge?: Record<string, unknown> | undefined;
}

/** Code of a function node; `RED` is Node-RED's own. */
function code(func: string, outputs: number): Record<string, unknown> {
  return { func, outputs, timeout: "", noerr: 0, initialize: "", finalize: "", libs: [] };
}

/**
 * `ivr`: answered, a tone, hung up by the flow. `hold`: answered, and stays. `bridge-NAME`: answered, NAME is called by way
 * of the proxy and joined. `POST /call/NAME` calls NAME; `GET /count` says what this instance has done.
 */
export function fleetFlow({ stack: more = {}, bridge: joined = {} }: FleetFlow = {}): FlowNode[] {
  const flow = new FlowBuilder("fleet");
  const stack = flow.config(
    "sip-stack",
    {
      transports: ["udp", "tcp"].map((protocol) => ({
        protocol,
        address: "${SIP_ADDRESS}",
        port: 5060,
      })),
      mediaAddress: "${SIP_ADDRESS}",
      allow: "${SIP_PROXY}",
      trusted: "${SIP_PROXY}",
      ...more,
    },
    STACK,
  );
  const account = flow.config("sip-account", {
    stack,
    uri: `sip:flow@${DOMAIN}`,
    register: false,
    outboundProxy: "sip:${SIP_PROXY}:5060;lr",
  });
  const count = (name: string): string =>
    flow.node(
      "function",
      code(
        `const all = global.get("count") || {};
all[${JSON.stringify(name)}] = (all[${JSON.stringify(name)}] || 0) + 1;
global.set("count", all);
if (${JSON.stringify(name)}.endsWith("ended")) {
  const list = global.get("ended") || [];
  list.push({ callId: msg.sip.callId, cause: msg.sip.cause, duration: msg.sip.duration, received: (msg.sip.statistics || {}).packetsReceived });
  global.set("ended", list.slice(-100));
}`,
        0,
      ),
    );

  const headers = [{ name: "X-Instance", value: "${SIP_INSTANCE}", valueType: "str" }];
  const accept = (next: string[]): string => flow.node("sip-accept", { headers }, [next, []]);
  const incoming = (match: string, name: string, next: string): void => {
    const wires = [[next, count(name)], [count(`${name}-ended`)]];
    flow.node("sip-incoming", { stack, match, ring: true }, wires);
  };

  const bye = flow.node("sip-bye", {}, [[]]);
  const play = flow.node("sip-play", { source: "beep", sourceType: "tone" }, [[bye], []]);
  incoming("ivr", "ivr", accept([play]));
  incoming("hold", "hold", accept([]));

  const bridge = flow.node("sip-bridge", joined, [[count("bridged")], [count("unbridged")]]);
  const invite = flow.node("sip-invite", { account, to: "to", toType: "msg", timeout: 20 }, [
    [bridge],
    [],
    [count("refused")],
    [count("invite-ended")],
  ]);
  const choose = flow.node(
    "function",
    code(
      `msg.to = "sip:" + msg.sip.local.user.slice("bridge-".length) + "@${DOMAIN}"; return msg;`,
      1,
    ),
    [[invite]],
  );
  incoming("bridge-*", "bridge", accept([choose]));

  const called = flow.node("function", code(`msg.payload = {ok: true}; return msg;`, 1), [
    [flow.node("http response", { statusCode: "200" })],
  ]);
  const refused = flow.node(
    "function",
    code(`msg.payload = {ok: false, status: msg.sip.statusCode}; return msg;`, 1),
    [[flow.node("http response", { statusCode: "200" })]],
  );
  const hangUp = flow.node("sip-bye", {}, [[called]]);
  const call = flow.node("sip-invite", { account, to: "to", toType: "msg", timeout: 10 }, [
    [hangUp],
    [],
    [refused],
    [],
  ]);
  const name = flow.node(
    "function",
    code(`msg.to = "sip:" + msg.req.params.name + "@${DOMAIN}"; return msg;`, 1),
    [[call]],
  );
  flow.node("http in", { url: "/call/:name", method: "post", upload: false }, [[name]]);
  const tell = flow.node(
    "function",
    code(
      `msg.payload = {count: global.get("count") || {}, ended: global.get("ended") || []}; return msg;`,
      1,
    ),
    [[flow.node("http response", { statusCode: "200" })]],
  );
  flow.node("http in", { url: "/count", method: "get", upload: false }, [[tell]]);
  return flow.build();
}
