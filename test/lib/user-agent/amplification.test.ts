/**
 * What one INVITE brings back when nobody acknowledges anything (reliability: amplification): its sender may be forged, and
 * whoever it names must not be flooded by us. RFC 3261 §17.2.1 repeats a final response eleven times within 64·T1.
 */
import assert from "node:assert/strict";
import type { Session } from "../../../lib/session/index.js";
import { endAll, Person, type PersonOptions } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, ScriptedPeer } from "../../support/scripted-peer.js";

const OFFER = [
  "v=0",
  "o=peer 1 1 IN IP4 10.0.0.9",
  "s=-",
  "c=IN IP4 10.0.0.9",
  "t=0 0",
  "m=audio 4000 RTP/AVP 0",
  "",
].join("\r\n");

interface Case {
  readonly what: string;
  readonly options?: PersonOptions;
  readonly headers?: readonly string[];
  readonly offer?: string;
  readonly take?: (session: Session) => void;
  /** Final answer. */
  readonly status: number;
  readonly most: number;
}

const reject = (statusCode: number) => (session: Session) => void session.reject({ statusCode });

const cases: readonly Case[] = [
  { what: "a stranger's", options: { allow: ["192.0.2.0/24"] }, status: 403, most: 1 },
  { what: "one that nobody takes", status: 480, most: 12 },
  { what: "one that is busy", take: reject(486), status: 486, most: 12 },
  { what: "one to nobody", take: reject(404), status: 404, most: 12 },
  { what: "one that is declined", take: reject(603), status: 603, most: 12 },
  {
    what: "one that is moved",
    take: (session) => void session.reject({ statusCode: 302, contacts: ["sip:carol@192.0.2.1"] }),
    status: 302,
    most: 12,
  },
  {
    what: "one without a codec of ours",
    offer: OFFER.replace("RTP/AVP 0", "RTP/AVP 99"),
    take: (session) => void session.accept().catch(() => undefined),
    status: 488,
    most: 12,
  },
  { what: "one that asks for too much", headers: ["Require: magic"], status: 420, most: 12 },
  { what: "one above the limit", options: { maxSessions: 1 }, status: 503, most: 12 },
  {
    what: "one that rings first",
    options: { rel100: "none" },
    take: (session) => void session.progress().then(() => reject(486)(session)),
    status: 486,
    most: 12,
  },
  {
    // RFC 3262 §3: the 180 seven times within 64·T1, then what ends the call. Only for callers that `allow` lets in.
    what: "one that rings reliably, which nobody confirms",
    take: (session) => void session.progress(),
    status: 504,
    most: 18,
  },
  {
    what: "one that is answered late",
    take: (session) => void later(session, 1_000, reject(486)),
    status: 486,
    most: 12,
  },
];

let clock = new ManualClock();
function later(session: Session, ms: number, then: (session: Session) => void): void {
  clock.setTimer(ms, () => then(session));
}

describe("an INVITE that nobody acknowledges", () => {
  for (const { what, options, headers = [], offer = OFFER, take, status, most } of cases) {
    it(`brings back at most ${most} packets: ${what}`, async () => {
      clock = new ManualClock();
      const network = new LoopNetwork(clock);
      const bob = new Person("bob", "10.0.0.2", network, clock, options);
      const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
      await bob.userAgent.start();
      if (options?.maxSessions !== undefined) {
        bob.takeCalls();
        bob.userAgent.invite({ targets: ["sip:x@10.0.0.8"], timeoutMs: 1_000 });
      } else if (take !== undefined) {
        bob.takeCalls(take);
      }
      await clock.advanceAsync(10);
      network.clearLog();
      peer.send(
        requestText({
          method: "INVITE",
          headers: [
            "Contact: <sip:peer@10.0.0.9>",
            "Content-Type: application/sdp",
            "Supported: 100rel",
            ...headers,
          ],
          body: offer,
        }),
        "10.0.0.2",
      );
      await clock.advanceAsync(120_000);
      const back = network.messages.filter(({ to }) => to === "peer");
      const labels = back.map(({ label }) => label).join(" ");
      assert.equal(back.at(-1)?.label, String(status), labels);
      assert.ok(back.length <= most, `${back.length}: ${labels}`);
      await endAll(clock, [bob]);
    });
  }

  it("is answered by an allowed callee with no more than the repeats of its 200 and of the BYE after it", async () => {
    clock = new ManualClock();
    const network = new LoopNetwork(clock);
    const bob = new Person("bob", "10.0.0.2", network, clock);
    const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
    await bob.userAgent.start();
    bob.takeCalls((session) => void session.accept());
    peer.send(
      requestText({
        method: "INVITE",
        headers: ["Contact: <sip:peer@10.0.0.9>", "Content-Type: application/sdp"],
        body: OFFER,
      }),
      "10.0.0.2",
    );
    await clock.advanceAsync(120_000);
    const labels = network.messages.filter(({ to }) => to === "peer").map(({ label }) => label);
    const count = (label: string) => labels.filter((each) => each === label).length;
    assert.deepEqual([count("200"), count("BYE"), labels.length], [11, 11, 22]);
    assert.equal(bob.last("ended").snapshot.cause, "no-ack");
    await endAll(clock, [bob]);
  });
});
