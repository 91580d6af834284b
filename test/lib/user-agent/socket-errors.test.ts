/**
 * What the operating system may say to a datagram that is to be sent, in every state of a call and of a registration:
 * a full buffer is a lost packet, a missing route is told at once, and nothing is left pending.
 */
import assert from "node:assert/strict";
import { Socket } from "node:dgram";
import sinon from "sinon";
import type { Session } from "../../../lib/session/index.js";
import { UserAgent } from "../../../lib/user-agent/index.js";
import { DescriptionMediaHandler } from "../../../lib/media/description-handler.js";
import { FastClock } from "../../support/fast-clock.js";
import { SeededRandom } from "../../support/seeded-random.js";
import { until } from "../../support/transport-bench.js";

/** Waits of the RFC pass so much faster. */
const SPEED = 20;

describe("datagrams that the system does not send", () => {
  let alice: UserAgent;
  let bob: UserAgent;
  let calls: Session[];
  let uri: string;
  let confirmed: number;

  const phone = async (): Promise<UserAgent> => {
    const userAgent = new UserAgent({
      transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }],
      clock: new FastClock(SPEED),
      mediaHandler: new DescriptionMediaHandler({
        address: "127.0.0.1",
        port: 4000,
        random: new SeededRandom(1),
      }),
    });
    await userAgent.start();
    return userAgent;
  };

  beforeEach(async () => {
    alice = await phone();
    bob = await phone();
    calls = [];
    confirmed = 0;
    bob.on("sessionEvent", (_session, { name }) => {
      if (name === "confirmed") confirmed++;
    });
    bob.onIncomingCall = (session) => {
      calls.push(session);
      void session.accept();
      return true;
    };
    uri = `sip:bob@127.0.0.1:${bob.bound[0]?.port}`;
  });
  afterEach(async () => {
    sinon.restore();
    await Promise.all([alice.stop(), bob.stop()]);
  });

  /** Fails packets to send whose text fits; 0 = all of them. */
  function failing(code: string, fits: RegExp, times = 0): () => number {
    let failed = 0;
    const { send } = Socket.prototype as { send: (...args: unknown[]) => void };
    sinon.stub(Socket.prototype, "send").callsFake(function (this: Socket, ...args: unknown[]) {
      const text = Buffer.from(args[0] as Uint8Array).toString("latin1");
      const done = args.at(-1);
      if (!fits.test(text) || (times > 0 && failed >= times) || typeof done !== "function") {
        send.apply(this, args);
        return;
      }
      failed++;
      const error = Object.assign(new Error(`send ${code}`), { code });
      setImmediate(() => (done as (error: Error) => void)(error));
    });
    return () => failed;
  }

  for (const code of ["ENOBUFS", "EAGAIN", "ENOMEM"]) {
    for (const [what, fits] of [
      ["INVITE", /^INVITE/],
      ["200", /^SIP\/2\.0 200[^]*CSeq: \d+ INVITE/],
      ["ACK", /^ACK/],
      ["BYE", /^BYE/],
      ["any", /^/],
    ] as const) {
      it(`${code} to ${what} is a lost packet: the call succeeds and ends`, async () => {
        const failed = failing(code, fits, 2);
        const session = alice.invite({ targets: [uri] });
        await until(() => session.state === "established", "the call");
        await until(() => confirmed > 0, "the ACK");
        await session.end();
        assert.equal(session.snapshot().cause, "local-bye");
        await until(() => calls[0]?.state === "terminated", "the BYE");
        assert.equal(failed(), 2);
      });
    }
  }

  for (const code of ["ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EPERM", "ENETDOWN"]) {
    it(`${code} to an INVITE fails the call at once, in words; later calls work`, async () => {
      failing(code, /^INVITE/, 1);
      const session = alice.invite({ targets: [uri] });
      await until(() => session.state === "terminated", "the failure");
      assert.equal(session.snapshot().cause, "transport-error");
      const second = alice.invite({ targets: [uri] });
      await until(() => second.state === "established", "the next call");
    });

    it(`${code} in a call leaves it up; a BYE that cannot be sent ends it here`, async () => {
      const session = alice.invite({ targets: [uri] });
      await until(() => session.state === "established", "the call");
      await until(() => confirmed > 0, "the ACK");
      failing(code, /^(INVITE|INFO|BYE)/);
      const info = await session.request({ method: "INFO" });
      assert.equal(info.ok || info.cause, "transport-error");
      const held = await session.reinvite({ action: "hold" });
      assert.equal(held.ok || held.cause, "transport-error");
      assert.equal(session.state, "established");
      await session.end();
      assert.equal(session.snapshot().cause, "local-bye");
    });

    it(`${code} to a registrar is told and tried again soon`, async () => {
      failing(code, /^REGISTER/, 1);
      const account = alice.addAccount({ id: "a", uri: uri.replace("bob", "alice") });
      await until(() => account.registration.state === "failed", "the failure");
      assert.equal(account.registration.cause, "transport-error");
      assert.match(account.registration.reason ?? "", /route|firewall/);
      assert.ok((account.registration.retryIn ?? 99) <= 5);
      // Bob is no registrar; that he answers is enough.
      await until(() => (account.registration.statusCode ?? 0) >= 400, "an answer");
    });
  }
});
