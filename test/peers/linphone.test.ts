/**
 * linphonec telephones and our user agent, registered at one Kamailio: calls and holds each way, transfers in every role
 * (RFC 5589), a call without an offer (RFC 3264 §5 through RFC 3261 §13.2.1).
 */
import assert from "node:assert/strict";
import { EmbeddedMediaHandler } from "../../lib/media/index.js";
import type { Session, SessionEvent } from "../../lib/session/index.js";
import { UserAgent } from "../../lib/user-agent/index.js";
import { pause } from "../support/node-red.js";
import { Kamailio } from "../support/peers/kamailio.js";
import { Linphone } from "../support/peers/linphone.js";
import { needs } from "../support/peers/process.js";
import { freePort } from "../support/ports.js";

describe("linphone telephones through a registrar", function () {
  this.timeout(60_000);
  const proxy = "127.0.66.1";
  let kamailio: Kamailio;
  let userAgent: UserAgent;
  const phones: Linphone[] = [];
  let alice: Linphone;
  let carol: Linphone;
  const events: [Session, SessionEvent][] = [];
  const incoming: Session[] = [];

  async function phone(name: string, address: string, rtpPort: number, delayedOffer = false) {
    const made = new Linphone({
      name,
      address,
      port: await freePort(address),
      registrar: { address: proxy, domain: "sip.test", password: `${name}pw` },
      rtpPort,
      delayedOffer,
    });
    phones.push(made);
    await made.start();
    await made.command("autoanswer enable");
    return made;
  }

  /** A user agent of ours, registered, that takes every call and lets the test answer a REFER. */
  async function ours(name: string, portMin: number): Promise<UserAgent> {
    const made = new UserAgent({
      transports: [{ protocol: "udp", address: "127.0.0.1", port: await freePort() }],
      mediaHandler: new EmbeddedMediaHandler({ portMin, portMax: portMin + 49 }),
    });
    made.on("sessionEvent", (session, event) => events.push([session, event]));
    made.onIncomingCall = (session) => {
      incoming.push(session);
      void session.accept();
      return true;
    };
    made.requestPolicy = (kind) => ({ listened: true, holdMs: kind === "refer" ? 5000 : 0 });
    await made.start();
    await register(made, name);
    return made;
  }

  async function register(made: UserAgent, name: string): Promise<void> {
    const account = made.addAccount({
      id: name,
      uri: `sip:${name}@sip.test`,
      password: `${name}pw`,
      register: true,
      registrar: `sip:${proxy}:5060`,
      outboundProxy: `sip:${proxy}:5060`,
    });
    assert.equal((await account.register()).ok, true);
  }

  before(async function () {
    needs(this, "kamailio", "linphonec", "openssl");
    kamailio = new Kamailio({ address: proxy });
    await kamailio.start();
    userAgent = await ours("nodered", 31_400);
    // A transfer from one of its accounts to the other comes back to it through the registrar.
    await register(userAgent, "bob");
    alice = await phone("alice", "127.0.66.21", 31_500);
    carol = await phone("carol", "127.0.66.23", 31_600);
  });

  afterEach(async () => {
    for (const telephone of phones) await telephone.command("terminate all");
    events.length = 0;
    incoming.length = 0;
  });

  after(async () => {
    await userAgent?.stop();
    for (const telephone of phones) await telephone.dispose();
    await kamailio?.dispose();
  });

  async function eventually<T>(what: string, find: () => T | undefined | false): Promise<T> {
    const end = Date.now() + 12_000;
    for (;;) {
      const found = find();
      if (found !== undefined && found !== false) return found;
      if (Date.now() > end) {
        const seen = events
          .filter(([, { name }]) => !["state", "media", "request", "response"].includes(name))
          .map(([s, e]) => `${s.id.slice(0, 4)} ${e.name} ${e.statusCode ?? ""}`);
        assert.fail(`${what} not seen: ${seen.join("; ")}`);
      }
      await pause(50);
    }
  }

  const event = (name: SessionEvent["name"], session?: Session) =>
    eventually(
      name,
      () =>
        events.find(([s, e]) => e.name === name && (session === undefined || s === session))?.[1],
    );

  async function call(to: string): Promise<Session> {
    const session = userAgent.invite({ targets: [`sip:${to}@sip.test`], account: "nodered" });
    await event("confirmed", session);
    return session;
  }

  /** The telephone calls one of our accounts. @returns our side, established. */
  async function called(by: Linphone, user: string): Promise<Session> {
    const before = incoming.length;
    await by.command(`call sip:${user}@sip.test`);
    const session = await eventually("incoming call", () => incoming[before]);
    await event("confirmed", session);
    return session;
  }

  async function holdBothWays(session: Session, telephone: Linphone): Promise<void> {
    const held = telephone.trace.length;
    assert.equal((await session.reinvite({ action: "hold" })).ok, true);
    await telephone.until(/to LinphoneCallPausedByRemote/, held);
    assert.equal(session.snapshot().hold, "local");
    assert.equal((await session.reinvite({ action: "resume" })).ok, true);
    assert.equal(session.snapshot().hold, "none");
    await telephone.command("pause");
    await event("hold", session);
    assert.equal(session.snapshot().hold, "remote");
    await telephone.command(`resume ${(await telephone.calls())[0] ?? ""}`);
    await event("resume", session);
    assert.equal(session.snapshot().hold, "none");
  }

  it("is called by us, held and holds, and is hung up", async () => {
    const session = await call("alice");
    await holdBothWays(session, alice);
    await session.end();
    assert.equal(session.snapshot().cause, "local-bye");
  });

  it("calls us, is held and holds, and hangs up", async () => {
    const session = await called(alice, "nodered");
    await holdBothWays(session, alice);
    await alice.command("terminate");
    await event("ended", session);
    assert.equal(session.snapshot().cause, "remote-bye");
  });

  it("transfers our first call to our second, as transferor of an attended transfer", async () => {
    const first = await called(alice, "nodered");
    await alice.command("pause");
    const consultation = await called(alice, "bob");
    const [one, two] = await alice.calls();
    await alice.command(`transfer ${one} --to-call ${two}`);
    const refer = await event("refer", first);
    assert.equal(refer.referTo, "sip:bob@sip.test");
    const outcome = await refer.pending?.accept({ follow: true });
    assert.equal(outcome?.ok, true, `${outcome?.statusCode} ${outcome?.reason}`);
    await event("replaced", consultation);
    const third = await eventually("the call that replaces", () => incoming[2]);
    await event("confirmed", third);
    assert.equal(third.snapshot().replaces, consultation.id);
    await event("ended", consultation);
    await event("ended", first);
    await third.end();
  });

  it("is transferred by us to another telephone with Replaces", async () => {
    const first = await call("alice");
    const consultation = await call("carol");
    const outcome = await first.refer({ target: consultation.id, timeoutMs: 12_000 });
    assert.equal(outcome.ok, true, JSON.stringify(outcome));
    await event("ended", first);
    await event("ended", consultation);
    assert.equal(first.snapshot().cause, "transferred");
    assert.equal((await carol.calls()).length, 1);
  });

  it("calls without a description and answers our offer in the ACK", async () => {
    await alice.stop();
    const late = await phone("alice", "127.0.66.22", 31_700, true);
    const session = await called(late, "nodered");
    const offer = events.find(([s, e]) => s === session && e.name === "incoming")?.[1];
    assert.equal(offer?.remoteSdp, undefined);
    assert.equal(session.snapshot().media?.[0]?.direction, "sendrecv");
    await session.end();
  });
});
