/**
 * The summary of waiting messages (RFC 3842) through Kamailio: a baresip phone subscribes and our flow tells it, our
 * own subscriber is told by our notifier, both through the proxy; the lamp goes on and off.
 */
import assert from "node:assert/strict";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed } from "../support/node-red.js";
import { Baresip } from "../support/peers/baresip.js";
import { Kamailio } from "../support/peers/kamailio.js";
import { needs } from "../support/peers/process.js";
import { freePort } from "../support/ports.js";

type Message = { payload: unknown; topic: string; sip: Record<string, unknown> };

const summary = (fresh: number, old: number): string =>
  `Messages-Waiting: ${fresh > 0 ? "yes" : "no"}\r\nMessage-Account: sip:box@sip.test\r\nVoice-Message: ${fresh}/${old} (0/0)\r\n`;

describe("message-summary through a proxy", function () {
  this.timeout(60_000);
  const kamailioAddress = "127.0.69.1";
  let kamailio: Kamailio;
  let phone: Baresip | undefined;
  let nodeRed: NodeRed;

  before(async function () {
    needs(this, "kamailio", "baresip", "openssl");
    await arrange();
  });

  const arrange = async (): Promise<void> => {
    kamailio = new Kamailio({ address: kamailioAddress });
    await kamailio.start();
    nodeRed = await NodeRed.start();
    const flow = new FlowBuilder();
    const account = async (user: string): Promise<{ stack: string; account: string }> => {
      const stack = flow.config("sip-stack", {
        transports: [{ protocol: "udp", address: "127.0.0.1", port: await freePort() }],
      });
      const id = flow.config("sip-account", {
        stack,
        uri: `sip:${user}@sip.test`,
        registrar: `sip:${kamailioAddress}:5060`,
        outboundProxy: `sip:${kamailioAddress}:5060`,
        register: true,
      });
      credentials[id] = { password: `${user}pw` };
      return { stack, account: id };
    };
    const credentials: Record<string, { password: string }> = {};

    // The mailbox: accepts every subscriber; the test says what it tells them.
    const box = await account("nodered");
    flow.node("sip-event", { stack: box.stack, events: ["registered"] }, [
      [flow.capture("registered")],
    ]);
    const accept = flow.node("sip-accept", { expires: 600 }, flow.captures("accept", 2));
    flow.node("sip-event", { stack: box.stack, events: ["subscribe"] }, [
      [flow.capture("subscribe"), accept],
    ]);
    const notify = flow.node(
      "sip-notify",
      { contentType: "application/simple-message-summary" },
      flow.captures("notify", 2),
    );
    flow.entry("notify", [notify]);

    // A subscriber of our own.
    const carol = await account("carol");
    const subscribe = flow.node(
      "sip-subscribe",
      {
        account: carol.account,
        to: "sip:carol@sip.test",
        eventPackage: "message-summary",
        expires: 600,
      },
      flow.captures("lamp", 2),
    );
    flow.entry("watch", [subscribe]);
    flow.node("catch", { scope: null, uncaught: false }, [[flow.capture("caught")]]);
    await nodeRed.deploy(flow.build(), { credentials });
    await nodeRed.waitFor("registered");
  };

  const clear = async (): Promise<void> => {
    await phone?.dispose();
    await nodeRed?.stop();
    await kamailio?.dispose();
  };

  after(clear);

  beforeEach(() => nodeRed.clearCaptured());

  const last = async (name: string, least = 1): Promise<Message> => {
    const all = await nodeRed.waitFor(name, least);
    return all[all.length - 1].msg;
  };

  it("a baresip phone subscribes, and the flow switches its lamp on and off", async () => {
    // baresip's mwi now and then begins one new subscription after the other, each under a Call-ID of its own and
    // microseconds apart, before anybody has answered the first. Such a phone is ended, and all begins again.
    let beganAnew = 0;
    for (; beganAnew < 10; beganAnew++) {
      phone = new Baresip({
        name: "alice",
        address: "127.0.69.11",
        registrar: { address: kamailioAddress, domain: "sip.test", password: "alicepw" },
        answer: "manual",
        tone: 440,
        rtpPort: 30_600,
        voicemail: true,
      });
      await phone.start();
      if (phone.subscriptions < 5) break;
      await clear();
      await arrange();
    }
    assert.ok(beganAnew < 10, "the phone never subscribed once only");
    const asked = await last("subscribe");
    assert.equal((asked.sip["headers"] as { event: string }).event, "message-summary");
    assert.match(String((asked.sip["remote"] as { uri: string }).uri), /alice@sip\.test/);
    const accepted = await last("accept/1");
    assert.equal(accepted.payload, 200);
    assert.equal(accepted.sip["eventPackage"], "message-summary");
    const { subscription } = accepted.sip;
    for (const [count, [fresh, old]] of [
      [2, 1],
      [0, 3],
    ].entries()) {
      await nodeRed.inject("notify", { payload: summary(fresh, old), sip: { subscription } });
      const told = await last("notify/1", count + 1);
      assert.deepEqual([told.topic, told.payload], ["notify-sent", 200]);
      await phone?.until(new RegExp(`Voice-Message: ${fresh}/${old}`));
    }
    assert.deepEqual(await nodeRed.captured("caught"), []);
  });

  it("our subscriber gets the numbers, and the end", async () => {
    await nodeRed.inject("watch");
    const accepted = await last("accept/1");
    const { subscription } = accepted.sip;
    await nodeRed.inject("notify", { payload: summary(4, 2), sip: { subscription } });
    let lamp = await last("lamp/1");
    for (let i = 2; (lamp.payload as { waiting?: boolean }).waiting !== true; i++) {
      lamp = await last("lamp/1", i);
    }
    assert.deepEqual(lamp.payload, {
      waiting: true,
      account: "sip:box@sip.test",
      voice: { new: 4, old: 2, urgentNew: 0, urgentOld: 0 },
    });
    await nodeRed.inject("notify", {
      payload: summary(0, 6),
      sip: { subscription },
      options: { subscriptionState: "terminated" },
    });
    const ended = await last("lamp/2");
    assert.equal(ended.topic, "subscription-ended");
    assert.deepEqual(await nodeRed.captured("caught"), []);
  });
});
