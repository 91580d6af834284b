/**
 * Node-RED among peers that are gone: a port that is taken is waited for, a registrar that falls silent is told by status
 * and event, and SIGTERM says goodbye to everybody in time though nobody answers.
 */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed } from "../support/node-red.js";
import { freePort } from "../support/ports.js";
import { RawPhone, type Heard } from "../support/raw-phone.js";

type Message = { topic: string; payload: unknown; sip: Record<string, unknown> };

describe("Node-RED among peers that are gone", function () {
  this.timeout(60_000);
  let port: number;
  let taker: Socket | undefined;
  let nodeRed: NodeRed;
  let peer: RawPhone;

  before(async () => {
    port = await freePort();
    peer = await RawPhone.open(port);
    taker = createSocket("udp4");
    await new Promise<void>((done) => taker?.bind(port, "127.0.0.1", done));
    const flow = new FlowBuilder();
    const stack = flow.config("sip-stack", {
      transports: [{ protocol: "udp", address: "127.0.0.1", port }],
      rtpPortMin: 28_200,
      rtpPortMax: 28_299,
    });
    const account = flow.config("sip-account", {
      stack,
      uri: `sip:nodered@127.0.0.1:${peer.port}`,
      register: true,
      expires: 60,
    });
    flow.node("sip-event", { stack, events: ["error"] }, [[flow.capture("error")]]);
    flow.node("sip-event", { stack, account, events: ["registered", "registration-failed"] }, [
      [flow.capture("registration")],
    ]);
    flow.node("sip-incoming", { stack }, flow.captures("call", 2, { 1: ["accept"] }));
    flow.node("sip-accept", {}, flow.captures("accept", 2), "accept");
    const subscribe = flow.node(
      "sip-subscribe",
      { account, to: `sip:box@127.0.0.1:${peer.port}`, eventPackage: "message-summary" },
      flow.captures("subscribe", 2),
    );
    flow.entry("subscribe", [subscribe]);
    nodeRed = await NodeRed.start({ flows: flow.build() });
  });

  after(async () => {
    taker?.close();
    peer?.close();
    await nodeRed?.stop();
  });

  const grant = (register: Heard): void => {
    const contact = /<([^>]+)>/.exec(register.get("contact"))?.[1] ?? "";
    peer.reply(register, 200, { contact, headers: ["Expires: 60"] });
  };

  it("tells once that its port is taken, and runs soon after it is free", async () => {
    const [error] = await nodeRed.waitFor("error");
    assert.match(String((error?.msg as Message).payload), /already in use/);
    taker?.close();
    taker = undefined;
    grant(await peer.comes("REGISTER", 20_000));
    const [registered] = await nodeRed.waitFor("registration");
    assert.equal((registered?.msg as Message).topic, "registered");
    assert.equal((await nodeRed.captured("error")).length, 1);
    assert.equal(nodeRed.log.split("already in use").length - 1, 1, "logged once");
  });

  it("says goodbye to everybody on SIGTERM in time, though nobody answers", async () => {
    const call = peer.invite("door");
    await peer.final(call);
    await nodeRed.waitFor("accept/1");
    await nodeRed.inject("subscribe");
    const subscribe = await peer.comes("SUBSCRIBE");
    peer.reply(subscribe, 200, { headers: ["Expires: 600"] });
    const dialog = peer.dialogOf(subscribe);
    peer.request(dialog, "NOTIFY", {
      headers: ["Event: message-summary", "Subscription-State: active;expires=600"],
      contentType: "application/simple-message-summary",
      body: "Messages-Waiting: no\r\n",
    });
    await nodeRed.waitFor("subscribe/1");
    const ringing = peer.invite("door");
    await peer.final(ringing);
    const took = await nodeRed.stop();
    assert.ok(took < 4_500, `${took} ms`);
    await peer.comes("BYE");
    await peer.comes("BYE");
    const register = await peer.comes("REGISTER");
    assert.equal(register.get("expires"), "0");
    const farewell = await peer.comes("SUBSCRIBE");
    assert.equal(farewell.get("expires"), "0");
  });
});
