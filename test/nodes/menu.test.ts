/**
 * sip-menu (contract §4.4, §4.7, §4.8). Hard cases: keys before, during and between the prompts, a choice that begins
 * another, a burst that decides several rounds, a hang-up in mid-prompt, choices that a deploy moved meanwhile.
 */
import assert from "node:assert/strict";
import type { FakeAudio, FakeSession } from "../support/fake-user-agent.js";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";

const incoming: FlowEntry = { id: "in", type: "sip-incoming", stack: "stack" };
/** Outputs: 1 sales, 2 support, 3 operator, 4 timeout, 5 invalid, 6 ended. */
const menu = (more = {}): FlowEntry => ({
  id: "menu",
  type: "sip-menu",
  choices: [
    { digits: "1", label: "sales" },
    { digits: "2", label: "support" },
    { digits: "0", label: "" },
  ],
  ...more,
});

describe("sip-menu", () => {
  useNodeRed();
  let bench: NodeBench;
  let session: FakeSession;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(() => bench.unload());

  const established = async (...nodes: FlowEntry[]): Promise<void> => {
    await bench.load([stack(), incoming, ...nodes]);
    session = bench.userAgent.ring() as FakeSession;
    session.answer();
    await bench.settle();
    bench.clear();
  };
  const audio = (): FakeAudio => session.fakeAudio as FakeAudio;
  const enter = (msg: Record<string, unknown> = {}): Promise<void> =>
    bench.input("menu", { ...msg, sip: { session: session.id } });
  const dial = async (digits: string): Promise<void> => {
    for (const digit of digits) session.digit(digit);
    await bench.settle();
  };
  const wait = async (milliseconds: number): Promise<void> => {
    bench.clock.advance(milliseconds);
    await bench.settle();
  };
  const sounds = (): unknown[] =>
    audio().played.map(({ source }) => (source as { name?: string }).name);
  const error = (): { code: string; message: string } =>
    bench.only("caught").error as { code: string; message: string };

  it("leaves by the output of the choice with its label, user properties kept", async () => {
    await established(menu());
    await enter({ keep: 1, payload: "gone" });
    await dial("2");
    const msg = bench.only("menu:2");
    assert.equal(msg.topic, "choice");
    assert.equal(msg.payload, "2");
    assert.equal(msg.keep, 1);
    assert.equal(msg.sip.event, "choice");
    assert.equal(msg.sip.choice, "support");
    assert.equal(msg.sip.session, session.id);
    assert.deepEqual(bench.order(), ["menu:2", "completed"]);
    assert.equal(bench.clock.pendingTimers(), 0);
  });

  it("names a choice without a label by its digits", async () => {
    await established(menu());
    await enter();
    await dial("0");
    assert.equal(bench.only("menu:3").sip.choice, "0");
  });

  it("a key ends the prompt and chooses", async () => {
    await established(menu({ prompt: "ring", promptType: "tone" }));
    await enter();
    assert.deepEqual(sounds(), ["ring"]);
    await wait(60_000);
    assert.deepEqual(bench.order(), [], "no time runs during the prompt");
    await dial("1");
    assert.deepEqual(audio().last.calls, ["stop"]);
    assert.equal(bench.only("menu:1").payload, "1");
  });

  it("takes the key that came before, and does not ask then", async () => {
    await established(menu({ prompt: "ring", promptType: "tone" }));
    await dial("1");
    await enter();
    assert.equal(bench.only("menu:1").payload, "1");
    assert.deepEqual(sounds(), []);
  });

  it("leaves keys that were typed ahead to the next menu", async () => {
    await established(menu(), { ...menu(), id: "second" });
    await dial("120");
    await enter();
    await bench.input("second", { sip: { session: session.id } });
    await enter();
    assert.deepEqual(
      bench.order().filter((from) => from !== "completed"),
      ["menu:1", "second:2", "menu:3"],
    );
  });

  it("without bargeIn drops what came before the prompt ended, in every round", async () => {
    await established(
      menu({ prompt: "ring", promptType: "tone", bargeIn: false, invalidPrompt: "tone:busy" }),
    );
    await dial("1");
    await enter();
    await dial("1");
    assert.deepEqual(audio().last.calls, []);
    audio().last.finish();
    await bench.settle();
    await dial("91");
    assert.deepEqual(bench.order(), []);
    assert.deepEqual(sounds(), ["ring", "busy"]);
    audio().last.finish();
    await bench.settle();
    await dial("1");
    audio().last.finish();
    await bench.settle();
    assert.deepEqual(bench.order(), []);
    await dial("2");
    assert.equal(bench.only("menu:2").payload, "2");
  });

  it("asks again after a wrong key: the invalid prompt, then the prompt", async () => {
    await established(
      menu({ prompt: "tone:ring", invalidPrompt: "busy", invalidPromptType: "tone" }),
    );
    await enter();
    await dial("7");
    assert.deepEqual(sounds(), ["ring", "busy"]);
    assert.equal(audio().played[0]?.calls[0], "stop");
    audio().last.finish();
    await bench.settle();
    assert.deepEqual(sounds(), ["ring", "busy", "ring"]);
    await dial("1");
    assert.equal(bench.only("menu:1").payload, "1");
  });

  it("a key during the invalid prompt chooses, and nothing more is played", async () => {
    await established(menu({ prompt: "tone:ring", invalidPrompt: "tone:busy" }));
    await enter();
    await dial("71");
    assert.equal(bench.only("menu:1").payload, "1");
    assert.deepEqual(sounds(), ["ring", "busy"]);
    assert.deepEqual(audio().last.calls, ["stop"]);
  });

  it("is invalid after the last round, with the keys of that round and no further prompt", async () => {
    await established(menu({ retries: 2, prompt: "tone:ring", invalidPrompt: "tone:busy" }));
    await enter();
    for (const digit of "789") await dial(digit);
    const msg = bench.only("menu:5");
    assert.equal(msg.topic, "invalid");
    assert.equal(msg.payload, "9");
    assert.equal("choice" in msg.sip, false);
    assert.deepEqual(sounds(), ["ring", "busy", "busy"]);
    assert.equal(bench.clock.pendingTimers(), 0);
  });

  it("times out after 10 s of silence in each of three rounds by default", async () => {
    await established(menu({ prompt: "tone:ring", timeoutPrompt: "tone:beep" }));
    await enter();
    for (let round = 1; round <= 3; round++) {
      // The sounds of this round: from the second on the timeout prompt comes first.
      for (let sound = 0; sound < (round === 1 ? 1 : 2); sound++) {
        audio().last.finish();
        await bench.settle();
      }
      await wait(9_999);
      assert.deepEqual(bench.order(), []);
      await wait(1);
    }
    const msg = bench.only("menu:4");
    assert.equal(msg.topic, "timeout");
    assert.equal(msg.payload, "");
    assert.deepEqual(sounds(), ["ring", "beep", "ring", "beep", "ring"]);
  });

  it("lets the last round choose between timeout and invalid", async () => {
    await established(menu({ retries: 1 }));
    await enter();
    await dial("9");
    await wait(10_000);
    assert.equal(bench.only("menu:4").payload, "");
    await enter();
    await wait(10_000);
    await dial("9");
    assert.equal(bench.only("menu:5").payload, "9");
  });

  it("waits for ever with a timeout of 0, and asks once with retries 0", async () => {
    await established(menu({ timeout: 0, retries: 0 }));
    await enter();
    await wait(3_600_000);
    assert.deepEqual(bench.order(), []);
    await dial("*");
    assert.equal(bench.only("menu:5").payload, "*");
  });

  describe("with choices of several digits", () => {
    const long = (more = {}): FlowEntry =>
      menu({ choices: [{ digits: "1" }, { digits: "12" }, { digits: "2345" }], ...more });

    it("waits 2 s where a choice begins a longer one, then takes the short one", async () => {
      await established(long());
      await enter();
      await dial("1");
      await wait(1_999);
      assert.deepEqual(bench.order(), []);
      await wait(1);
      assert.equal(bench.only("menu:1").payload, "1");
    });

    it("takes the longest choice at once when no longer one is possible", async () => {
      await established(long());
      await enter();
      await dial("12");
      assert.equal(bench.only("menu:2").payload, "12");
      await enter();
      await dial("2345");
      assert.equal(bench.only("menu:3").payload, "2345");
    });

    it("is invalid as soon as no choice begins so, timed out when a choice stays unfinished", async () => {
      await established(long({ retries: 0, interDigitTimeout: "1.5" }));
      await enter();
      await dial("13");
      assert.equal(bench.only("menu:5").payload, "13");
      await enter();
      await dial("234");
      await wait(1_500);
      assert.equal(bench.only("menu:4").payload, "234");
    });
  });

  it("a burst before the menu decides round after round", async () => {
    await established(menu({ prompt: "tone:ring" }));
    await dial("9982");
    await enter();
    assert.equal(bench.only("menu:5").payload, "8");
    await enter();
    assert.equal(bench.only("menu:2").payload, "2", "what is left stays for the next");
    assert.deepEqual(sounds(), []);
  });

  it("takes keys while an endless number of retries is allowed, without piling up", async () => {
    await established(menu({ retries: 1_000_000, prompt: "tone:ring" }));
    await enter();
    await dial("9".repeat(500));
    await dial("1");
    assert.equal(bench.only("menu:1").payload, "1");
    assert.equal(bench.clock.pendingTimers(), 0);
  });

  it("leaves by the last output with the digits so far when the call ends in mid-prompt", async () => {
    await established(menu({ prompt: "tone:ring" }));
    await enter();
    session.close("remote-bye");
    await bench.settle();
    const msg = bench.only("menu:6");
    assert.equal(msg.topic, "ended");
    assert.equal(msg.payload, "");
    assert.equal(msg.sip.cause, "remote-bye");
    assert.deepEqual(bench.order(), ["menu:6", "completed", "in:2"]);
    assert.equal(bench.clock.pendingTimers(), 0);
  });

  it("tells the beginning of a choice when the call ends", async () => {
    await established(menu({ choices: [{ digits: "12" }, { digits: "2" }, { digits: "3" }] }));
    await enter();
    await dial("1");
    session.close("remote-bye");
    await bench.settle();
    assert.equal(bench.only("menu:6").payload, "1");
    assert.equal(bench.clock.pendingTimers(), 0);
  });

  it("sends what comes after the end of the call to ended", async () => {
    await established(menu());
    await bench.input("menu", { sip: { session: "gone" } });
    const msg = bench.only("menu:6");
    assert.equal(msg.sip.cause, "no-session");
    assert.equal(msg.payload, "");
  });

  it("is busy while another node collects, and frees the digits when it has left", async () => {
    await established(menu(), { id: "get", type: "sip-gather", max: 1 });
    await enter();
    await bench.input("get", { sip: { session: session.id } });
    assert.equal(error().code, "busy");
    await dial("1");
    await bench.input("get", { sip: { session: session.id } });
    await dial("5");
    assert.equal(bench.only("get:1").payload, "5");
  });

  it("does not mix two calls", async () => {
    await established(menu());
    await enter({ call: 1 });
    const first = session;
    session = bench.userAgent.ring() as FakeSession;
    session.answer();
    await enter({ call: 2 });
    await dial("1");
    first.digit("2");
    await bench.settle();
    assert.equal(bench.only("menu:1").call, 2);
    assert.equal(bench.only("menu:2").call, 1);
  });

  it("a prompt that cannot be played is an error in the first round and in a later one", async () => {
    await established(menu({ prompt: "tone:ring" }));
    audio().error = new Error("no such tone");
    await enter();
    assert.match(error().message, /no such tone/);
    bench.clear();
    audio().error = undefined;
    await enter();
    audio().error = new Error("no such tone");
    await dial("9");
    assert.match(error().message, /no such tone/);
    audio().error = undefined;
    await enter();
    await dial("1");
    assert.equal(bench.only("menu:1").payload, "1", "the digits are free again");
  });

  it("needs sound that was negotiated", async () => {
    await established(menu());
    audio().ready = false;
    await enter();
    assert.equal(error().code, "no-media");
  });

  for (const [name, choices, words] of [
    ["none", undefined, /no choices/],
    ["an empty list", [], /no choices/],
    ["one without digits", [{ digits: "", label: "x" }], /0-9/],
    ["letters", [{ digits: "x" }], /0-9/],
    ["one twice", [{ digits: "a" }, { digits: "A" }], /twice/],
    ["an object in the place of digits", [{ digits: {} }], /text/],
  ] as const) {
    it(`refuses choices: ${name}`, async () => {
      await established(menu({ choices }));
      await enter();
      assert.match(error().message, words);
      assert.deepEqual(bench.order(), ["caught"]);
    });
  }

  it("reads choices as a list of digits, numbers too, in either case", async () => {
    await established(menu({ choices: "1,a" }), { ...menu({ choices: [1, 2, 3] }), id: "numbers" });
    await enter();
    await dial("A");
    assert.equal(bench.only("menu:2").sip.choice, "A");
    await bench.input("numbers", { sip: { session: session.id } });
    await dial("3");
    assert.equal(bench.only("numbers:3").payload, "3");
  });

  it("takes other digits from msg.options, but no more than there are outputs", async () => {
    await established(menu());
    await enter({ options: { choices: [{ digits: "7", label: "night" }], retries: 0 } });
    await dial("7");
    assert.equal(bench.only("menu:1").sip.choice, "night");
    await enter({ options: { choices: [{ digits: "7" }], retries: 0 } });
    await dial("1");
    assert.equal(bench.only("menu:5").payload, "1", "the outputs after the choices stay");
    await enter({ options: { choices: ["1", "2", "3", "4"] } });
    assert.equal(error().code, "bad-choices");
  });

  it("follows its choices when a deploy moves, adds or removes them while a call waits", async () => {
    const choices = [{ digits: "1" }, { digits: "2" }];
    await established(menu({ choices, retries: 0 }));
    const again = [{ digits: "9" }, { digits: "2" }, { digits: "1" }];
    await enter();
    await bench.deploy([stack(), incoming, menu({ choices: again, retries: 0 })], "nodes");
    await dial("1");
    assert.equal(bench.only("menu:3").payload, "1");
    await enter();
    await bench.deploy([stack(), incoming, menu({ choices, retries: 0 })], "nodes");
    bench.clear();
    await dial("9");
    assert.equal(bench.only("menu:4").topic, "choice", "the choice is gone: invalid");
    await enter();
    await bench.deploy([stack(), incoming, menu({ choices: again, retries: 0 })], "nodes");
    bench.clear();
    await wait(10_000);
    assert.equal(bench.only("menu:4").topic, "timeout");
  });
});
