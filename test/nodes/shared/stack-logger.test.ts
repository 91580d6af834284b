import assert from "node:assert/strict";
import type { NodeAPI } from "node-red";
import { callOf, forgetCall } from "../../../nodes/shared/call.js";
import { readRuntimeSettings } from "../../../nodes/shared/runtime-settings.js";
import { callStory, stackLogger } from "../../../nodes/shared/stack-logger.js";
import { FakeSession, FakeUserAgent } from "../../support/fake-user-agent.js";

type Entry = Record<string, unknown>;

function runtime(settings: unknown = {}): { RED: NodeAPI; entries: Entry[] } {
  const entries: Entry[] = [];
  const log = {
    DEBUG: 50,
    INFO: 40,
    WARN: 30,
    ERROR: 20,
    log: (entry: Entry) => entries.push(entry),
  };
  return { RED: { log, settings } as unknown as NodeAPI, entries };
}

describe("the log of a stack", () => {
  it("names the call and the node that it belongs to, in words and as fields", () => {
    const { RED, entries } = runtime();
    const logger = stackLogger(RED, "s1", "Door");
    const session = new FakeSession(new FakeUserAgent({}), "incoming");
    const call = callOf(session, "s1");
    call.setOwner({ nodeId: "n1", deliver: () => undefined });
    logger.warn(`session ${session.id}: media: broken\u001b[31m`);
    logger.info("no call");
    logger.error("session nobody-there: x");
    forgetCall(call);
    call.abandon();
    const of = { type: "sip-stack", id: "s1", name: "Door" };
    assert.deepEqual(entries, [
      {
        ...of,
        level: 30,
        msg: `session=${session.id} node=n1 media: broken\\x1b[31m`,
        session: session.id,
        node: "n1",
      },
      { ...of, level: 40, msg: "no call" },
      { ...of, level: 20, msg: "session=nobody-there x", session: "nobody-there" },
    ]);
  });

  it("knows whether anybody reads what is said at level debug", () => {
    const of = (level: unknown) =>
      stackLogger(runtime({ logging: { console: { level } } }).RED, "s", "s").isDebug;
    assert.deepEqual(["debug", "trace", "info", undefined].map(of), [true, true, false, false]);
    assert.equal(stackLogger(runtime(undefined).RED, "s", "s").isDebug, false);
  });

  it("tells the story of a call in three lines, without passwords", () => {
    const { RED, entries } = runtime();
    const logger = stackLogger(RED, "s1", "Door");
    const session = new FakeSession(new FakeUserAgent({}), "outgoing");
    session.remote = { ...session.remote, uri: "sip:bob:secret@10.0.0.9" };
    const call = callOf(session, "s1");
    for (const name of ["inviting", "progress", "answered", "failed"] as const) {
      const snapshot = {
        ...session.snapshot(),
        callId: "c1",
        cause: "busy" as const,
        startTime: "2026-01-01T00:00:00.000Z",
        answerTime: "2026-01-01T00:00:03.200Z",
        duration: 61.26,
      };
      const story = callStory(call, { name, snapshot, statusCode: 486 });
      if (story !== undefined) logger.debug(story);
    }
    forgetCall(call);
    call.abandon();
    const local = session.snapshot().local.uri;
    assert.deepEqual(
      entries.map(({ msg }) => String(msg).replace(`session=${session.id} `, "")),
      [
        `outgoing call from ${local} to sip:bob:***@10.0.0.9, Call-ID c1`,
        "answered after 3.2 s",
        "failed: busy (486) after 61.3 s",
      ],
    );
  });
});

describe("options in settings.js", () => {
  it("are taken where they can be meant", () => {
    const read = (settings: unknown) => readRuntimeSettings({ settings } as unknown as NodeAPI);
    assert.deepEqual(read({}), {
      trace: undefined,
      maxSessions: undefined,
      history: 100,
      graceSeconds: 0,
      rtpengineDigits: undefined,
    });
    assert.deepEqual(read(undefined), {
      trace: undefined,
      maxSessions: undefined,
      history: 100,
      graceSeconds: 0,
      rtpengineDigits: undefined,
    });
    const settings = { sipStackTrace: false, sipStackMaxSessions: 20, sipStackHistory: 0 };
    assert.deepEqual(read({ ...settings, sipStackGraceSeconds: 300 }), {
      trace: false,
      maxSessions: 20,
      history: 0,
      graceSeconds: 300,
      rtpengineDigits: undefined,
    });
  });

  it("are told and passed over where they cannot", () => {
    const warnings: string[] = [];
    const settings = { sipStackTrace: "yes", sipStackMaxSessions: 0, sipStackHistory: 1001 };
    const RED = { settings } as unknown as NodeAPI;
    const read = readRuntimeSettings(RED, (text) => warnings.push(text));
    assert.deepEqual(read, {
      trace: undefined,
      maxSessions: undefined,
      history: 100,
      graceSeconds: 0,
      rtpengineDigits: undefined,
    });
    assert.deepEqual(warnings.map((text) => /sipStack\w+/.exec(text)?.[0]).sort(), [
      "sipStackHistory",
      "sipStackMaxSessions",
      "sipStackTrace",
    ]);
  });
});
