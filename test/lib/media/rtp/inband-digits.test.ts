import assert from "node:assert/strict";
import { Player } from "../../../../lib/media/audio/player.js";
import { InbandDigits } from "../../../../lib/media/rtp/inband-digits.js";
import { RtpReceiver } from "../../../../lib/media/rtp/rtp-receiver.js";
import { RtpSender } from "../../../../lib/media/rtp/rtp-sender.js";
import type { StreamSettings } from "../../../../lib/media/rtp/stream-settings.js";
import { SeededRandom } from "../../../support/seeded-random.js";

const SETTINGS: StreamSettings = {
  address: "192.0.2.1",
  port: 4000,
  rtcpAddress: "192.0.2.1",
  rtcpPort: 4001,
  rtcpMux: false,
  srtp: undefined,
  signallingAddress: "192.0.2.1",
  send: { payloadType: 0, codec: "PCMU" },
  receive: [{ payloadType: 0, codec: "PCMU" }],
  eventPayloadType: 101,
  eventsReceived: [101],
  clockRate: 8000,
  ptime: 20,
  maySend: true,
  mayReceive: true,
};

/** Sends the digits over a line that loses packets, in a time of its own; gives what the other end understood. */
function transmit(digits: string, method: "rfc4733" | "inband", loss: number, seed = 4733): string {
  const random = new SeededRandom(seed);
  let waiting = 0;
  const sender = new RtpSender({
    ssrc: 1,
    sequenceNumber: 1,
    timestamp: 0,
    player: new Player(() => undefined),
    onDigitsSent: () => (waiting -= 1),
  });
  let heard = "";
  const receiver = new RtpReceiver({ ownSsrc: 2, onDigit: ({ digit }) => (heard += digit) });
  const listener = new InbandDigits(({ digit }) => (heard += digit));
  const settings =
    method === "rfc4733"
      ? SETTINGS
      : { ...SETTINGS, eventPayloadType: undefined, eventsReceived: [] };
  sender.configure(settings);
  receiver.configure(settings, 0);
  receiver.hear(method === "inband");
  const frame = new Int16Array(160);
  for (const [id, part] of (digits.match(/.{1,100}/g) ?? []).entries()) {
    assert.ok(sender.sendDigits({ id, digits: `${part},`, method, duration: 100, gap: 500 }));
    waiting += 1;
  }
  for (let now = 0, tail = 0; tail < 50; now += 20) {
    const packet = sender.tick(true);
    sender.sent();
    if (packet && random.next() >= loss) {
      receiver.datagram(Buffer.from(packet), "192.0.2.1", 4000, now);
    }
    receiver.tick(now);
    if (method === "inband") {
      receiver.pull(frame, 160, 8000, now);
      listener.frame(frame, frame, 160, 8000, receiver.concealing);
    }
    if (waiting === 0) tail += 1;
  }
  return heard;
}

describe("Digits over a line that loses packets", () => {
  const random = new SeededRandom(7);
  const thousand = Array.from({ length: 1000 }, () =>
    "0123456789*#ABCD".charAt(Math.floor(random.next() * 16)),
  ).join("");

  it("1,000 as telephone events at 10 % loss: each one once", () => {
    assert.equal(transmit(thousand, "rfc4733", 0.1), thousand);
  });

  it("1,000 as tones without loss: each one once", () => {
    assert.equal(transmit(thousand, "inband", 0), thousand);
  });

  it("1,000 as tones at 10 % loss: each one once", () => {
    assert.equal(transmit(thousand, "inband", 0.1), thousand);
  });

  it("1,000 as tones at 10 % loss, on worse days: none twice, none wrong, at most one missing", () => {
    for (const seed of [1, 2, 3]) {
      const heard = transmit(thousand, "inband", 0.1, seed);
      let place = -1;
      for (const digit of heard) {
        place = thousand.indexOf(digit, place + 1);
        assert.ok(place >= 0, `${digit} was not sent`);
      }
      assert.ok(heard.length >= 999, `${heard.length}`);
    }
  });
});
