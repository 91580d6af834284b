/**
 * Calls that outlive their user agent: recorded as JSON, gone on with by another one at the same address, as behind a
 * proxy. Hard cases first: records that are none, a crossed end, a dialog of nobody, a request that came to the wrong one.
 */
import assert from "node:assert/strict";
import type { Session } from "../../../lib/session/index.js";
import type { CallRecord } from "../../../lib/session/call-record.js";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText } from "../../support/scripted-peer.js";

const OPEN = { allow: ["0.0.0.0/0"] };

/** alice and carol are telephones; both talk to `old`, `heir` is there to go on. */
async function stage() {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const alice = new Person("alice", "10.0.0.1", network, clock, OPEN);
  const carol = new Person("carol", "10.0.0.3", network, clock, OPEN);
  const old = new Person("old", "10.0.0.8", network, clock, OPEN);
  const heir = new Person("heir", "10.0.0.9", network, clock, OPEN);
  const people = [alice, carol, old, heir];
  for (const person of people) {
    await person.userAgent.start();
    person.takeCalls((session) => void session.accept());
  }
  const pass = (ms: number) => clock.advanceAsync(ms);
  const ladderSince = () => {
    network.clearLog();
    // What the dead one still tries is nobody's concern.
    return () => network.ladder().filter((line) => !line.endsWith("(dropped)"));
  };
  return {
    clock,
    network,
    alice,
    carol,
    old,
    heir,
    pass,
    ladderSince,
    /** `old` calls alice. */
    call: async () => {
      const ours = old.userAgent.invite({ targets: [alice.uri], data: { customer: 7 } });
      await pass(100);
      const [theirs] = alice.calls;
      assert.ok(theirs);
      return { ours, theirs };
    },
    /** Nothing more comes from `old`, and what is sent to it reaches `heir`. */
    killOld: () => {
      network.rule((packet) => (packet.from === "old" ? "drop" : undefined));
      old.endpoint.moveTo("10.0.99.99");
      heir.endpoint.moveTo("10.0.0.8");
    },
    end: async () => {
      for (const session of old.userAgent.sessions.values()) session.forget();
      await endAll(clock, people);
    },
  };
}

/** As it comes back from where it was kept. */
function kept(session: Session): CallRecord {
  const record = session.record();
  assert.ok(record, "the call cannot be recorded");
  return JSON.parse(JSON.stringify(record)) as CallRecord;
}

describe("Calls that outlive their user agent", () => {
  it("takes nothing that is no record of this version", async () => {
    const s = await stage();
    const { ours } = await s.call();
    const record = kept(ours);
    const broken: unknown[] = [
      undefined,
      null,
      "record",
      [],
      {},
      { ...record, version: 2 },
      { ...record, id: "x\r\ny" },
      { ...record, id: "" },
      { ...record, answerTime: "now" },
      { ...record, answerTime: 1e17 },
      { ...record, data: [] },
      { ...record, hold: "maybe" },
      { ...record, allow: ["INVITE\r\nX: y"] },
      { ...record, remote: { uri: 5 } },
      { ...record, timer: { seconds: -1, isOurs: true, agreedAt: 0 } },
      { ...record, exchange: { local: "v=0", remote: 7, offeredByUs: true } },
      ...[
        { target: "no uri" },
        { target: "sip:a@b\r\nX: y" },
        { local: "<sip:a@b>;tag=other" },
        { routes: ["<sip:p;lr>", 7] },
        { routes: Array.from({ length: 33 }, () => "<sip:p;lr>") },
        { localSequence: 2 ** 31 },
        { remoteSequence: -1 },
        { role: "both" },
        { localTag: "" },
      ].map((change) => ({ ...record, dialog: { ...record.dialog, ...change } })),
    ];
    for (const value of broken) {
      assert.equal(s.heir.userAgent.restore(value), undefined, JSON.stringify(value));
    }
    assert.equal(s.heir.userAgent.counters()["dialogs"], 0);
    await s.end();
  });

  it("takes a call once", async () => {
    const s = await stage();
    const { ours } = await s.call();
    const record = kept(ours);
    const taken = s.heir.userAgent.restore(record);
    assert.ok(taken);
    assert.equal(s.heir.userAgent.restore(record), undefined);
    assert.equal(s.old.userAgent.restore(record), undefined);
    taken.forget();
    await s.end();
  });

  it("records no call before its answer, nor after its end", async () => {
    const s = await stage();
    s.alice.takeCalls();
    const ours = s.old.userAgent.invite({ targets: [s.alice.uri] });
    await s.pass(100);
    assert.equal(ours.record(), undefined);
    await Promise.all([s.alice.calls[0]?.accept(), s.pass(100)]);
    assert.ok(ours.record());
    await Promise.all([ours.end(), s.pass(100)]);
    assert.equal(ours.record(), undefined);
    await s.end();
  });

  for (const direction of ["outgoing", "incoming"] as const) {
    it(`goes on with an ${direction} call: times, data and both ends, BYE of the peer`, async () => {
      const s = await stage();
      let ours: Session | undefined;
      if (direction === "outgoing") ({ ours } = await s.call());
      else {
        s.alice.userAgent.invite({ targets: [s.old.uri] });
        await s.pass(100);
        [ours] = s.old.calls;
      }
      assert.ok(ours);
      const theirs =
        direction === "outgoing" ? s.alice.calls[0] : [...s.alice.userAgent.sessions.values()][0];
      assert.ok(theirs);
      await s.pass(5_000);
      const before = ours.snapshot();
      const record = kept(ours);
      s.killOld();
      await s.pass(4_000);
      const taken = s.heir.userAgent.restore(record);
      assert.ok(taken);
      assert.deepEqual(s.heir.heard(), [], "nothing is told of the take-over");
      const after = taken.snapshot();
      for (const name of [
        "session",
        "state",
        "direction",
        "callId",
        "localTag",
        "remoteTag",
        "startTime",
        "answerTime",
        "remote",
        "local",
      ] as const) {
        assert.deepEqual(after[name], before[name], name);
      }
      if (direction === "outgoing") assert.deepEqual(taken.data, { customer: 7 });
      await Promise.all([theirs.end(), s.pass(100)]);
      assert.deepEqual(s.heir.heard(), ["bye", "ended"]);
      const { snapshot } = s.heir.last("ended");
      assert.equal(snapshot.cause, "remote-bye");
      assert.ok(Math.abs((snapshot.duration ?? 0) - 9.1) < 0.3, `duration ${snapshot.duration}`);
      await s.end();
    });
  }

  it("hangs up, in front of what the dead one may have sent, with the reason that is given", async () => {
    const s = await stage();
    const { ours } = await s.call();
    const record = kept(ours);
    // Sent after the record was made.
    await Promise.all([ours.request({ method: "OPTIONS" }), s.pass(100)]);
    s.killOld();
    const taken = s.heir.userAgent.restore(record);
    const ladder = s.ladderSince();
    await Promise.all([
      taken?.end({ cause: "shutdown", statusCode: 503, reason: "Instance lost" }),
      s.pass(100),
    ]);
    assert.deepEqual(ladder(), ["BYE heir → alice", "200 alice → heir"]);
    assert.match(s.network.messages[0]?.text ?? "", /Reason: SIP;cause=503;text="Instance lost"/);
    assert.equal(s.heir.last("ended").snapshot.cause, "shutdown");
    await s.end();
  });

  it("goes on with the session timer, whoever refreshes", async () => {
    for (const refresher of ["ours", "peers"]) {
      const s = await stage();
      let ours: Session | undefined;
      if (refresher === "ours") ({ ours } = await s.call());
      else {
        s.alice.userAgent.invite({ targets: [s.old.uri] });
        await s.pass(100);
        [ours] = s.old.calls;
      }
      assert.ok(ours);
      const record = kept(ours);
      assert.equal(record.timer?.isOurs, refresher === "ours");
      await s.pass(600_000);
      s.killOld();
      const taken = s.heir.userAgent.restore(record);
      const ladder = s.ladderSince();
      await s.pass(301_000);
      const [first] = ladder();
      assert.equal(first, refresher === "ours" ? "UPDATE heir → alice" : "UPDATE alice → heir");
      await s.pass(1_800_000);
      assert.equal(taken?.state, "established");
      await Promise.all([taken.end(), s.pass(100)]);
      await s.end();
    }
  });

  it("ends a call whose peer does not refresh any more", async () => {
    const s = await stage();
    s.alice.userAgent.invite({ targets: [s.old.uri] });
    await s.pass(100);
    const [ours] = s.old.calls;
    assert.ok(ours);
    const record = kept(ours);
    s.killOld();
    s.network.rule((packet) => (packet.from === "alice" ? "drop" : undefined));
    // More than the clock of one machine may be wrong.
    await s.pass(3_000_000);
    s.heir.userAgent.restore(record);
    await s.pass(860_000);
    assert.deepEqual(s.heir.heard(), [], "half of its interval is left");
    await s.pass(50_000);
    assert.equal(s.heir.last("ended").snapshot.cause, "session-expired");
    await s.pass(100_000);
    await s.end();
  });

  it("goes on with media that flows directly: hold passes to the other leg, the media comes back", async () => {
    const s = await stage();
    const toAlice = s.old.userAgent.invite({ targets: [s.alice.uri] });
    const toCarol = s.old.userAgent.invite({ targets: [s.carol.uri] });
    await s.pass(100);
    const started = toAlice.direct(toCarol).start();
    await s.pass(1_000);
    assert.equal((await started).ok, true);
    const records = [kept(toAlice), kept(toCarol)];
    s.killOld();
    const [first, second] = records.map((record) => s.heir.userAgent.restore(record));
    assert.ok(first && second);
    const direct = first.direct(second);
    direct.resume();
    const [atAlice] = s.alice.calls;
    const [atCarol] = s.carol.calls;
    assert.ok(atAlice && atCarol);
    const held = atAlice.reinvite({ action: "hold" });
    await s.pass(1_000);
    assert.equal((await held).ok, true);
    assert.equal(atCarol.snapshot().hold, "remote");
    const resumed = atAlice.reinvite({ action: "resume" });
    await s.pass(1_000);
    assert.equal((await resumed).ok, true);
    assert.equal(atCarol.snapshot().hold, "none");
    const back = direct.stop();
    await s.pass(1_000);
    await back;
    assert.equal(atCarol.snapshot().media?.[0]?.address, "10.0.0.9", "the heir's own media");
    await Promise.all([first.end(), second.end(), s.pass(100)]);
    await s.end();
  });

  it("forgets a call that another one has, without a word", async () => {
    const s = await stage();
    const { ours } = await s.call();
    const record = kept(ours);
    const heard = s.old.heard().length;
    const ladder = s.ladderSince();
    ours.forget();
    ours.forget();
    await s.pass(60_000);
    assert.deepEqual(ladder(), []);
    assert.equal(s.old.heard().length, heard, "no event");
    assert.equal(s.old.userAgent.sessions.size, 0);
    assert.equal(s.old.userAgent.counters()["dialogs"], 0);
    assert.deepEqual(await ours.end(), undefined);
    const taken = s.heir.userAgent.restore(record);
    await Promise.all([taken?.end(), s.pass(100)]);
    await s.end();
  });
});

describe("Requests in dialogs that another user agent has", () => {
  it("restores the dialog while the request waits", async () => {
    const s = await stage();
    const { ours, theirs } = await s.call();
    const record = kept(ours);
    s.killOld();
    s.heir.userAgent.onUnknownDialog = (request) => {
      assert.equal(request.method, "BYE");
      s.heir.userAgent.restore(record);
      return Promise.resolve("ours");
    };
    const ladder = s.ladderSince();
    await Promise.all([theirs.end(), s.pass(100)]);
    assert.deepEqual(ladder(), ["BYE alice → heir", "200 heir → alice"]);
    assert.deepEqual(s.heir.heard(), ["bye", "ended"]);
    await s.end();
  });

  it("answers 481 when nobody has it, nobody answers, or the answer is a mistake", async () => {
    for (const answer of ["unknown", "ours", "never", "error"] as const) {
      const s = await stage();
      const { theirs } = await s.call();
      s.killOld();
      s.heir.userAgent.onUnknownDialog = () =>
        answer === "never"
          ? new Promise(() => undefined)
          : answer === "error"
            ? Promise.reject(new Error("Redis is away"))
            : Promise.resolve(answer);
      const ladder = s.ladderSince();
      await Promise.all([theirs.end(), s.pass(9_000)]);
      assert.equal(ladder().at(-1), "481 heir → alice", answer);
      await s.end();
    }
  });

  it("hands a request over to the one that has the dialog, which answers it; never twice", async () => {
    const s = await stage();
    const { ours, theirs } = await s.call();
    const record = kept(ours);
    s.killOld();
    const third = new Person("third", "10.0.0.7", s.network, s.clock, OPEN);
    await third.userAgent.start();
    third.userAgent.restore(record);
    let asked = 0;
    s.heir.userAgent.onUnknownDialog = (_request, text) => {
      asked++;
      third.userAgent.handOver(text());
      return Promise.resolve("others");
    };
    third.userAgent.onUnknownDialog = () => assert.fail("handed over twice");
    const ladder = s.ladderSince();
    await Promise.all([theirs.end(), s.pass(100)]);
    assert.deepEqual(ladder(), ["BYE alice → heir", "200 third → alice"]);
    assert.deepEqual(third.heard(), ["bye", "ended"]);
    assert.equal(asked, 1);
    third.userAgent.handOver("no request");
    third.userAgent.handOver("x".repeat(200_000));
    // What begins a call would come in past the gate.
    const stranger = requestText({ method: "INVITE", headers: ["Contact: <sip:x@10.0.0.66>"] });
    third.userAgent.handOver(Buffer.from(stranger).toString("base64"));
    await s.pass(100);
    assert.equal(third.userAgent.sessions.size, 0);
    assert.equal(third.userAgent.counters()["serverTransactions"], 1, "that of the BYE");
    assert.equal(s.heir.userAgent.counters()["serverTransactions"], 0);
    await endAll(s.clock, [third]).catch(() => undefined);
    await s.end();
  });

  it("asks for no ACK and no CANCEL, and not more often than a source may", async () => {
    const s = await stage();
    let asked = 0;
    s.heir.userAgent.onUnknownDialog = () => {
      asked++;
      return Promise.resolve("unknown");
    };
    const flow = s.alice.endpoint.datagramFlow("10.0.0.9", 5060);
    const send = (method: string, n: number) =>
      flow.send(
        [
          `${method} sip:heir@10.0.0.9 SIP/2.0`,
          `Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK${method}${n}`,
          "From: <sip:x@10.0.0.1>;tag=a",
          "To: <sip:heir@10.0.0.9>;tag=b",
          `Call-ID: ${n}@x`,
          `CSeq: 1 ${method}`,
          "Max-Forwards: 70",
          "Content-Length: 0",
          "",
          "",
        ].join("\r\n"),
      );
    for (let n = 0; n < 50; n++) send("ACK", n);
    for (let n = 0; n < 50; n++) send("CANCEL", n);
    await s.pass(10);
    assert.equal(asked, 0);
    for (let n = 0; n < 2_000; n++) send("BYE", n);
    await s.pass(10);
    assert.ok(asked > 100 && asked <= 402, `asked ${asked} times`);
    await s.pass(60_000);
    await s.end();
  });
});
