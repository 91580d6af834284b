/** `sip-bridge`: joins two calls (contract §4.7). Outputs: 1 bridged, 2 ended. */
import type { NodeAPI } from "node-red";
import { CallBridge, checkLegs, hangUp } from "./shared/bridges.js";
import { findCall } from "./shared/call.js";
import { misuse } from "./shared/errors.js";
import { type Action, registerActionNode } from "./shared/flow-node.js";
import { anyValue, choice, flag, session, typed } from "./shared/properties.js";
import { optionsOf } from "./shared/property-values.js";
import { callFor, checkedHandle, overFields } from "./shared/session-action.js";

const properties = {
  session,
  peer: typed(anyValue, { value: "sip.peer", type: "msg" }),
  mode: choice(["media", "signaling"], "media"),
  hangup: flag(true),
};

type BridgeAction = Action<typeof properties>;

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-bridge", {
    properties,
    reads: ["control"],
    run: (action) =>
      action.control === undefined ? bridge(action) : control(action, action.control),
  });
}

/** `stop` takes apart what this node has joined, with `options.all` what any node has. */
function control({ input, values, msg }: BridgeAction, word: string): void {
  if (word !== "stop") throw misuse("bad-control", `msg.control "${word}": use stop`);
  const all = optionsOf(msg)?.["all"] === true;
  const call = findCall(checkedHandle(values.session));
  const active = call?.bridge;
  if (call !== undefined && active instanceof CallBridge) {
    if (all || active.nodeId === input.nodeId) void active.takeApart(call);
  }
  input.complete();
}

async function bridge({ input, values }: BridgeAction): Promise<void> {
  const handle = checkedHandle(values.session);
  const peer = checkedPeer(values.peer, handle);
  const call = callFor(input, handle);
  const other = findCall(peer);
  input.peer = peer;
  if (call === undefined || other === undefined) {
    // Somebody hung up in this moment: as if the two had been joined just before.
    const [ended, left] = call === undefined ? [handle, peer] : [peer, handle];
    input.peer = left;
    input.leave(2, () => ({
      sip: overFields(input, ended, "bridge-ended"),
      payload: "no-session",
    }));
    const alone = call ?? other;
    if (values.hangup && alone !== undefined) hangUp(alone);
    return;
  }
  const known = CallBridge.of(call, other);
  if (known?.mode === values.mode) {
    const sip = call.fields("bridged");
    input.leave(1, () => ({ sip, payload: peer }));
    return;
  }
  const { mode, hangup } = values;
  checkLegs(mode, call, other);
  await new CallBridge({ input, mode, hangup }, call, other).start();
}

/** @throws InvalidArgumentError `no-peer`, `same-session`. */
function checkedPeer(peer: unknown, handle: string): string {
  if (typeof peer !== "string" || peer === "") {
    throw misuse("no-peer", "the message names no second call (msg.sip.peer)");
  }
  if (peer === handle) throw misuse("same-session", "a call cannot be joined to itself");
  return peer;
}
