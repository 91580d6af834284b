/**
 * Calls between SIPp and our user agent, live, through a relay that loses datagrams both ways. By default 100 calls each way
 * and rate with all timers a fifth of RFC 3261's; LOSS_CALLS=1000 LOSS_T1=500 is the long form. RFC 3261's timers fail one
 * call in 100 at 30 % loss, so a hundred calls need some room.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DescriptionMediaHandler, UserAgent, type Session } from "../../lib/index.js";
import { LossyRelay } from "../support/lossy-relay.js";
import { projectRoot } from "../support/node-red.js";
import { needs } from "../support/peers/process.js";
import { Sipp } from "../support/peers/sipp.js";
import { freePort } from "../support/ports.js";
import { ownNetwork } from "../support/port-range.js";
import { pause } from "../support/rtp-phone.js";

const CALLS = Number(process.env.LOSS_CALLS ?? 100);
const T1 = Number(process.env.LOSS_T1 ?? 100);
const SEED = Number(process.env.LOSS_SEED ?? 1);
/** Calls that begin in one second. */
const RATE = 5_000 / T1;
const TALK_MS = 4 * T1;
const ADDRESS = `${ownNetwork()}.2`;
/** Of a transaction, an answer that waits for its ACK, and a BYE. */
const LONGEST_CALL_MS = 64 * T1 * 3;
const problems: string[] = [];

interface Storm {
  readonly userAgent: UserAgent;
  /** How each of our sessions ended, by its handle. */
  readonly ends: Map<string, string>;
  readonly folder: string;
  readonly relay: LossyRelay;
  readonly sipp: Sipp;
}

/** A scenario file with the times of this run. */
function scenario(name: string, folder: string): string {
  const text = readFileSync(join(projectRoot, "test/peers/sipp/loss", `${name}.xml`), "utf8")
    .replaceAll("T1MS", String(T1))
    .replaceAll("TALKMS", String(TALK_MS))
    .replaceAll("WAITMS", String(64 * T1));
  const file = join(folder, `${name}.xml`);
  writeFileSync(file, text);
  return file;
}

async function start(direction: "in" | "out", loss: number): Promise<Storm> {
  const userAgent = new UserAgent({
    transports: [{ protocol: "udp", address: ADDRESS, port: 0 }],
    mediaHandler: new DescriptionMediaHandler({ address: ADDRESS, port: 9 }),
    timers: { t1: T1, t2: 8 * T1, t4: 10 * T1 },
    maxRequestsPerSecond: 0,
  });
  const ends = new Map<string, string>();
  userAgent.on("sessionEvent", (session, { name, snapshot }) => {
    if (name === "ended" || name === "failed") ends.set(session.id, `${name}:${snapshot.cause}`);
  });
  userAgent.onIncomingCall = (session) => {
    for (const step of [session.progress(), session.accept()])
      step.catch((error: unknown) => problems.push(String(error)));
    return true;
  };
  await userAgent.start();
  const peer = { address: ADDRESS, port: await freePort(ADDRESS) };
  const relay = await LossyRelay.open(ADDRESS, {
    seed: SEED + loss * 100,
    loss,
    duplicates: 0.05,
    delayMs: [0, (2 / 5) * T1],
    peer,
    product: { address: ADDRESS, port: userAgent.bound[0]?.port ?? 0 },
  });
  const folder = mkdtempSync(join(tmpdir(), "sipp-loss-"));
  const { port: peerSide } = relay.peerSide;
  const { port: productSide } = relay.productSide;
  const sipp = new Sipp({
    scenario: scenario(`${direction}-loss`, folder),
    local: `${ADDRESS}:${peer.port}`,
    target: direction === "in" ? `${ADDRESS}:${peerSide}` : undefined,
    calls: CALLS,
    rate: RATE,
    limitSeconds: (CALLS / RATE) * 2 + (LONGEST_CALL_MS * 2) / 1000 + 10,
    // prettier-ignore
    extra: [
      "-key", "relay", `${ADDRESS}:${productSide}`, "-T2", String(8 * T1), "-max_retrans", "10", "-max_invite_retrans", "6",
      "-max_non_invite_retrans", "10", "-l", "5000", "-trace_stat", "-stf", join(folder, "statistics"), "-fd", "1",
      "-recv_timeout", String(LONGEST_CALL_MS),
    ],
  });
  await sipp.listening();
  return { userAgent, ends, folder, relay, sipp };
}

async function call({ userAgent, relay }: Storm): Promise<readonly Session[]> {
  const placed: Session[] = [];
  for (let i = 0; i < CALLS; i++) {
    const { port } = relay.productSide;
    const session = userAgent.invite({ targets: [`sip:scenario@${ADDRESS}:${port}`] });
    session.on("event", ({ name }) => {
      if (name !== "confirmed") return;
      setTimeout(() => {
        session.end().catch((error: unknown) => problems.push(String(error)));
      }, TALK_MS);
    });
    placed.push(session);
    await pause(1000 / RATE);
  }
  return placed;
}

/** The last line of SIPp's statistics: calls that it finished, and not. */
function statistics(folder: string): { good: number; bad: number } {
  const lines = readFileSync(join(folder, "statistics"), "utf8").trim().split("\n");
  const names = (lines[0] ?? "").split(";");
  const values = (lines.at(-1) ?? "").split(";");
  const value = (name: string): number => Number(values[names.indexOf(name)]);
  return { good: value("SuccessfulCall(C)"), bad: value("FailedCall(C)") };
}

async function storm(direction: "in" | "out", loss: number): Promise<number> {
  const stage = await start(direction, loss);
  const { userAgent, ends, relay, sipp, folder } = stage;
  try {
    const placed = direction === "out" ? await call(stage) : [];
    const patience = Date.now() + LONGEST_CALL_MS + (CALLS / RATE) * 1000;
    if (direction === "in") await sipp.result();
    while (userAgent.sessions.size > 0 && Date.now() < patience) await pause(50);
    assert.equal(userAgent.sessions.size, 0, "calls are left hanging");
    if (direction === "out") {
      assert.equal(ends.size, placed.length);
      // What it absorbs at the end is over for us: a BYE that is repeated finds its answer.
      await Promise.race([sipp.result(), pause(64 * T1 + 3_000)]);
    }
    const wanted = direction === "in" ? "ended:remote-bye" : "ended:local-bye";
    const complete = [...ends.values()].filter((end) => end === wanted).length;
    const { good, bad } = statistics(folder);
    const { passed, lost, doubled } = relay.counts;
    console.log(
      `      ${complete} of ${CALLS} complete; SIPp's own count ${good} good, ${bad} failed; ${passed} datagrams passed, ${lost} lost, ${doubled} doubled`,
    );
    return direction === "in" ? Math.min(complete, CALLS) : complete;
  } finally {
    await sipp.stop();
    await userAgent.stop();
    await relay.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("calls with SIPp over a network that loses datagrams both ways", function () {
  this.timeout(((CALLS / RATE) * 2 + (LONGEST_CALL_MS * 3) / 1000 + 30) * 1000);

  before(function () {
    needs(this, "sipp");
  });

  for (const [loss, least] of [
    [0.1, 0.99],
    [0.2, 0.98],
    [0.3, 0.96],
  ] as const) {
    it(`at ${loss * 100} % loss nearly all are complete, whoever calls, and none is left hanging`, async () => {
      const results = await Promise.all([storm("in", loss), storm("out", loss)]);
      for (const complete of results) assert.ok(complete >= least * CALLS, `${complete} complete`);
      assert.deepEqual(problems, []);
    });
  }
});
