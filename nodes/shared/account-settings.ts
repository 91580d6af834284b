/** The properties of a `sip-account` node → options of an account (contract §2). */
import type { Node, NodeAPI } from "node-red";
import type { AccountOptions } from "../../lib/index.js";
import { instanceIdOf } from "./instance-id.js";
import { choice, flag, number, optionalNumber, optionalText, text } from "./properties.js";
import { type NodeConfig, readLiterals } from "./property-values.js";

const properties = {
  uri: text(),
  displayName: optionalText,
  authUser: optionalText,
  register: flag(true),
  registrar: optionalText,
  outboundProxy: optionalText,
  cacheOutboundProxy: flag(false),
  expires: number(3600),
  minExpires: number(30),
  sendExpires: flag(true),
  transport: choice(["auto", "udp", "tcp", "tls", "ws", "wss"], "auto"),
  outbound: flag(false),
  maxCalls: number(0),
  maxCallsPerMinute: number(0),
  contactParams: optionalText,
  contactUriParams: optionalText,
  learnPublicAddress: flag(true),
  keepAlive: optionalNumber,
};

/** @throws InvalidArgumentError that names the property. */
export function readAccount(
  RED: NodeAPI,
  node: Node,
  config: NodeConfig,
  password: string | undefined,
  group?: string,
): AccountOptions {
  return {
    id: config.id,
    ...readLiterals(RED, node, config, properties),
    instanceId: instanceIdOf(RED, config.id, group),
    password,
  };
}
