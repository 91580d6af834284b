/**
 * Handlers of streams and modifiers of descriptions (contract §7, RFC 3264). Requirements:
 *  1. A stream of the peer's offer belongs to the first handler of its type that claims it, else to the media handler, else it
 *     is declined in its place with its formats (§6).
 *  2. Our offers carry the streams that handlers add; both sides hear what is agreed, what changes, and of the end once.
 *  3. M-lines never become fewer; a declined place is used again (§8).
 *  4. A refused change leaves everything as it was.
 *  5. A handler that throws, is late or returns nonsense loses its stream; the call goes on and the peer sees no nonsense.
 *  6. Modifiers run in order, on both sides' descriptions; a bad, failing or late one fails the exchange, never hangs it.
 */
import assert from "node:assert/strict";
import type {
  DescriptionModifier,
  SdpStream,
  SdpStreamContext,
  SdpStreamDescription,
  SdpStreamHandler,
  SdpStreamVerdict,
  Session,
} from "../../../lib/session/index.js";
import { aliceAndBob, type AliceAndBob, type Person } from "../../support/alice-and-bob.js";

const FAX: SdpStreamDescription = {
  port: 5004,
  protocol: "udptl",
  formats: ["t38"],
  attributes: ["T38FaxVersion:0", "T38FaxMaxDatagram:400"],
};
const CHAT: SdpStreamDescription = {
  port: 2855,
  protocol: "TCP/MSRP",
  formats: ["*"],
  attributes: ["accept-types:text/plain", "path:msrp://10.0.0.1:2855/a1;tcp"],
};
const VIDEO: SdpStreamDescription = {
  port: 6000,
  protocol: "RTP/AVP",
  formats: ["96"],
  attributes: ["rtpmap:96 VP8/90000"],
};

/** A handler that writes down what it is asked and told. */
class Recorder implements SdpStreamHandler {
  readonly log: string[] = [];
  readonly ids = new Set<string>();
  offered: SdpStream | undefined;
  applied: { local: SdpStream; remote: SdpStream } | undefined;
  verdict: (stream: SdpStream) => SdpStreamVerdict | Promise<SdpStreamVerdict> = () => undefined;
  outgoing: (context: SdpStreamContext) => SdpStreamDescription | undefined = () => undefined;

  negotiateIncoming(
    stream: SdpStream,
    context: SdpStreamContext,
  ): SdpStreamVerdict | Promise<SdpStreamVerdict> {
    this.log.push(context.current ? "asked again" : "asked");
    this.offered = stream;
    return this.verdict(stream);
  }

  createOutgoing(context: SdpStreamContext): SdpStreamDescription | undefined {
    const { current, direction } = context;
    this.log.push(current ? `offer again ${direction}` : "offer");
    return this.outgoing(context);
  }

  apply(local: SdpStream, remote: SdpStream, { streamId }: SdpStreamContext): void {
    this.ids.add(streamId);
    this.applied = { local, remote };
    this.log.push(`apply ${local.port} ${remote.port} ${local.direction}`);
  }

  rollback(): void {
    this.log.push("rollback");
  }

  destroy(_context: SdpStreamContext, end: string): void {
    this.log.push(end);
  }
}

function claiming(description: SdpStreamDescription): Recorder {
  const recorder = new Recorder();
  recorder.verdict = () => description;
  return recorder;
}

function offering(description: SdpStreamDescription): Recorder {
  const recorder = new Recorder();
  recorder.outgoing = ({ current }) => (current ? undefined : description);
  return recorder;
}

const mLines = (sdp: string | undefined): string[] =>
  (sdp ?? "").split("\r\n").filter((line) => line.startsWith("m="));
const versionOf = (sdp: string | undefined): number =>
  Number(/^o=\S+ \d+ (\d+) /m.exec(sdp ?? "")?.[1]);
const AUDIO = "m=audio 5000 RTP/AVP 0\r\na=sendrecv\r\n";
const described = (...media: string[]): string =>
  `v=0\r\no=- 7 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n${media.join("")}`;

describe("handlers of streams", () => {
  let pair: AliceAndBob;
  let alice: Person;
  let bob: Person;
  beforeEach(async () => {
    pair = await aliceAndBob();
    ({ alice, bob } = pair);
    bob.takeCalls((session) => void session.accept());
  });

  const call = async (sdp?: string): Promise<{ caller: Session; callee: Session }> => {
    const caller = alice.userAgent.invite({ targets: [bob.uri], sdp });
    await pair.pass(500);
    return { caller, callee: bob.calls.at(-1) as Session };
  };
  const answered = (): string[] => mLines(alice.last("answered").remoteSdp);

  it("claim their stream; audio stays with the media handler, others are declined in place", async () => {
    const fax = claiming(FAX);
    bob.userAgent.addSdpHandler("image", fax);
    const { caller } = await call(
      described(
        AUDIO,
        "m=image 5002 udptl t38\r\nc=IN IP4 10.0.0.9\r\na=T38FaxVersion:0\r\n",
        "m=video 5006 RTP/AVP 96 97\r\na=rtpmap:96 VP8/90000\r\n",
      ),
    );
    assert.deepEqual(answered(), [
      "m=audio 4000 RTP/AVP 0",
      "m=image 5004 udptl t38",
      "m=video 0 RTP/AVP 96 97",
    ]);
    assert.match(alice.last("answered").remoteSdp ?? "", /a=T38FaxMaxDatagram:400\r\n/);
    assert.equal(fax.offered?.address, "10.0.0.9");
    assert.deepEqual(fax.offered?.attributes, ["T38FaxVersion:0"]);
    const media = bob
      .last("media")
      .snapshot.media?.map(({ kind, codec, port }) => [kind, codec, port]);
    assert.deepEqual(media, [
      ["audio", "PCMU", 5000],
      ["image", "t38", 5002],
    ]);
    void caller.end();
    await pair.pass(500);
    assert.deepEqual(fax.log, ["asked", "apply 5004 5002 sendrecv", "ended"]);
    await pair.end();
  });

  it("are asked in the order of registration until one claims, and not after removal", async () => {
    const [first, second, third] = [new Recorder(), claiming(FAX), claiming(FAX)];
    const remove = [first, second, third].map((one) => bob.userAgent.addSdpHandler("IMAGE", one));
    const offer = described(AUDIO, "m=image 5002 udptl t38\r\n");
    await call(offer);
    assert.deepEqual(first.log, ["asked"]);
    assert.equal(second.log[0], "asked");
    assert.deepEqual(third.log, []);
    for (const each of [...remove, ...remove]) each();
    await call(offer);
    assert.deepEqual(answered(), ["m=audio 4000 RTP/AVP 0", "m=image 0 udptl t38"]);
    assert.deepEqual(first.log, ["asked"]);
    await pair.end();
  });

  it("take audio before the media handler does, and a call without audio at all", async () => {
    const audio = claiming({ port: 7000, attributes: ["rtpmap:0 PCMU/8000"] });
    const remove = bob.userAgent.addSdpHandler("audio", audio);
    bob.userAgent.addSdpHandler("message", claiming({ ...CHAT, port: 2856 }));
    await call();
    assert.equal(answered().length, 1);
    assert.match(answered()[0], /^m=audio 7000 /);
    remove();
    await call(described("m=message 2855 TCP/MSRP *\r\na=path:msrp://10.0.0.1:2855/a;tcp\r\n"));
    assert.deepEqual(answered(), ["m=message 2856 TCP/MSRP *"]);
    assert.match(alice.last("answered").remoteSdp ?? "", /^v=0\r\no=- \d+ 1 IN IP4 10.0.0.2\r\n/);
    await call(described("m=video 5006 RTP/AVP 96\r\n"));
    assert.equal(alice.last("failed").statusCode, 488);
    await pair.end();
  });

  it("add streams to our offers; both ends hear the same stream, changes, hold and the end", async () => {
    const [chat, theirs] = [offering(CHAT), claiming({ ...CHAT, port: 2856 })];
    const [video, theirVideo] = [offering(VIDEO), claiming({ ...VIDEO, port: 6002 })];
    alice.userAgent.addSdpHandler("message", chat);
    alice.userAgent.addSdpHandler("video", video);
    bob.userAgent.addSdpHandler("message", theirs);
    bob.userAgent.addSdpHandler("video", theirVideo);
    const { caller } = await call();
    const first = alice.last("answered").localSdp;
    assert.deepEqual(mLines(first).slice(1), [
      "m=message 2855 TCP/MSRP *",
      "m=video 6000 RTP/AVP 96",
    ]);
    assert.deepEqual(chat.log, ["offer", "apply 2855 2856 sendrecv"]);
    assert.deepEqual(theirs.log, ["asked", "apply 2856 2855 sendrecv"]);
    const held = caller.reinvite({ action: "hold" });
    await pair.pass(500);
    assert.equal((await held).ok, true);
    const second = alice.last("updated").localSdp;
    assert.equal(versionOf(second), versionOf(first) + 1);
    assert.deepEqual(video.log.slice(2), ["offer again sendonly", "apply 6000 6002 sendonly"]);
    assert.equal(theirVideo.log.at(-1), "apply 6002 6000 recvonly");
    assert.equal(theirs.log.length, 3, "nothing changed for the chat, but it was asked");
    const refreshed = caller.reinvite({ action: "refresh", headers: [] });
    await pair.pass(500);
    assert.equal((await refreshed).ok, true);
    assert.equal(
      versionOf(caller.mediaSession && alice.last("updated").localSdp),
      versionOf(second),
    );
    void caller.end();
    await pair.pass(500);
    for (const one of [chat, theirs, video, theirVideo]) {
      assert.equal(one.log.filter((line) => line === "ended").length, 1);
      assert.equal(one.ids.size, 1);
    }
    await pair.end();
  });

  it("lose a stream that the answer declines, and add one on renegotiation in its place", async () => {
    const chat = offering(CHAT);
    alice.userAgent.addSdpHandler("message", chat);
    const { caller } = await call();
    assert.deepEqual(chat.log, ["offer", "declined"]);
    const fax = offering(FAX);
    alice.userAgent.addSdpHandler("image", fax);
    bob.userAgent.addSdpHandler("image", claiming({ ...FAX, port: 5008 }));
    chat.outgoing = () => undefined;
    const done = caller.reinvite({ action: "renegotiate" });
    await pair.pass(500);
    assert.equal((await done).ok, true);
    const lines = mLines(alice.last("updated").localSdp);
    assert.equal(lines.length, 2, "the place is used again");
    assert.equal(lines[1], "m=image 5004 udptl t38");
    assert.deepEqual(fax.log, ["offer", "apply 5004 5008 sendrecv"]);
    await pair.end();
  });

  it("hear when the peer takes a stream away, changes its type, or brings it back", async () => {
    const fax = claiming(FAX);
    bob.userAgent.addSdpHandler("image", fax);
    const { caller } = await call(described(AUDIO));
    const change = async (...media: string[]): Promise<string[]> => {
      const outcome = caller.reinvite({ action: "renegotiate", sdp: described(...media) });
      await pair.pass(500);
      assert.equal((await outcome).ok, true);
      return mLines(alice.last("updated").remoteSdp);
    };
    // From voice to fax in the same place (RFC 3264 §8.3.3), then back.
    assert.deepEqual(await change("m=image 5002 udptl t38\r\n"), ["m=image 5004 udptl t38"]);
    assert.deepEqual(
      bob.last("media").snapshot.media?.map(({ kind }) => kind),
      ["image"],
    );
    assert.deepEqual(await change(AUDIO), ["m=audio 4000 RTP/AVP 0"]);
    assert.deepEqual(fax.log, ["asked", "apply 5004 5002 sendrecv", "declined"]);
    const both = [AUDIO, "m=image 5002 udptl t38\r\n"];
    assert.equal((await change(...both))[1], "m=image 5004 udptl t38");
    assert.equal((await change(AUDIO, "m=image 0 udptl t38\r\n"))[1], "m=image 0 udptl t38");
    assert.equal(fax.ids.size, 2);
    assert.equal(fax.log.filter((line) => line === "declined").length, 2);
    await pair.end();
  });

  it("are rolled back when a change is refused", async () => {
    const [video, theirs] = [offering(VIDEO), claiming({ ...VIDEO, port: 6002 })];
    alice.userAgent.addSdpHandler("video", video);
    bob.userAgent.addSdpHandler("video", theirs);
    const { caller, callee } = await call();
    const late = offering(FAX);
    alice.userAgent.addSdpHandler("image", late);
    bob.userAgent.addSdpHandler("image", claiming(FAX));
    const refuse = bob.userAgent.addSupplement({
      methods: ["INVITE"],
      incomingRequest: () => ({ statusCode: 488 }),
    });
    const outcome = caller.reinvite({ action: "renegotiate" });
    await pair.pass(500);
    assert.equal((await outcome).ok, false);
    refuse();
    assert.deepEqual(late.log, ["offer", "withdrawn"]);
    assert.equal(video.log.at(-1), "rollback");
    assert.equal(caller.snapshot().media?.length, 2);
    assert.equal(callee.snapshot().media?.length, 2);
    const again = caller.reinvite({ action: "hold" });
    await pair.pass(500);
    assert.equal((await again).ok, true);
    assert.equal(video.log.at(-1), "apply 6000 6002 sendonly");
    await pair.end();
  });

  it("that throw, are late or return nonsense lose their stream, and nothing of it is sent", async () => {
    const nonsense: unknown[] = [
      { port: 70_000 },
      { port: 5004, attributes: ["x\r\nm=audio 1 RTP/AVP 0"] },
      { port: 5004, protocol: "RTP/AVP" },
      { port: 5004, formats: [] },
      { port: 5004, address: "10.0.0.1\r\na=evil" },
      { port: 5004, attributes: "sendrecv" },
      { port: 5004, attributes: [7] },
      { port: 5004, attributes: Array.from({ length: 300 }, () => "x") },
      "yes",
      { port: 0 },
    ];
    let verdict: Recorder["verdict"] = () => undefined;
    const fax = new Recorder();
    fax.verdict = (stream) => verdict(stream);
    bob.userAgent.addSdpHandler("image", fax);
    const offer = described(AUDIO, "m=image 5002 udptl t38\r\n");
    const declined = ["m=audio 4000 RTP/AVP 0", "m=image 0 udptl t38"];
    for (const wrong of nonsense) {
      verdict = () => wrong as SdpStreamVerdict;
      await call(offer);
      assert.deepEqual(answered(), declined, JSON.stringify(wrong).slice(0, 80));
    }
    verdict = () => {
      throw new Error("broken");
    };
    await call(offer);
    assert.deepEqual(answered(), declined);
    let release: (verdict: SdpStreamVerdict) => void = () => undefined;
    verdict = () => new Promise((resolve) => (release = resolve));
    fax.log.length = 0;
    const { caller } = await call(offer);
    assert.equal(caller.state, "inviting");
    await pair.pass(5_000);
    assert.deepEqual(answered(), declined);
    release(FAX);
    await pair.pass(10);
    assert.deepEqual(fax.log, ["asked", "withdrawn"], "what it holds can be freed");
    await pair.end();
  });

  it("leave nothing when the call ends while they think", async () => {
    let release: (verdict: SdpStreamVerdict) => void = () => undefined;
    const fax = new Recorder();
    fax.verdict = () => new Promise((resolve) => (release = resolve));
    bob.userAgent.addSdpHandler("image", fax);
    const { caller } = await call(described(AUDIO, "m=image 5002 udptl t38\r\n"));
    void caller.end();
    await pair.pass(500);
    assert.equal(alice.last("failed").snapshot.cause, "cancelled");
    release(FAX);
    await pair.pass(10);
    assert.deepEqual(fax.log, ["asked", "withdrawn"]);
    await pair.end();
  });

  it("hear the end of a call that was never answered", async () => {
    bob.takeCalls();
    const chat = offering(CHAT);
    alice.userAgent.addSdpHandler("message", chat);
    const { caller } = await call();
    void caller.end();
    await pair.pass(500);
    assert.deepEqual(chat.log, ["offer", "ended"]);
    await pair.end();
  });

  it("may end the call from inside a hook", async () => {
    const fax = claiming(FAX);
    bob.userAgent.addSdpHandler("image", fax);
    fax.apply = (): void => {
      void bob.calls.at(-1)?.end();
      throw new Error("and fail");
    };
    await call(described(AUDIO, "m=image 5002 udptl t38\r\n"));
    await pair.pass(500);
    assert.equal(bob.last("ended").snapshot.cause, "local-bye");
    assert.equal(fax.log.filter((line) => line === "ended").length, 1);
    await pair.end();
  });

  it("must be handlers", () => {
    const wrong = [
      () => alice.userAgent.addSdpHandler("no token", new Recorder()),
      () => alice.userAgent.addSdpHandler("image", {} as SdpStreamHandler),
      () => alice.userAgent.addSdpHandler("image", undefined as never),
      () => alice.userAgent.addSdpHandler(7 as never, new Recorder()),
    ];
    for (const each of wrong) assert.throws(each, { code: "E_ARGUMENT" });
  });

  it("alone make calls where there is no media handler", async () => {
    const other = await aliceAndBob({ alice: { media: false }, bob: { media: false } });
    const [chat, theirs] = [offering(CHAT), claiming({ ...CHAT, port: 2856 })];
    other.alice.userAgent.addSdpHandler("message", chat);
    other.bob.userAgent.addSdpHandler("message", theirs);
    other.bob.takeCalls((session) => void session.accept());
    other.alice.userAgent.invite({ targets: [other.bob.uri] });
    await other.pass(500);
    assert.deepEqual(mLines(other.alice.last("answered").remoteSdp), ["m=message 2856 TCP/MSRP *"]);
    assert.deepEqual(chat.log, ["offer", "apply 2855 2856 sendrecv"]);
    await other.end();
    await pair.end();
  });
});

describe("modifiers of descriptions", () => {
  /** Notes what it sees and adds a line to what goes out. */
  const noting =
    (log: string[], name: string): DescriptionModifier =>
    (description, { kind, direction }) => {
      log.push(`${name} ${direction} ${kind}`);
      if (direction === "remote") return description;
      return { ...description, sdp: `${description.sdp}a=x-${name}\r\n` };
    };

  it("run in order, those of the stack before those of the call and of the exchange", async () => {
    const log: string[] = [];
    const theirs: string[] = [];
    const pair = await aliceAndBob({
      alice: { descriptionModifiers: [noting(log, "one"), noting(log, "two")] },
    });
    const { alice, bob } = pair;
    bob.takeCalls((session) => {
      void session.accept({
        descriptionModifiers: [
          (description, context) => Promise.resolve(noting(theirs, "bob")(description, context)),
        ],
      });
    });
    const caller = alice.userAgent.invite({
      targets: [bob.uri],
      descriptionModifiers: [noting(log, "call")],
    });
    await pair.pass(500);
    assert.match(bob.last("incoming").remoteSdp ?? "", /a=x-one\r\na=x-two\r\na=x-call\r\n$/);
    assert.deepEqual(log, [
      "one local offer",
      "two local offer",
      "call local offer",
      "one remote answer",
      "two remote answer",
      "call remote answer",
    ]);
    assert.deepEqual(theirs, ["bob remote offer", "bob local answer"]);
    const before = versionOf(bob.last("incoming").remoteSdp);
    const outcome = caller.reinvite({
      action: "renegotiate",
      descriptionModifiers: [noting(log, "once")],
    });
    await pair.pass(500);
    assert.equal((await outcome).ok, true);
    const changed = bob.last("updated").remoteSdp;
    assert.match(changed ?? "", /a=x-call\r\na=x-once\r\n$/);
    assert.equal(versionOf(changed), before + 1);
    const next = caller.reinvite({ action: "renegotiate" });
    await pair.pass(500);
    assert.equal((await next).ok, true);
    assert.doesNotMatch(bob.last("updated").remoteSdp ?? "", /once/);
    assert.equal(versionOf(bob.last("updated").remoteSdp), before + 2);
    await pair.end();
  });

  it("may come with a re-INVITE alone, in a call that had none", async () => {
    const pair = await aliceAndBob();
    const { alice, bob } = pair;
    bob.takeCalls((session) => void session.accept());
    const caller = alice.userAgent.invite({ targets: [bob.uri] });
    await pair.pass(500);
    const before = versionOf(alice.last("answered").localSdp);
    const outcome = caller.reinvite({
      action: "renegotiate",
      descriptionModifiers: [noting([], "late")],
    });
    await pair.pass(500);
    assert.equal((await outcome).ok, true);
    assert.match(bob.last("updated").remoteSdp ?? "", /a=x-late\r\n/);
    assert.equal(versionOf(bob.last("updated").remoteSdp), before + 1);
    await pair.end();
  });

  const failures: [string, DescriptionModifier][] = [
    ["throws", () => assert.fail("no")],
    ["rejects", () => Promise.reject(new Error("no"))],
    ["returns nothing", () => undefined as never],
    ["returns no description", ({ type }) => ({ type, sdp: "hello" })],
    ["removes the stream", (d) => ({ ...d, sdp: d.sdp.replace(/m=[^]*/, "") })],
    ["adds a stream", (d) => ({ ...d, sdp: `${d.sdp}m=video 9 RTP/AVP 96\r\n` })],
    ["injects a control character", (d) => ({ ...d, sdp: `${d.sdp}a=x\u0007y\r\n` })],
    ["never answers", () => new Promise<never>(() => undefined)],
  ];
  for (const [what, modifier] of failures) {
    it(`fail the exchange when one ${what}: 500 to an offer, an end to a call of ours`, async () => {
      const only =
        (side: "local" | "remote"): DescriptionModifier =>
        (description, context) =>
          context.direction === side ? modifier(description, context) : description;
      const pair = await aliceAndBob({ bob: { descriptionModifiers: [only("local")] } });
      const { alice, bob } = pair;
      bob.takeCalls((session) => void session.accept());
      alice.takeCalls((session) => void session.accept());
      alice.userAgent.invite({ targets: [bob.uri] });
      await pair.pass(6_000);
      assert.equal(alice.last("failed").statusCode, 500);
      assert.equal(bob.last("failed").name, "failed");
      const ours = bob.userAgent.invite({ targets: [alice.uri] });
      await pair.pass(6_000);
      assert.equal(ours.state, "terminated");
      assert.equal(alice.calls.length, 0, "no INVITE was sent");
      await pair.end();
    });
  }

  it("that refuse the peer's answer end the call with BYE", async () => {
    const pair = await aliceAndBob({
      alice: {
        descriptionModifiers: [
          (description, { direction }) =>
            direction === "remote" ? Promise.reject(new Error("no")) : description,
        ],
      },
    });
    const { alice, bob } = pair;
    bob.takeCalls((session) => void session.accept());
    const caller = alice.userAgent.invite({ targets: [bob.uri] });
    await pair.pass(1_000);
    assert.equal(caller.state, "terminated");
    assert.equal(bob.last("ended").snapshot.cause, "remote-bye");
    await pair.end();
  });

  it("must be functions", async () => {
    const wrong = [7] as never;
    await assert.rejects(aliceAndBob({ alice: { descriptionModifiers: wrong } }), {
      code: "E_ARGUMENT",
    });
    const pair = await aliceAndBob();
    assert.throws(
      () => pair.alice.userAgent.invite({ targets: [pair.bob.uri], descriptionModifiers: wrong }),
      { code: "E_ARGUMENT" },
    );
    await pair.end();
  });
});
