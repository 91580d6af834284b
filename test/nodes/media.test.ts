/**
 * sip-play and sip-gather (contract §4.7). Hard cases: hang-up while a sound plays, digits before and during a
 * prompt, two collectors, files that a message must not reach.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import helper from "node-red-node-test-helper";
import { MediaError } from "../../lib/index.js";
import { FakeAudio, type FakeSession } from "../support/fake-user-agent.js";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";

describe("media nodes", () => {
  useNodeRed();
  let bench: NodeBench;
  let folder: string;
  let session: FakeSession;
  beforeEach(() => {
    bench = new NodeBench();
    folder = mkdtempSync(join(tmpdir(), "sip-media-"));
    mkdirSync(join(folder, "sip-media"));
    writeFileSync(join(folder, "sip-media", "hello.wav"), "RIFF");
    writeFileSync(join(folder, "secret.wav"), "RIFF");
    symlinkSync(join(folder, "secret.wav"), join(folder, "sip-media", "link.wav"));
    helper.settings({ userDir: folder });
  });
  afterEach(async () => {
    await bench.unload();
    rmSync(folder, { recursive: true });
  });

  /** A call that is up, and the nodes. */
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
  const play = (more = {}): FlowEntry => ({ id: "play", type: "sip-play", ...more });
  const gather = (more = {}): FlowEntry => ({ id: "get", type: "sip-gather", ...more });
  const audio = (): FakeAudio => session.fakeAudio as FakeAudio;
  const to = (id: string, msg: Record<string, unknown> = {}): Promise<void> =>
    bench.input(id, { ...msg, sip: { session: session.id } });
  /** File look-ups end in later turns of the loop. */
  const playing = async (count = 1): Promise<void> => {
    for (let i = 0; i < 200 && audio().played.length < count; i++) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await bench.settle();
    assert.equal(audio().played.length, count, JSON.stringify(bench.recorded));
  };
  const caught = async (): Promise<{ code: string; message: string }> => {
    for (let i = 0; i < 200 && bench.of("caught").length === 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return bench.only("caught").error;
  };

  describe("sip-play", () => {
    it("plays a tone of msg.payload and leaves with completed", async () => {
      await established(play({ loop: "2", settle: 200 }));
      await to("play", { payload: "tone:beep", keep: 1 });
      assert.deepEqual(audio().last.source, { kind: "tone", name: "beep" });
      assert.deepEqual(audio().last.options, { loop: 2, settle: 200, background: false });
      assert.deepEqual(bench.order(), []);
      audio().last.finish();
      await bench.settle();
      const msg = bench.only("play:1");
      assert.equal(msg.topic, "played");
      assert.equal(msg.payload, "completed");
      assert.equal(msg.keep, 1);
      assert.deepEqual(bench.order(), ["play:1", "completed"]);
    });

    it("plays a Buffer of its own, raw with format and sampleRate", async () => {
      await established(play());
      const data = Buffer.from([1, 2, 3]);
      await to("play", { payload: data, options: { format: "mulaw", sampleRate: 8000 } });
      data.fill(0);
      assert.deepEqual(audio().last.source, {
        kind: "buffer",
        data: Buffer.from([1, 2, 3]),
        format: "mulaw",
        sampleRate: 8000,
      });
    });

    it("plays an array in order: texts, tones and Buffers of its own, and shows it", async () => {
      await established(play({ background: true }));
      const data = Buffer.from("ID3");
      await to("play", { payload: ["tone:silence/300", "hello.wav", data] });
      await playing(1);
      data.fill(0);
      assert.deepEqual(audio().last.source, {
        kind: "list",
        sources: [
          { kind: "tone", name: "silence/300" },
          { kind: "file", path: join(folder, "sip-media", "hello.wav") },
          {
            kind: "buffer",
            data: Buffer.from("ID3"),
            format: undefined,
            sampleRate: undefined,
          },
        ],
      });
      const { payload } = bench.only("play:1") as { payload: unknown[] };
      assert.deepEqual(payload, ["tone:silence/300", "hello.wav", Buffer.from("ID3")]);
    });

    it("reads an array typed into the editor as JSON", async () => {
      await established(play({ source: '["tone:ring/uk","tone:beep"]', sourceType: "json" }));
      await to("play");
      assert.deepEqual(audio().last.source, {
        kind: "list",
        sources: [
          { kind: "tone", name: "ring/uk" },
          { kind: "tone", name: "beep" },
        ],
      });
    });

    it("finds a file of a message in the media folder, and a literal anywhere", async () => {
      await established(
        play(),
        play({ id: "lit", source: join(folder, "secret.wav"), sourceType: "file" }),
      );
      await to("play", { payload: "hello.wav" });
      await playing(1);
      await to("lit");
      await playing(2);
      assert.deepEqual(
        audio().played.map((playback) => (playback.source as { path: string }).path),
        [join(folder, "sip-media", "hello.wav"), join(folder, "secret.wav")],
      );
    });

    for (const [name, payload, code] of [
      ["a way out", "../secret.wav", "bad-path"],
      ["an absolute path", "/etc/passwd", "bad-path"],
      ["a drive", "C:\\x.wav", "bad-path"],
      ["a link that leads out", "link.wav", "bad-path"],
      ["a missing file", "missing.wav", "no-file"],
      ["nothing", "", "no-source"],
      ["an object", {}, "no-source"],
      ["an empty array", [], "no-source"],
      ["an array in an array", [["tone:beep"]], "no-source"],
      ["an array of hundreds", Array.from({ length: 101 }, () => "tone:beep"), "no-source"],
      ["an array with a way out", ["tone:beep", "../secret.wav"], "bad-path"],
      ["an array with a missing file", ["hello.wav", "missing.wav"], "no-file"],
    ] as const) {
      it(`refuses ${name} from a message with ${code}`, async () => {
        await established(play());
        await to("play", { payload });
        assert.equal((await caught()).code, code);
        assert.deepEqual(bench.order(), ["caught"]);
      });
    }

    it("treats msg.options.source as coming from the message", async () => {
      await established(play({ source: "hello.wav", sourceType: "file" }));
      await to("play", { options: { source: join(folder, "secret.wav") } });
      assert.equal((await caught()).code, "bad-path");
    });

    it("is an error before sound was negotiated", async () => {
      await established(play());
      session.fakeAudio = new FakeAudio();
      session.fakeAudio.ready = false;
      await to("play", { payload: "tone:beep" });
      assert.equal((await caught()).code, "no-media");
    });

    it("names what cannot be decoded", async () => {
      await established(play());
      audio().error = new MediaError("not a WAV file", { rule: "unsupported-audio" });
      await to("play", { payload: Buffer.from("x") });
      const error = await caught();
      assert.equal(error.code, "unsupported-audio");
      assert.match(error.message, /not a WAV file/);
    });

    it("leaves by output 2 with the cause when the call ends, before the owner", async () => {
      await established(play());
      await to("play", { payload: "tone:ring" });
      session.close("remote-bye");
      await bench.settle();
      assert.deepEqual(bench.order(), ["play:2", "completed", "in:2"]);
      const msg = bench.only("play:2");
      assert.equal(msg.topic, "ended");
      assert.equal(msg.payload, "remote-bye");
    });

    it("waits for the end of a call that is terminating", async () => {
      await established(play());
      await to("play", { payload: "tone:ring" });
      session.become("terminating");
      audio().last.finish("stopped");
      await bench.settle();
      assert.deepEqual(bench.order(), []);
      await to("play", { payload: "tone:ring", second: true });
      session.close("local-bye");
      await bench.settle();
      assert.deepEqual(
        bench.of("play:2").map((msg) => msg.payload),
        ["local-bye", "local-bye"],
      );
    });

    it("is stopped by a digit with bargeIn, and the digit is kept for a collector", async () => {
      await established(play({ bargeIn: true }), gather({ max: 1 }));
      await to("play", { payload: "tone:ring" });
      session.digit("5");
      await bench.settle();
      assert.equal(bench.only("play:1").payload, "digit");
      await to("get");
      assert.equal(bench.only("get:1").payload, "5");
    });

    it("is not stopped by a digit without bargeIn", async () => {
      await established(play());
      await to("play", { payload: "tone:ring" });
      session.digit("5");
      await bench.settle();
      assert.deepEqual(audio().last.calls, []);
    });

    it("a newer sound ends the older, which leaves as stopped", async () => {
      await established(play());
      await to("play", { payload: "tone:ring", n: 1 });
      await to("play", { payload: "tone:busy", n: 2 });
      assert.equal(bench.only("play:1").payload, "stopped");
      assert.equal(bench.only("play:1").n, 1);
    });

    it("stop, pause and resume act on what this node plays and end with done only", async () => {
      await established(play(), play({ id: "other" }));
      await to("play", { payload: "tone:ring", n: 1 });
      const { last } = audio();
      await to("other", { control: "stop" });
      assert.deepEqual(last.calls, []);
      await to("play", { control: "pause" });
      await to("play", { control: "resume" });
      await to("play", { control: "stop" });
      assert.deepEqual(last.calls, ["pause", "resume", "stop"]);
      assert.deepEqual(bench.order().sort(), [
        "completed",
        "completed",
        "completed",
        "completed",
        "completed",
        "play:1",
      ]);
      assert.equal(bench.only("play:1").payload, "stopped");
      assert.equal(bench.only("play:1").n, 1);
    });

    it("control with options.all acts on every sound of the session", async () => {
      await established(play(), play({ id: "other" }));
      await to("play", { payload: "tone:ring" });
      await to("other", { control: "stop", options: { all: true } });
      assert.deepEqual(audio().last.calls, ["stop"]);
    });

    it("refuses an unknown control word", async () => {
      await established(play());
      await to("play", { control: "rewind" });
      assert.equal((await caught()).code, "bad-control");
    });

    it("control of a call that is over has no effect and no output", async () => {
      await established(play());
      await bench.input("play", { control: "stop", sip: { session: "gone" } });
      assert.deepEqual(bench.order(), ["completed"]);
    });

    it("a background sound leaves at once as playing; its end sends nothing", async () => {
      await established(play({ background: true }));
      await to("play", { payload: "tone:ring" });
      const msg = bench.only("play:1");
      assert.equal(msg.topic, "playing");
      assert.equal(msg.payload, "tone:ring");
      await to("play", { control: "stop" });
      assert.deepEqual(audio().last.calls, ["stop"]);
      session.close("remote-bye");
      await bench.settle();
      assert.deepEqual(bench.order(), ["play:1", "completed", "completed", "in:2"]);
    });

    it("reports a sound that broke off", async () => {
      await established(play());
      await to("play", { payload: "tone:ring" });
      audio().last.finish("failed");
      assert.equal((await caught()).code, "media-failed");
    });

    describe("from a URL", () => {
      let server: Server;
      let base: string;
      beforeEach(async () => {
        server = createServer((request, response) => {
          if (request.url === "/a.wav") response.end("RIFFdata");
          else response.writeHead(404).end();
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      });
      afterEach(() => server.close());

      it("plays what the server sends", async () => {
        await established(play());
        await to("play", { payload: `${base}/a.wav` });
        await playing();
        assert.equal((audio().last.source as { data: Buffer }).data.toString(), "RIFFdata");
      });

      it("is an error when the server says no", async () => {
        await established(play());
        await to("play", { payload: `${base}/b.wav` });
        const error = await caught();
        assert.equal(error.code, "bad-url");
        assert.match(error.message, /404/);
      });
    });
  });

  describe("sip-gather", () => {
    const dial = async (digits: string): Promise<void> => {
      for (const digit of digits) session.digit(digit);
      await bench.settle();
    };

    it("ends with the terminator, which is not part of the entry", async () => {
      await established(gather());
      await to("get", { keep: 1 });
      await dial("123#");
      const msg = bench.only("get:1");
      assert.equal(msg.topic, "digits");
      assert.equal(msg.payload, "123");
      assert.equal(msg.keep, 1);
      assert.deepEqual(bench.order(), ["get:1", "completed"]);
    });

    it("takes every key as a digit when the terminator is left empty", async () => {
      await established(gather({ terminator: "", max: 3 }));
      await to("get");
      await dial("1#2");
      assert.equal(bench.only("get:1").payload, "1#2");
    });

    it("ends with max digits", async () => {
      await established(gather({ max: 2 }));
      await to("get");
      await dial("12");
      assert.equal(bench.only("get:1").payload, "12");
    });

    it("ends with a pause after at least min digits", async () => {
      await established(gather({ min: 2, interDigitTimeout: 1 }));
      await to("get");
      await dial("12");
      bench.clock.advance(999);
      await bench.settle();
      assert.deepEqual(bench.order(), []);
      bench.clock.advance(1);
      await bench.settle();
      assert.equal(bench.only("get:1").payload, "12");
    });

    it("times out without a first digit, and with too few digits", async () => {
      await established(gather({ min: 2 }));
      await to("get");
      bench.clock.advance(10_000);
      await bench.settle();
      await to("get");
      await dial("7");
      bench.clock.advance(3000);
      await bench.settle();
      assert.deepEqual(
        bench.of("get:2").map((msg) => [msg.topic, msg.payload]),
        [
          ["timeout", ""],
          ["timeout", "7"],
        ],
      );
    });

    it("is invalid when the whole entry does not match, or is too short at its terminator", async () => {
      await established(gather({ min: 2, pattern: "1[23]+" }));
      await to("get");
      await dial("1234#");
      await to("get");
      await dial("1#");
      assert.deepEqual(
        bench.of("get:3").map((msg) => [msg.topic, msg.payload]),
        [
          ["invalid", "1234"],
          ["invalid", "1"],
        ],
      );
    });

    it("takes digits dialled before it began and does not ask then", async () => {
      await established(gather({ max: 2, prompt: "beep", promptType: "tone" }));
      await dial("12");
      await to("get");
      assert.equal(bench.only("get:1").payload, "12");
      assert.equal(audio().played.length, 0);
    });

    it("keeps the last 32 digits", async () => {
      await established(gather({ max: 40 }));
      await dial("9".repeat(10) + "1".repeat(32));
      await to("get");
      bench.clock.advance(3000);
      await bench.settle();
      assert.equal(bench.only("get:1").payload, "1".repeat(32));
    });

    it("keeps no digits of the time before the answer", async () => {
      await bench.load([stack(), { id: "in", type: "sip-incoming", stack: "stack" }, gather()]);
      session = bench.userAgent.ring() as FakeSession;
      await bench.settle();
      await dial("1");
      session.answer();
      await to("get");
      await dial("2#");
      assert.equal(bench.only("get:1").payload, "2");
    });

    it("a digit ends the prompt and counts; time begins after the prompt", async () => {
      await established(gather({ max: 2, prompt: "tone:ring" }));
      await to("get");
      bench.clock.advance(60_000);
      await bench.settle();
      assert.deepEqual(bench.order(), []);
      await dial("1");
      assert.deepEqual(audio().last.calls, ["stop"]);
      await dial("2");
      assert.equal(bench.only("get:1").payload, "12");
    });

    it("without bargeIn drops what came before the prompt ended", async () => {
      await established(gather({ max: 2, prompt: "tone:ring", bargeIn: false }));
      await dial("9");
      await to("get");
      await dial("8");
      assert.deepEqual(audio().last.calls, []);
      audio().last.finish();
      await bench.settle();
      await dial("12");
      assert.equal(bench.only("get:1").payload, "12");
    });

    it("waits for the first digit from the end of the prompt", async () => {
      await established(gather({ prompt: "tone:ring", firstDigitTimeout: 5 }));
      await to("get");
      audio().last.finish();
      await bench.settle();
      bench.clock.advance(5000);
      await bench.settle();
      assert.equal(bench.only("get:2").payload, "");
    });

    it("a second collector of a session is busy, in another session it is not", async () => {
      await established(gather(), gather({ id: "get2" }));
      await to("get");
      await to("get2");
      assert.equal((await caught()).code, "busy");
      await dial("1#");
      assert.equal(bench.only("get:1").payload, "1");
      await to("get2");
      await dial("2#");
      assert.equal(bench.only("get2:1").payload, "2");
    });

    it("leaves by output 4 with the digits so far when the call ends", async () => {
      await established(gather());
      await to("get");
      await dial("12");
      session.close("remote-bye");
      await bench.settle();
      const msg = bench.only("get:4");
      assert.equal(msg.topic, "ended");
      assert.equal(msg.payload, "12");
      assert.equal(msg.sip.cause, "remote-bye");
      assert.deepEqual(bench.order(), ["get:4", "completed", "in:2"]);
      assert.equal(bench.clock.pendingTimers(), 0);
    });

    it("a prompt that cannot be played is an error and frees the collector", async () => {
      await established(
        gather({ prompt: "missing.wav", promptType: "file" }),
        gather({ id: "get2" }),
      );
      await to("get");
      assert.equal((await caught()).code, "no-file");
      await to("get2");
      await dial("1#");
      assert.equal(bench.only("get2:1").payload, "1");
    });

    it("refuses a broken pattern", async () => {
      await established(gather({ pattern: "(" }));
      await to("get");
      assert.equal((await caught()).code, "bad-pattern");
    });

    it("ends a pattern that would take for ever, and refuses it after three times", async () => {
      await established(gather({ pattern: "(\\d+)+x", max: 64 }));
      for (let time = 1; time <= 3; time++) {
        await to("get");
        await dial("1".repeat(64));
        assert.equal(bench.of("get:3").length, time);
      }
      await to("get");
      const error = await caught();
      assert.equal(error.code, "bad-pattern");
      assert.match(error.message, /too long/);
    });

    it("bounds an entry without max and terminator to 128 keys", async () => {
      await established(gather({ terminator: "", interDigitTimeout: 0 }));
      await to("get");
      await dial("1".repeat(200));
      assert.equal(bench.only("get:1").payload.length, 128);
      await to("get", { options: { max: 40 } });
      bench.clock.advance(60_000);
      await dial("2".repeat(8));
      assert.equal(bench.of("get:1")[1]?.payload, "1".repeat(32) + "2".repeat(8));
    });

    it("shows digits to sip-event as well, the collector first", async () => {
      await established(gather({ max: 1 }), {
        id: "ev",
        type: "sip-event",
        stack: "stack",
        events: "dtmf",
      });
      await to("get");
      await dial("3");
      assert.deepEqual(bench.order(), ["get:1", "completed", "ev:1"]);
      assert.equal(bench.only("ev:1").payload, "3");
      assert.deepEqual(bench.only("ev:1").sip.dtmf, {
        digit: "3",
        method: "rfc4733",
        duration: 100,
      });
    });
  });
});
