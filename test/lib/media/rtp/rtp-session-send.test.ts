/** What a session makes of a network that does not take its packets. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:dgram";
import { RtpSession } from "../../../../lib/media/rtp/rtp-session.js";
import { ManualClock } from "../../../support/manual-clock.js";
import { SeededRandom } from "../../../support/seeded-random.js";

type Send = (packet: Buffer, done: ((error: Error | null) => void) | undefined) => void;

function setUp(send: Send) {
  const errors: string[] = [];
  const socket = (): Socket =>
    Object.assign(new EventEmitter(), {
      send: (packet: Buffer, _port: number, _address: string, done?: () => void) =>
        send(packet, done),
    }) as unknown as Socket;
  const session = new RtpSession({
    sockets: {
      rtp: socket(),
      rtcp: socket(),
      port: 4000,
      address: "192.0.2.1",
      close: () => Promise.resolve(),
    },
    clock: new ManualClock(),
    random: new SeededRandom(1),
    mediaTimeoutMs: 0,
    events: {
      onDigit: () => undefined,
      onPlaybackDone: () => undefined,
      onDigitsSent: () => undefined,
      onMediaTimeout: () => undefined,
      onError: (text) => errors.push(text),
    },
  });
  const codec = { payloadType: 0, codec: "PCMU" };
  session.configure(
    {
      address: "192.0.2.2",
      port: 5000,
      rtcpAddress: "192.0.2.2",
      rtcpPort: 5001,
      rtcpMux: false,
      srtp: undefined,
      signallingAddress: "192.0.2.2",
      send: codec,
      receive: [codec],
      eventPayloadType: 101,
      eventsReceived: [101],
      clockRate: 8000,
      ptime: 20,
      maySend: true,
      mayReceive: true,
    },
    true,
  );
  let now = 0;
  return {
    errors,
    run: (packets: number): void => {
      for (let i = 0; i < packets; i++) session.tick((now += 20));
    },
  };
}

describe("RtpSession and a network that takes nothing", () => {
  it("tells it once, when the network says so", () => {
    const { errors, run } = setUp((_packet, done) => done?.(new Error("ENETUNREACH")));
    run(500);
    assert.equal(errors.length, 1);
    assert.match(errors[0], /RTP on port 4000: ENETUNREACH/);
  });

  it("tells it once when sending itself fails, and goes on", () => {
    let sent = 0;
    const { errors, run } = setUp(() => {
      sent += 1;
      throw new Error("closed");
    });
    run(100);
    assert.equal(errors.length, 1);
    assert.ok(sent >= 100);
  });

  it("hears within a second of a network that is lost later, without asking for every packet", () => {
    let lost = false;
    let asked = 0;
    const { errors, run } = setUp((_packet, done) => {
      if (done) asked += 1;
      done?.(lost ? new Error("EHOSTUNREACH") : null);
    });
    run(210);
    assert.deepEqual(errors, []);
    lost = true;
    run(50);
    assert.equal(errors.length, 1);
    assert.ok(asked <= 7, `${asked} questions`);
  });
});
