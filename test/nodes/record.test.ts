/**
 * sip-record (contract §4.7). Hard cases: the call ends while it is recorded, in front of its owner's message; nothing
 * was recorded; names that must not leave the media folder; control words; two nodes in one call.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import helper from "node-red-node-test-helper";
import { MediaError } from "../../lib/index.js";
import {
  type FakeAudio,
  type FakeRecording,
  type FakeSession,
} from "../support/fake-user-agent.js";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";

describe("sip-record", () => {
  useNodeRed();
  let bench: NodeBench;
  let folder: string;
  let session: FakeSession;
  beforeEach(() => {
    bench = new NodeBench();
    folder = mkdtempSync(join(tmpdir(), "sip-record-"));
    mkdirSync(join(folder, "sip-media", "sub"), { recursive: true });
    symlinkSync(folder, join(folder, "sip-media", "out"));
    helper.settings({ userDir: folder });
  });
  afterEach(async () => {
    await bench.unload();
    rmSync(folder, { recursive: true });
  });

  const established = async (...nodes: FlowEntry[]): Promise<void> => {
    await bench.load([stack(), { id: "in", type: "sip-incoming", stack: "stack" }, ...nodes]);
    const rung = bench.userAgent.ring();
    assert.ok(rung);
    session = rung;
    await bench.settle();
    session.answer();
    await bench.settle();
    bench.clear();
  };
  const node = (more = {}): FlowEntry => ({ id: "rec", type: "sip-record", ...more });
  const audio = (): FakeAudio => session.fakeAudio as FakeAudio;
  const to = (id: string, msg: Record<string, unknown> = {}): Promise<void> =>
    bench.input(id, { ...msg, sip: { session: session.id } });
  /** File look-ups end in later turns of the loop. */
  const until = async (done: () => boolean): Promise<void> => {
    for (let i = 0; i < 400 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 2));
    await bench.settle();
  };
  const recording = async (count = 1): Promise<FakeRecording> => {
    await until(() => audio().recorded.length >= count);
    const recorded = audio().recorded[count - 1];
    assert.ok(recorded, JSON.stringify(bench.recorded));
    return recorded;
  };

  it("gives a Buffer when there is no file, with the defaults of the contract", async () => {
    await established(node());
    await to("rec", { keep: 1, payload: "gone" });
    const made = await recording();
    assert.deepEqual(made.options, {
      path: undefined,
      channels: "remote",
      maxDuration: 300_000,
      silence: 0,
    });
    assert.deepEqual(bench.order(), []);
    made.finish("silence", { data: Buffer.from("RIFF") });
    await bench.settle();
    const msg = bench.only("rec:1");
    assert.equal(msg.topic, "recorded");
    assert.deepEqual(msg.payload, Buffer.from("RIFF"));
    assert.equal(msg.keep, 1);
    assert.deepEqual((msg.sip as { recording: unknown }).recording, {
      seconds: 2,
      bytes: 32_044,
      reason: "silence",
    });
    assert.deepEqual(bench.order(), ["rec:1", "completed"]);
  });

  it("writes to the file that is named, inside the media folder", async () => {
    await established(
      node({
        target: "file",
        targetType: "msg",
        channels: "stereo",
        silence: 1500,
        maxDuration: 9,
      }),
      node({ id: "lit", target: join(folder, "any", "where.wav") }),
      node({ id: "rel", target: "sub/note.wav", targetType: "str" }),
    );
    await to("rec", { file: "new/call.wav" });
    await recording(1);
    await to("lit");
    await recording(2);
    await to("rel");
    await recording(3);
    assert.deepEqual(
      audio().recorded.map(({ options }) => options.path),
      [
        join(folder, "sip-media", "new", "call.wav"),
        join(folder, "any", "where.wav"),
        join(folder, "sip-media", "sub", "note.wav"),
      ],
    );
    const [first] = audio().recorded;
    assert.equal(first.options.channels, "stereo");
    assert.deepEqual([first.options.silence, first.options.maxDuration], [1500, 9000]);
    first.finish("max");
    await bench.settle();
    const msg = bench.only("rec:1");
    assert.equal(msg.payload, join(folder, "sip-media", "new", "call.wav"));
    assert.equal((msg.sip as { recording: { file: string } }).recording.file, msg.payload);
  });

  for (const [name, file] of [
    ["a way out", "../x.wav"],
    ["an absolute path", "/tmp/x.wav"],
    ["a drive", "C:\\x.wav"],
    ["a link that leads out", "out/x.wav"],
    ["a link itself", "out"],
    ["an object", {}],
    ["a NUL", "a\0.wav"],
  ] as const) {
    it(`refuses ${name} from a message with bad-path`, async () => {
      await established(node({ target: "file", targetType: "msg" }));
      await to("rec", { file });
      await until(() => bench.of("caught").length > 0);
      assert.equal(bench.only("caught").error.code, "bad-path");
      assert.equal(audio().recorded.length, 0);
    });
  }

  it("ends by a key of its terminator, which others still get, and by no other", async () => {
    await established(node({ terminator: "#*" }), { id: "get", type: "sip-gather", max: 1 });
    await to("rec");
    const made = await recording();
    await to("get");
    session.digit("5");
    await bench.settle();
    assert.deepEqual(made.calls, []);
    assert.equal(bench.only("get:1").payload, "5");
    session.digit("*");
    await bench.settle();
    assert.deepEqual(made.calls, ["stop digit"]);
    assert.equal(
      (bench.only("rec:1").sip as { recording: { reason: string } }).recording.reason,
      "digit",
    );
  });

  it("obeys stop, pause and resume for what it records itself, and for all with options.all", async () => {
    await established(node(), node({ id: "other" }));
    await to("rec");
    const mine = await recording(1);
    await to("other");
    const others = await recording(2);
    for (const control of ["pause", "resume", "stop"]) await to("rec", { control });
    assert.deepEqual(mine.calls, ["pause", "resume", "stop stopped"]);
    assert.deepEqual(others.calls, []);
    await to("rec", { control: "stop", options: { all: true } });
    assert.deepEqual(others.calls, ["stop stopped"]);
    await to("rec", { control: "rewind" });
    assert.equal(bench.only("caught").error.code, "bad-control");
  });

  it("never writes two recordings into one file, and frees it at the end", async () => {
    await established(node({ target: "box.wav" }), node({ id: "other", target: "./box.wav" }));
    await to("rec");
    const first = await recording(1);
    await to("other");
    await until(() => bench.of("caught").length > 0);
    assert.equal(bench.only("caught").error.code, "file-busy");
    first.finish("stopped");
    await bench.settle();
    await to("other");
    await recording(2);
  });

  it("leaves by output 1 with hangup when the call ends, before the owner's message", async () => {
    await established(node());
    await to("rec");
    const made = await recording();
    session.close("remote-bye");
    await bench.settle();
    assert.deepEqual(bench.order(), []);
    made.finish("hangup", { data: Buffer.from("RIFF") });
    await bench.settle();
    assert.deepEqual(bench.order(), ["rec:1", "completed", "in:2"]);
    const sip = bench.only("rec:1").sip as { state: string; recording: { reason: string } };
    assert.deepEqual([sip.recording.reason, sip.state], ["hangup", "terminated"]);
  });

  it("leaves by output 2 when the call ended before anything was recorded", async () => {
    await established(node());
    await to("rec");
    const made = await recording();
    session.close("remote-bye");
    made.finish("hangup", { seconds: 0, bytes: 44 });
    await bench.settle();
    assert.deepEqual(bench.order(), ["rec:2", "completed", "in:2"]);
    assert.equal(bench.only("rec:2").payload, "remote-bye");
  });

  it("in a call that is over goes to ended, silently", async () => {
    await established(node());
    session.close("remote-bye");
    await bench.settle();
    bench.clear();
    await to("rec");
    assert.deepEqual(bench.order(), ["rec:2", "completed"]);
    assert.equal((bench.only("rec:2").sip as { cause: string }).cause, "no-session");
  });

  it("beeps first when asked, and records after the beep", async () => {
    await established(node({ beep: true }));
    await to("rec");
    await until(() => audio().played.length > 0);
    assert.deepEqual(audio().last.source, { kind: "tone", name: "beep" });
    assert.equal(audio().recorded.length, 0);
    audio().last.finish();
    await recording();
  });

  it("tells what went wrong: no sound yet, no folder, a full disk", async () => {
    await established(node());
    audio().ready = false;
    await to("rec");
    assert.equal(bench.only("caught").error.code, "no-media");
    bench.clear();
    audio().ready = true;
    await to("rec");
    const made = await recording();
    made.finish("failed", { error: new MediaError("disk full", { rule: "record-failed" }) });
    await bench.settle();
    assert.equal(bench.only("caught").error.code, "record-failed");
    assert.match(bench.only("caught").error.message, /disk full/);
  });
});
