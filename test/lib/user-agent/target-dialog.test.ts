/**
 * Target-Dialog (RFC 4538): who can name a dialog of ours may send REFER and SUBSCRIBE from an address that the gate does
 * not know; nobody else may, and no call comes in that way. Our own request names the dialog in the peer's words.
 */
import assert from "node:assert/strict";
import { InvalidStateError } from "../../../lib/foundation/index.js";
import { formatTargetDialog, parseTargetDialog } from "../../../lib/message/index.js";
import { aliceAndBob } from "../../support/alice-and-bob.js";
import { requestText, ScriptedPeer } from "../../support/scripted-peer.js";

describe("Target-Dialog", () => {
  it("is read and written", () => {
    const text = "fa77@host.example;local-tag=a-1;remote-tag=b.2";
    const target = parseTargetDialog(`${text};x=y`);
    assert.deepEqual(target, { callId: "fa77@host.example", localTag: "a-1", remoteTag: "b.2" });
    assert.equal(target && formatTargetDialog(target), text);
    for (const bad of ["", ";local-tag=a;remote-tag=b", "x", "x;local-tag=a", "x;remote-tag=b"]) {
      assert.equal(parseTargetDialog(bad), undefined, bad);
    }
    for (const bad of ["x y;local-tag=a;remote-tag=b", "x;local-tag;remote-tag=b"]) {
      assert.equal(parseTargetDialog(bad), undefined, bad);
    }
  });

  it("opens the gate for REFER and SUBSCRIBE, when it names a dialog", async () => {
    const { alice, bob, network, pass, end } = await aliceAndBob({ bob: { allow: ["10.0.0.1"] } });
    const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
    bob.takeCalls((session) => void session.accept());
    const call = alice.userAgent.invite({ targets: [bob.uri] });
    await pass(100);
    const { callId, localTag, remoteTag } = bob.calls[0]?.snapshot() ?? {};
    const known = `Target-Dialog: ${callId};local-tag=${localTag};remote-tag=${remoteTag}`;
    const turned = `Target-Dialog: ${callId};local-tag=${remoteTag};remote-tag=${localTag}`;
    const more = ["Contact: <sip:p@10.0.0.9>", "Refer-To: <sip:a@10.0.0.1>", "Event: x"];
    const cases = [
      ["REFER", [known], 603],
      ["SUBSCRIBE", [known], 489],
      ["REFER", [turned], 403],
      ["REFER", [known, known], 403],
      ["REFER", [], 403],
      ["MESSAGE", [known], 403],
      ["INVITE", [known], 403],
    ] as const;
    for (const [method, lines, status] of cases) {
      peer.send(requestText({ method, headers: [...more, ...lines] }), "10.0.0.2");
      await pass(50);
      const last = peer.statuses().findLast((code) => code >= 200);
      assert.equal(last, status, `${method} ${lines.join()}`);
    }
    void call.end();
    await pass(100);
    await end();
  });

  it("is sent for the call that the application names", async () => {
    const { alice, bob, network, pass, end } = await aliceAndBob();
    const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
    peer.onRequest = (request) => peer.reply(request, 202);
    bob.takeCalls((session) => void session.accept());
    const call = alice.userAgent.invite({ targets: [bob.uri] });
    const refer = {
      method: "REFER",
      to: "sip:peer@10.0.0.9",
      targetDialog: call.id,
      headers: [["Refer-To", "<sip:x@10.0.0.3>"]],
    } as const;
    await assert.rejects(alice.userAgent.request(refer), InvalidStateError);
    await pass(100);
    const outcome = alice.userAgent.request(refer);
    await pass(100);
    assert.equal((await outcome).statusCode, 202);
    const { callId, localTag, remoteTag } = call.snapshot();
    assert.equal(
      peer.last("REFER").headers.get("target-dialog"),
      `${callId};local-tag=${remoteTag};remote-tag=${localTag}`,
    );
    void call.end();
    await pass(100);
    await assert.rejects(alice.userAgent.request(refer), InvalidStateError);
    await end();
  });
});
