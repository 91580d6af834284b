/** Who gets a message in which turn of the event loop (contract §4.1 (d)). */
import assert from "node:assert/strict";
import type { Node, NodeAPI } from "node-red";
import { type Delivery, dispatcher } from "../../../nodes/shared/dispatcher.js";
import {
  addLiveNode,
  isWired,
  type LiveNode,
  removeLiveNode,
} from "../../../nodes/shared/live-nodes.js";
import { NodeStatus } from "../../../nodes/shared/status.js";

const turn = () => new Promise((resolve) => setImmediate(resolve));

function liveNodeOf(node: object): LiveNode {
  const RED = {} as NodeAPI;
  return {
    id: "dispatched",
    node: node as Node,
    RED,
    status: new NodeStatus(node as Node, RED),
    stackId: undefined,
    accountId: undefined,
    showBase: () => undefined,
  };
}

describe("dispatcher", () => {
  const live = liveNodeOf({ error: (error: unknown) => assert.fail(String(error)) });
  let log: string[] = [];
  const say = (text: string): Delivery => ({
    nodeId: live.id,
    run: () => void log.push(text),
  });
  const happen = (session: string | undefined, ...texts: string[]): void =>
    dispatcher.event(session, "happened", () => texts.map(say));

  /** What each turn brought, until nothing comes any more. */
  async function turns(): Promise<string[][]> {
    const all: string[][] = [];
    for (let quiet = 0; quiet < 3;) {
      log = [];
      await turn();
      quiet = log.length === 0 ? quiet + 1 : 0;
      if (log.length > 0) all.push(log);
    }
    return all;
  }

  before(() => addLiveNode(live));
  after(() => removeLiveNode(live));

  it("gives every session a turn of its own for each output, and serves sessions beside each other", async () => {
    happen("a", "a owner", "a watcher");
    happen("b", "b owner");
    happen("c", "c owner", "c watcher");
    assert.deepEqual(await turns(), [
      ["a owner", "b owner", "c owner"],
      ["a watcher", "c watcher"],
    ]);
  });

  it("lets nothing overtake the next event of a session, for two calls may be joined", async () => {
    happen("a", "a 1");
    happen("a", "a 2");
    happen("b", "b 1");
    assert.deepEqual(await turns(), [["a 1"], ["a 2", "b 1"]]);
  });

  it("puts what belongs to no session where it happened", async () => {
    happen("a", "a 1", "a 2");
    happen(undefined, "stack");
    happen("b", "b 1");
    assert.deepEqual(await turns(), [["a 1"], ["a 2"], ["stack", "b 1"]]);
  });

  it("holds one session back and no other", async () => {
    happen("a", "a 1");
    const release = dispatcher.hold("a", ["happened"]);
    happen("a", "a 2");
    happen("b", "b 1");
    happen(undefined, "stack");
    assert.deepEqual(await turns(), [["b 1"], ["stack"]]);
    release();
    release();
    assert.deepEqual(await turns(), [["a 1"], ["a 2"]]);
  });

  it("puts the outputs of waiting nodes first, the longest wait before the others", async () => {
    happen("a", "a owner");
    dispatcher.output("a", ["happened"], 2, say("waited"));
    dispatcher.output("a", ["happened"], 1, say("waited longest"));
    assert.deepEqual(await turns(), [["waited longest"], ["waited"], ["a owner"]]);
  });

  it("serves thousands of sessions in a few turns, and none of them twice in one", async () => {
    for (let i = 0; i < 2000; i++) happen(`s${i}`, `${i} owner`, `${i} watcher`);
    const all = await turns();
    assert.equal(all.flat().length, 4000);
    assert.ok(all.length < 40, `${all.length} turns`);
    for (const texts of all) {
      assert.equal(new Set(texts.map((text) => text.split(" ")[0])).size, texts.length);
    }
  });

  it("knows outputs that no wire leaves", () => {
    const wired = liveNodeOf({ wires: [["next"], []] });
    assert.deepEqual(
      [1, 2, 3].map((output) => isWired(wired, output)),
      [true, false, false],
    );
    assert.equal(isWired(liveNodeOf({}), 1), true);
  });
});
