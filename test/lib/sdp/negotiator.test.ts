import assert from "node:assert/strict";
import { InvalidStateError, MediaError, StateMachine } from "../../../lib/foundation/index.js";
import {
  capabilitiesOf,
  Negotiator,
  SdpCache,
  sdpMachines,
  signalingMachine,
} from "../../../lib/sdp/index.js";
import type { SignalingInput, SignalingState } from "../../../lib/sdp/index.js";

function negotiator(cache = new SdpCache()): Negotiator {
  return new Negotiator({
    capabilities: capabilitiesOf(["PCMU", "PCMA"]),
    cache,
    sessionId: "77",
    address: "198.51.100.1",
    port: 10_000,
  });
}

function peer(direction = "sendrecv", media = "m=audio 4000 RTP/AVP 0 8", address = "192.0.2.1") {
  return `v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 ${address}\r\nt=0 0\r\n${media}\r\na=${direction}\r\n`;
}

function version(sdp: string): number {
  return Number(/^o=- 77 (\d+) /m.exec(sdp)?.[1]);
}

describe("the offer/answer machine", () => {
  const EXPECTED: Record<SignalingState, Partial<Record<SignalingInput, SignalingState>>> = {
    stable: {
      localOffer: "have-local-offer",
      remoteOffer: "answered",
      finalAnswer: "stable",
      earlyAnswer: "stable",
      close: "closed",
    },
    "have-local-offer": {
      localOffer: "have-local-offer",
      earlyAnswer: "early",
      finalAnswer: "stable",
      rollback: "stable",
      close: "closed",
    },
    early: {
      earlyAnswer: "early",
      finalAnswer: "stable",
      localOffer: "have-local-offer",
      remoteOffer: "answered",
      rollback: "stable",
      close: "closed",
    },
    answered: {
      commit: "stable",
      rollback: "stable",
      localOffer: "have-local-offer",
      remoteOffer: "answered",
      close: "closed",
    },
    closed: {},
  };
  for (const state of Object.keys(EXPECTED) as SignalingState[]) {
    for (const input of signalingMachine.inputs) {
      const next = EXPECTED[state][input];
      it(`${state} × ${input} → ${next ?? "ignored"}`, () => {
        const machine = new StateMachine({ ...signalingMachine, initial: state }, () => undefined);
        assert.equal(machine.input(input, undefined), next !== undefined);
        assert.equal(machine.state, next ?? state);
      });
    }
  }

  it("is listed for the documentation and names a rule for each row", () => {
    assert.ok(sdpMachines.some(({ name }) => name === "offer-answer"));
    for (const rows of Object.values(signalingMachine.table)) {
      for (const row of Object.values(rows)) assert.match(row.rfc, /^RFC \d+ §/);
    }
  });
});

describe("Negotiator", () => {
  it("answers, and is stable after commit", () => {
    const session = negotiator();
    const answer = session.answer(peer());
    assert.match(answer, /^o=- 77 1 IN IP4 198\.51\.100\.1\r$/m);
    assert.equal(session.state, "answered");
    assert.equal(session.stream?.codec.name, "PCMU");
    assert.equal(session.localSdp, answer);
    assert.equal(session.remoteSdp, peer());
    session.commit();
    assert.equal(session.state, "stable");
  });

  it("grows the version by one when the description changed, and only then", () => {
    const session = negotiator();
    const first = session.answer(peer());
    assert.equal(session.answer(peer()), first);
    assert.equal(version(session.answer(peer("sendonly"))), 2);
    assert.equal(version(session.answer(peer("sendonly"))), 2);
    assert.equal(version(session.answer(peer())), 3);
  });

  it("tells who holds", () => {
    const session = negotiator();
    session.answer(peer());
    assert.deepEqual(session.hold, { local: false, remote: false });
    session.answer(peer("sendonly"));
    assert.deepEqual(session.hold, { local: false, remote: true });
    session.createOffer("sendonly");
    session.accept(peer("inactive"));
    assert.deepEqual(session.hold, { local: true, remote: true });
    session.answer(peer("recvonly"));
    assert.deepEqual(session.hold, { local: true, remote: false });
    session.createOffer("sendrecv");
    session.accept(peer());
    assert.deepEqual(session.hold, { local: false, remote: false });
  });

  it("sees a hold by an address of zeros, and its end", () => {
    const session = negotiator();
    session.answer(peer());
    session.answer(peer("sendrecv", undefined, "0.0.0.0"));
    assert.deepEqual(session.hold, { local: false, remote: true });
    assert.equal(session.stream?.direction, "recvonly");
    session.answer(peer());
    assert.equal(session.stream?.direction, "sendrecv");
  });

  it("keeps our hold when the peer re-offers", () => {
    const session = negotiator();
    session.createOffer();
    session.accept(peer());
    session.createOffer("sendonly");
    session.accept(peer("recvonly"));
    assert.match(session.answer(peer()), /a=sendonly/);
    assert.deepEqual(session.hold, { local: true, remote: false });
  });

  it("does not take our hold for the peer's", () => {
    const session = negotiator();
    session.createOffer();
    session.accept(peer());
    session.createOffer("inactive");
    session.accept(peer("inactive"));
    assert.deepEqual(session.hold, { local: true, remote: false });
  });

  it("changes nothing when an offer cannot be answered", () => {
    const session = negotiator();
    session.answer(peer());
    session.commit();
    const { localSdp, remoteSdp, stream } = session;
    assert.throws(
      () => session.answer(peer("sendrecv", "m=audio 4000 RTP/AVP 18")),
      (error) => error instanceof MediaError && error.statusHint === 488,
    );
    assert.throws(
      () => session.answer("rubbish"),
      (error) => error instanceof MediaError && error.statusHint === 400,
    );
    assert.equal(session.localSdp, localSdp);
    assert.equal(session.remoteSdp, remoteSdp);
    assert.equal(session.stream, stream);
    assert.equal(session.state, "stable");
    assert.equal(version(session.answer(peer())), 1);
  });

  it("goes back when its answer was refused", () => {
    const session = negotiator();
    session.answer(peer());
    session.commit();
    session.answer(peer("sendonly", "m=audio 5000 RTP/AVP 8"));
    assert.equal(session.stream?.port, 5000);
    session.rollback();
    assert.equal(session.stream.port, 4000);
    assert.equal(session.stream.codec.name, "PCMU");
    assert.deepEqual(session.hold, { local: false, remote: false });
    session.rollback();
    assert.equal(session.stream.port, 4000);
  });

  it("does not go back behind a commit", () => {
    const session = negotiator();
    session.answer(peer());
    session.answer(peer("sendonly"));
    session.commit();
    session.rollback();
    assert.equal(session.stream?.direction, "recvonly");
  });

  it("drops an offer that was refused, with the hold that it asked for", () => {
    const session = negotiator();
    session.createOffer();
    session.accept(peer());
    const before = session.localSdp;
    session.createOffer("sendonly");
    assert.notEqual(session.localSdp, before);
    session.rollback();
    assert.equal(session.localSdp, before);
    assert.deepEqual(session.hold, { local: false, remote: false });
    assert.equal(version(session.createOffer("sendonly")), 2);
    session.rollback();
    assert.equal(version(session.createOffer()), 3);
  });

  it("goes back to nothing when the first exchange fails", () => {
    const session = negotiator();
    session.createOffer();
    session.accept(peer(), true);
    assert.equal(session.state, "early");
    assert.ok(session.stream);
    session.rollback();
    assert.equal(session.stream, undefined);
    assert.equal(session.remoteSdp, undefined);
  });

  it("takes the last answer of a forked INVITE", () => {
    const session = negotiator();
    session.createOffer();
    session.accept(peer("sendrecv", "m=audio 5000 RTP/AVP 0"), true);
    session.accept(peer("sendrecv", "m=audio 6000 RTP/AVP 8"), true);
    assert.equal(session.stream?.port, 6000);
    session.accept(peer("sendrecv", "m=audio 7000 RTP/AVP 0"));
    session.accept(peer("sendrecv", "m=audio 8000 RTP/AVP 8"));
    assert.equal(session.stream.port, 8000);
    assert.equal(session.state, "stable");
  });

  it("refuses an answer that does not fit and keeps waiting for one that does", () => {
    const session = negotiator();
    session.createOffer();
    assert.throws(() => session.accept(peer("sendrecv", "m=audio 5000 RTP/AVP 18")), MediaError);
    assert.equal(session.state, "have-local-offer");
    session.accept(peer());
    assert.equal(session.state, "stable");
  });

  it("makes its offer again when asked again before the answer", () => {
    const session = negotiator();
    const first = session.createOffer();
    assert.equal(session.createOffer(), first);
    session.moveTo("198.51.100.2", 10_002);
    assert.match(session.createOffer(), /^o=- 77 2 IN IP4 198\.51\.100\.2\r$/m);
  });

  it("refuses glare, answers without offer, and everything after close", () => {
    const session = negotiator();
    assert.throws(() => session.accept(peer()), InvalidStateError);
    session.createOffer();
    assert.throws(() => session.answer(peer()), InvalidStateError);
    session.rollback();
    session.answer(peer());
    assert.throws(() => session.accept(peer()), InvalidStateError);
    session.close();
    assert.throws(() => session.createOffer(), InvalidStateError);
    assert.throws(() => session.answer(peer()), InvalidStateError);
    session.rollback();
    session.commit();
  });

  it("keeps the numbers of payload types through re-offers of either side", () => {
    const session = negotiator();
    session.answer(
      peer("sendrecv", "m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000"),
    );
    session.commit();
    assert.match(session.createOffer(), /m=audio 10000 RTP\/AVP 0 8 96\r\n/);
    session.accept(peer());
    assert.match(session.createOffer("sendonly"), /m=audio 10000 RTP\/AVP 0 8 96\r\n/);
  });

  it("shares what it read with other sessions without mixing them", () => {
    const cache = new SdpCache(2);
    const one = negotiator(cache);
    const two = negotiator(cache);
    assert.equal(one.answer(peer()), two.answer(peer()));
    two.moveTo("198.51.100.9", 9);
    assert.match(negotiator(cache).answer(peer()), /m=audio 10000/);
    const three = negotiator(cache);
    three.moveTo("198.51.100.9", 20_000);
    assert.match(three.answer(peer()), /m=audio 20000/);
    for (let port = 1; port < 100; port++) {
      const text = peer("sendrecv", `m=audio ${port} RTP/AVP 0`);
      const session = negotiator(cache);
      session.answer(text);
      assert.equal(session.stream?.port, port);
    }
  });

  it("tells apart descriptions that differ only in an o= line at another place", () => {
    const cache = new SdpCache();
    const strange = peer().replace("s=-\r\n", "s=-\r\no=b 2 2 IN IP4 192.0.2.2\r\n");
    assert.ok(cache.read(peer()) !== cache.read(strange));
    assert.ok(cache.read(peer()) === cache.read(peer().replace("o=a 1 1", "o=a 1 2")));
  });
});
