/**
 * Calls that outlive their instance, with the real engines: Kamailio, Redis and rtpengine with the files of
 * docs/scale-out/conf, and Node-RED instances that are killed or stopped for a while.
 */
import assert from "node:assert/strict";
import { Telephone, type WatchedCall, Watcher } from "../support/fleet/callers.js";
import { Fleet } from "../support/fleet/fleet.js";
import { pause } from "../support/node-red.js";
import { needs } from "../support/peers/process.js";
import { needsRedis } from "../support/peers/redis.js";

/** Of `GET sip/sessions`. */
interface Shown {
  readonly session: string;
  readonly node: string;
  readonly duration: number;
}

async function until(what: string, isSo: () => boolean | Promise<boolean>, ms = 10_000) {
  for (const end = Date.now() + ms; !(await isSo()); await pause(50)) {
    assert.ok(Date.now() < end, `${what} within ${ms} ms`);
  }
}

describe("calls that outlive their instance, behind Kamailio with Redis and rtpengine", function () {
  this.timeout(60_000);
  let fleet: Fleet;
  let watcher: Watcher;
  let phone: Telephone;

  before(async function () {
    needs(this, "kamailio", "kamcmd", "rtpengine");
    needsRedis(this);
    fleet = await Fleet.start({
      base: "127.0.34",
      instances: 3,
      redis: true,
      rtpengine: true,
      stack: ({ sharedState, ng }) => ({ sharedState, media: "rtpengine", rtpengine: ng }),
    });
    watcher = await Watcher.start(fleet);
    phone = await Telephone.start(fleet);
  });

  after(async () => {
    await watcher?.stop();
    await phone?.stop();
    await fleet?.stop();
  });

  afterEach(function () {
    if (this.currentTest?.state !== "failed") return;
    for (const [number, { log }] of fleet.instances) {
      console.error(`--- instance ${number}\n${log.slice(-3000)}`);
    }
    console.error(fleet.kamailioLog.slice(-2000));
  });

  /** A call of the watcher that is joined with the telephone; the latter's end. */
  async function bridged(): Promise<{ call: WatchedCall; other: WatchedCall; instance: number }> {
    const before = phone.calls.length;
    const call = watcher.call("bridge-alice");
    assert.equal(await call.settled(), true, `not answered: ${call.cause}`);
    await until("the telephone is called", () => phone.calls.length > before);
    const other = phone.calls[before];
    assert.ok(other);
    await until("sound past the instance", () =>
      [call, other].every(
        ({ session }) => session.snapshot().media?.[0]?.address === fleet.places.rtpengine,
      ),
    );
    for (const { session } of [call, other]) {
      await session.audio?.play({ kind: "tone", name: "dial" }, { loop: true });
    }
    return { call, other, instance: Number(call.instance.split(".")[3]) - 10 };
  }

  /** Packets of the other side that came and that are missing. */
  async function heard({ session }: WatchedCall): Promise<{ came: number; lost: number }> {
    const counted = await session.mediaSession?.readStatistics?.();
    return { came: counted?.packetsReceived ?? 0, lost: counted?.packetsLost ?? 0 };
  }

  /** Bridges on rtpengine. */
  async function relayed(): Promise<number> {
    const response = await fetch(`http://${fleet.places.rtpengine}:2225/metrics`);
    const text = await response.text();
    const count = /^rtpengine_sessions\{type="own"\} (\d+)/m.exec(text)?.[1];
    assert.ok(
      count !== undefined,
      text
        .split("\n")
        .filter((line) => /sessions/.test(line))
        .join("\n"),
    );
    return Number(count);
  }

  async function sessions(number: number): Promise<Shown[]> {
    const response = await fetch(`${fleet.instance(number).url}/sip/sessions`);
    return (await response.json()) as Shown[];
  }

  const all = async (what: (number: number) => Promise<number>): Promise<number> => {
    const counts = await Promise.all([...fleet.instances.keys()].map(what));
    return counts.reduce((sum, one) => sum + one, 0);
  };

  it("goes on with bridged calls of a killed instance and hangs up the others", async () => {
    const calls = await Promise.all([bridged()]);
    const { instance } = calls[0] ?? assert.fail();
    // IVR calls go round: some of three are at that one.
    const ivr = [1, 2, 3].map(() => watcher.call("hold"));
    for (const call of ivr) assert.equal(await call.settled(), true);
    const [there] = ivr.filter((call) => call.instance === fleet.places.instance(instance));
    assert.ok(there, "one of three calls is at each instance");
    const { call, other } = calls[0] ?? assert.fail();
    const before = await Promise.all([call, other].map(heard));
    await fleet.kill(instance);
    const killedAt = Date.now();
    assert.equal(await there.over(10_000), true, "the caller gets a BYE within 10 s");
    assert.equal(there.cause, "remote-bye");
    console.log(`      BYE ${(Date.now() - killedAt) / 1000} s after the death`);
    await until(
      "the survivors have both legs",
      async () => (await all(async (n) => (await sessions(n)).length)) >= 4,
    );
    assert.ok(call.isUp && other.isUp);
    // 50 packets a second each way, and none is missing.
    const now = await Promise.all([call, other].map(heard));
    const seconds = (Date.now() - killedAt) / 1000;
    for (const [i, { came, lost }] of now.entries()) {
      const more = came - (before[i]?.came ?? 0);
      assert.ok(Math.abs(more / seconds - 50) < 5, `${more} packets in ${seconds} s`);
      assert.equal(lost, before[i]?.lost, "none is lost");
    }
    console.log(`      ${now.map(({ came }) => came).join(" and ")} packets came, none is missing`);
    const held = await call.session.reinvite({ action: "hold" });
    assert.equal(held.ok, true, JSON.stringify(held));
    assert.equal(other.session.snapshot().hold, "remote");
    const resumed = await call.session.reinvite({ action: "resume" });
    assert.equal(resumed.ok, true);
    const lasted = (Date.now() - (call.answeredAt ?? 0)) / 1000;
    assert.equal(await call.hangUp(), true);
    assert.equal(await other.over(3_000), true, "the other side gets a BYE");
    await until(
      "both ends at their owners",
      async () =>
        (await all(async (n) => {
          const { count } = await fleet.count(n);
          return (
            (count["bridge-ended"] ?? 0) + (count["invite-ended"] ?? 0) + (count["unbridged"] ?? 0)
          );
        })) === 3,
    );
    const ends = (
      await Promise.all([...fleet.instances.keys()].map((n) => fleet.count(n)))
    ).flatMap(({ ended }) => ended);
    // Counted by rtpengine, from the beginning of the bridge.
    const counted = ends.map(({ received }) => received ?? 0).filter((packets) => packets > 0);
    assert.ok(
      counted.length === 2 && counted.every((packets) => packets > 100),
      `${counted.join()}`,
    );
    const durations = ends
      .filter(({ cause }) => cause !== "shutdown")
      .map(({ duration }) => duration ?? 0);
    assert.equal(durations.length, 2);
    assert.ok(
      durations.every((seconds) => Math.abs(seconds - lasted) < 1.5),
      `${durations.join(", ")} s for ${lasted}`,
    );
    await until("rtpengine is rid of it", async () => (await relayed()) === 0);
    const hungUp = ends.filter(({ cause }) => cause === "shutdown");
    assert.equal(hungUp.length, 1);
    for (const one of ivr) await one.hangUp();
    await fleet.launch(instance);
    await fleet.active(3);
  });

  it("takes a call over when its BYE comes before the death is known", async () => {
    const { call, other, instance } = await bridged();
    await fleet.kill(instance);
    let answer: number | undefined;
    other.session.on("event", ({ name, statusCode }) => {
      if (name === "ended") answer = statusCode;
    });
    await other.hangUp();
    assert.equal(answer, 200, "the BYE is answered");
    assert.equal(await call.over(3_000), true);
    await fleet.launch(instance);
    await fleet.active(3);
  });

  it("forgets calls that were taken while it was stopped, and sends no BYE", async () => {
    const { call, other, instance } = await bridged();
    const stopped = fleet.instance(instance).process;
    stopped.kill("SIGSTOP");
    const others = [...fleet.instances.keys()].filter((number) => number !== instance);
    try {
      await until("others have it", async () => {
        const counts = await Promise.all(others.map(async (n) => (await sessions(n)).length));
        return counts.includes(2);
      });
    } finally {
      stopped.kill("SIGCONT");
    }
    await until("it is forgotten", async () => (await sessions(instance)).length === 0, 8_000);
    await pause(1_000);
    assert.ok(call.isUp && other.isUp, "nobody has hung up");
    assert.equal(await relayed(), 1, "its media goes on");
    // Its new instance shows the call, and hangs it up.
    for (const number of others) {
      const { url } = fleet.instance(number);
      const [leg] = await sessions(number);
      if (leg === undefined) continue;
      assert.match(leg.node, /^fleet/);
      assert.ok(Math.abs(leg.duration - (Date.now() - (call.answeredAt ?? 0)) / 1000) < 3);
      const { status } = await fetch(`${url}/sip/sessions/${leg.session}`, { method: "DELETE" });
      assert.equal(status, 204);
    }
    assert.equal(await call.over(3_000), true);
    assert.equal(await other.over(3_000), true);
  });
});
