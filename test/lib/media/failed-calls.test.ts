/** A thousand calls that fail in every way, over real sockets: whatever they opened is free again. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { EmbeddedMediaHandler } from "../../../lib/media/index.js";
import type { Session } from "../../../lib/session/index.js";
import { UserAgent } from "../../../lib/user-agent/index.js";
import { ownPort } from "../../support/port-range.js";
import { freePort } from "../../support/ports.js";

const CALLS = 1_000;
const AT_ONCE = 10;
/** Pairs of RTP ports: one that is not given back is soon missed. */
const PAIRS = 16;
const ADDRESS = "127.0.0.1";

const description = (payloadType: number): string =>
  [
    "v=0",
    `o=- 1 1 IN IP4 ${ADDRESS}`,
    "s=-",
    `c=IN IP4 ${ADDRESS}`,
    "t=0 0",
    `m=audio 9 RTP/AVP ${payloadType}`,
    "",
  ].join("\r\n");
const PCMU = description(0);
/** G.729. */
const UNKNOWN = description(18);

describe("A thousand calls that fail", function () {
  this.timeout(60_000);
  let handler: EmbeddedMediaHandler;
  /** With sound, and without. */
  let ours: UserAgent;
  let theirs: UserAgent;
  let ourPort: number;
  let theirPort: number;
  const problems: unknown[] = [];

  before(async () => {
    handler = new EmbeddedMediaHandler({
      address: ADDRESS,
      portMin: ownPort(40),
      portMax: ownPort(40) + 2 * PAIRS - 1,
    });
    ourPort = await freePort();
    theirPort = await freePort();
    const agent = (port: number, mediaHandler?: EmbeddedMediaHandler): UserAgent =>
      new UserAgent({
        transports: [{ protocol: "udp", address: ADDRESS, port }],
        mediaHandler,
        maxRequestsPerSecond: 0,
      });
    ours = agent(ourPort, handler);
    theirs = agent(theirPort);
    ours.onIncomingCall = (session) => run(() => answer(session));
    theirs.onIncomingCall = (session) => run(() => answer(session));
    await ours.start();
    await theirs.start();
  });

  after(async () => {
    await ours.stop();
    await theirs.stop();
    await handler.close();
  });

  function run(work: () => Promise<unknown>): boolean {
    work().catch((error: unknown) => problems.push(error));
    return true;
  }

  /** What the called side does, by the name that was called. */
  async function answer(session: Session): Promise<void> {
    switch (session.snapshot().local.user) {
      case "early":
        await session.progress({ statusCode: 183, earlyMedia: true });
        break;
      case "refuses":
        await session.progress({ statusCode: 183, earlyMedia: true });
        await session.reject({ statusCode: 486 });
        break;
      case "incompatible":
        await session.accept();
        break;
      case "busy":
        await session.reject({ statusCode: 486 });
        break;
      case "misanswers":
        await session.accept({ sdp: UNKNOWN });
        break;
      default:
        await session.progress();
    }
  }

  /** @returns the cause of its end. */
  function end(session: Session): Promise<string | undefined> {
    return new Promise((resolve) => {
      session.on("event", ({ name, snapshot }) => {
        if (name === "failed" || name === "ended") resolve(snapshot.cause);
      });
    });
  }

  async function reached(session: Session, wanted: string): Promise<void> {
    await new Promise<void>((resolve) => {
      session.on("event", ({ name }) => {
        if (name === wanted) resolve();
      });
    });
  }

  const call = (user: string, sdp = PCMU): Session =>
    theirs.invite({ targets: [`sip:${user}@${ADDRESS}:${ourPort}`], sdp });
  const dial = (user: string, timeoutMs = 30_000): Session =>
    ours.invite({ targets: [`sip:${user}@${ADDRESS}:${theirPort}`], timeoutMs });

  /** Each places one call that fails, and gives the cause that its caller sees. */
  const ways: Record<string, [() => Promise<string | undefined>, string]> = {
    "cancelled in early media": [
      async () => {
        const session = call("early");
        const cause = end(session);
        await reached(session, "progress");
        await session.end();
        return cause;
      },
      "cancelled",
    ],
    "cancelled at once": [
      async () => {
        const session = call("early");
        const cause = end(session);
        await session.end();
        return cause;
      },
      "cancelled",
    ],
    "rejected after early media": [() => end(call("refuses")), "busy"],
    "without a codec in common": [() => end(call("incompatible", UNKNOWN)), "incompatible-media"],
    "to a busy line": [() => end(dial("busy")), "busy"],
    "to nobody who answers": [() => end(dial("rings", 300)), "no-answer"],
    "given up while it rings": [
      async () => {
        const session = dial("rings");
        const cause = end(session);
        await reached(session, "progress");
        await session.end();
        return cause;
      },
      "cancelled",
    ],
    "answered with another codec": [() => end(dial("misanswers")), "incompatible-media"],
  };

  const openFiles = (): number =>
    existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0;

  it("leave every port, session and file as it was", async () => {
    await handler.start();
    const names = Object.keys(ways);
    for (const name of names) assert.equal(await ways[name][0](), ways[name][1], name);
    await settled();
    const before = openFiles();

    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < CALLS) {
        const name = names[next++ % names.length];
        assert.equal(await ways[name][0](), ways[name][1], name);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    await settled();
    assert.deepEqual(problems, []);
    assert.equal(openFiles(), before);

    // Every pair can be had at once, and not one more.
    const sessions = Array.from({ length: PAIRS + 1 }, (_, i) =>
      handler.createSession({
        sessionId: `${i}`,
        localAddress: ADDRESS,
        remoteAddress: ADDRESS,
        events: {
          onDigit: () => undefined,
          onMediaTimeout: () => undefined,
          onError: () => undefined,
        },
      }),
    );
    const offers = await Promise.allSettled(
      sessions.map((session) => Promise.resolve(session.offer())),
    );
    assert.equal(offers.filter(({ status }) => status === "fulfilled").length, PAIRS);
    await Promise.all(sessions.map(async (session) => session.close()));
    assert.equal(handler.sessionCount, 0);
  });

  /** The last calls' BYE and 487 are on their way. */
  async function settled(): Promise<void> {
    const calls = (): number => ours.sessions.size + theirs.sessions.size + handler.sessionCount;
    for (let i = 0; i < 1_000 && calls() > 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal(calls(), 0);
  }
});
