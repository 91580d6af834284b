/**
 * The dialog store.
 * 1 Finds by message, from either side, and by tags. 2 Forks of one INVITE lie together. 3 Limits in all and per INVITE.
 * 4 Removal by identity. 5 Hostile Call-IDs and tags.
 */
import assert from "node:assert/strict";
import { Dialog, DialogStore, type DialogUser } from "../../../lib/dialog/index.js";
import { createResponse } from "../../../lib/message/index.js";
import { incoming, outgoing } from "../../support/transaction-bench.js";

const USER: DialogUser = { onDialogRequest: () => undefined, onDialogAck: () => undefined };

function called(callId = "call-1", localTag = "ours", fromTag = "remote"): Dialog {
  return Dialog.fromRequest(incoming("INVITE", { callId, fromTag }), localTag);
}

function fork(tag: string): Dialog {
  const request = outgoing("INVITE");
  request.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1");
  return Dialog.fromResponse(request, createResponse(request, { statusCode: 180, toTag: tag }));
}

describe("DialogStore", () => {
  it("finds the dialog of an incoming request by its To tag as ours", () => {
    const store = new DialogStore();
    const dialog = called();
    assert.equal(store.add(dialog, USER), true);
    assert.equal(store.find(incoming("BYE", { toTag: "ours" }))?.dialog, dialog);
    assert.equal(store.find(incoming("BYE", { toTag: "ours", fromTag: "x" })), undefined);
    assert.equal(store.find(incoming("BYE", { toTag: "x" })), undefined);
    assert.equal(store.find(incoming("BYE", { toTag: "ours", callId: "x" })), undefined);
    assert.equal(store.find(incoming("INVITE")), undefined);
  });

  it("finds the dialog of an incoming response by its From tag as ours", () => {
    const store = new DialogStore();
    const dialog = fork("b");
    store.add(dialog, USER);
    const request = outgoing("INVITE");
    request.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1");
    const response = createResponse(request, { statusCode: 200, toTag: "b" });
    assert.deepEqual({ ...store.find(response) }, { dialog, user: USER });
    assert.equal(store.lookup("call-1", "local", "b")?.dialog, dialog);
    assert.equal(store.lookup("call-1", "b", "local"), undefined);
  });

  it("keeps the forks of one INVITE apart and together", () => {
    const store = new DialogStore();
    const dialogs = ["a", "b", "c"].map(fork);
    for (const dialog of dialogs) store.add(dialog, USER);
    assert.equal(store.size, 3);
    const found = store.findByLocal("call-1", "local");
    assert.deepEqual(
      found.map(({ dialog }) => dialog),
      dialogs,
    );
    store.remove(dialogs[1]);
    assert.equal(found.length, 3);
    assert.equal(store.findByLocal("call-1", "local").length, 2);
    assert.equal(store.lookup("call-1", "local", "c")?.dialog, dialogs[2]);
    assert.deepEqual(store.findByLocal("call-1", "nobody"), []);
  });

  it("replaces a dialog of the same id and then removes only the present one", () => {
    const store = new DialogStore();
    const [first, second] = [called(), called()];
    store.add(first, USER);
    store.add(second, USER);
    assert.equal(store.size, 1);
    store.remove(first);
    assert.equal(store.size, 1);
    store.remove(second);
    store.remove(second);
    assert.equal(store.size, 0);
    assert.equal(store.findByLocal("call-1", "ours").length, 0);
  });

  it("takes no more dialogs than its limits, in all and per INVITE", () => {
    const store = new DialogStore({ limit: 4, forkLimit: 2 });
    const added = ["a", "b", "c"].map((tag) => store.add(fork(tag), USER));
    assert.deepEqual(added, [true, true, false]);
    const others = ["x", "y", "z"].map((callId) => store.add(called(callId), USER));
    assert.deepEqual(others, [true, true, false]);
    assert.equal(store.size, 4);
    // What is in already may be replaced all the same.
    assert.equal(store.add(called("x"), USER), true);
  });

  it("is not confused by Call-IDs and tags that are names of Object.prototype or hold spaces", () => {
    const store = new DialogStore();
    const names = ["__proto__", "constructor", "toString", "a b"];
    for (const name of names) store.add(called(name, "ours", name.replace(" ", "-")), USER);
    assert.equal(store.size, 4);
    for (const name of names) {
      assert.ok(store.lookup(name, "ours", name.replace(" ", "-")), name);
      assert.equal(store.lookup(name, name, "ours"), undefined);
    }
    assert.equal(store.lookup("b", "ours a", "a-b"), undefined);
  });
});
