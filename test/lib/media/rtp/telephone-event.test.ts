import assert from "node:assert/strict";
import {
  TelephoneEventReceiver,
  EVENT_TIMEOUT_MS,
} from "../../../../lib/media/rtp/telephone-event-receiver.js";
import type { ReceivedDigit } from "../../../../lib/media/rtp/telephone-event-receiver.js";
import {
  EVENT_DIGITS,
  TelephoneEventSender,
  writeEventPayload,
} from "../../../../lib/media/rtp/telephone-event-sender.js";
import type { EventPacket } from "../../../../lib/media/rtp/telephone-event-sender.js";
import { SeededRandom } from "../../../support/seeded-random.js";

interface Ticked {
  readonly at: number;
  readonly packet: EventPacket | undefined;
}

/** Lets a sender run in 20 ms packets from timestamp 1000 on. */
function sent(digits: string, duration: number, gap: number): Ticked[] {
  const sender = new TelephoneEventSender(digits, duration, gap, 8000);
  const ticks: Ticked[] = [];
  for (let at = 0; !sender.finished && at < 100_000; at += 20) {
    ticks.push({ at, packet: sender.next(1000 + at * 8, 160) });
  }
  return ticks;
}

describe("TelephoneEventSender", () => {
  it("sends one packet each 20 ms with growing duration and the end three times", () => {
    const packets = sent("5", 100, 0).map(({ packet }) => packet);
    assert.deepEqual(
      packets.map((packet) => packet && [packet.marker, packet.duration, packet.end]),
      [
        [true, 160, false],
        [false, 320, false],
        [false, 480, false],
        [false, 640, false],
        [false, 800, true],
        [false, 800, true],
        [false, 800, true],
      ],
    );
    assert.ok(packets.every((packet) => packet?.event === 5 && packet.timestamp === 1000));
  });

  it("keeps the gap between digits, each with a timestamp of its own", () => {
    const ticks = sent("12", 100, 200);
    const starts = ticks.filter(({ packet }) => packet?.marker);
    assert.equal(starts.length, 2);
    assert.ok(starts[1].at - 100 >= 200, `the second begins at ${starts[1].at} ms`);
    assert.ok(starts[1].at - 100 < 260);
    assert.equal(starts[1].packet?.timestamp, 1000 + starts[1].at * 8);
  });

  it("makes a pause of half a second of a comma", () => {
    const starts = sent("1,2", 40, 0).filter(({ packet }) => packet?.marker);
    assert.ok(starts[1].at >= 500 + 40);
    assert.ok(starts[1].at <= 500 + 160);
  });

  it("makes no digit shorter than 40 ms or longer than eight seconds", () => {
    assert.equal(sent("1", 1, 0).at(-1)?.packet?.duration, 320);
    assert.equal(sent("1", 60_000, 0).at(-1)?.packet?.duration, 64_000);
  });

  it("goes on in contiguous segments where the counter is too short (RFC 4733 §2.5.1.3)", () => {
    const sender = new TelephoneEventSender("5", 8_000, 0, 48_000);
    const packets: EventPacket[] = [];
    const first = 0xffff_0000;
    for (let tick = 0; !sender.finished && tick < 1_000; tick++) {
      const packet = sender.next((first + tick * 960) >>> 0, 960);
      if (packet) packets.push(packet);
    }
    const payload = Buffer.alloc(4);
    for (const packet of packets) writeEventPayload(payload, 0, packet);
    const starts = [...new Set(packets.map(({ timestamp }) => timestamp))];
    assert.deepEqual(
      starts,
      [0, 1, 2, 3, 4, 5].map((segment) => (first + segment * 0xffff) >>> 0),
    );
    for (const start of starts.slice(0, -1)) {
      const segment = packets.filter(({ timestamp }) => timestamp === start);
      assert.equal(segment.at(-1)?.duration, 0xffff);
      assert.ok(segment.every(({ end }) => !end));
    }
    assert.equal(packets.filter(({ marker }) => marker).length, 1);
    assert.deepEqual(
      packets.slice(-3).map(({ end, duration }) => [end, duration]),
      Array(3).fill([true, 384_000 - 5 * 0xffff]),
    );
    // The receiver makes one press of it, also when packets are missing.
    const digits: ReceivedDigit[] = [];
    const receiver = new TelephoneEventReceiver(48_000, (digit) => digits.push(digit));
    const random = new SeededRandom(4733);
    packets.forEach((packet, index) => {
      if (random.next() < 0.1 && index < packets.length - 3) return;
      writeEventPayload(payload, 0, packet);
      receiver.packet(payload, 0, 4, packet.timestamp, index * 20);
    });
    assert.deepEqual(digits, [{ digit: "5", duration: 8_000 }]);
  });

  it("knows all sixteen digits, in either case", () => {
    for (const [event, digit] of [...EVENT_DIGITS].entries()) {
      assert.equal(sent(digit, 40, 0)[0].packet?.event, event);
      assert.equal(sent(digit.toLowerCase(), 40, 0)[0].packet?.event, event);
    }
  });
});

class Receiver {
  readonly digits: ReceivedDigit[] = [];
  readonly #receiver = new TelephoneEventReceiver(8000, (digit) => this.digits.push(digit));
  now = 0;

  packet(packet: Omit<EventPacket, "marker">): void {
    const payload = Buffer.alloc(4);
    writeEventPayload(payload, 0, { marker: false, ...packet });
    assert.ok(this.#receiver.packet(payload, 0, 4, packet.timestamp, this.now));
  }

  raw(payload: Buffer, timestamp: number): boolean {
    return this.#receiver.packet(payload, 0, payload.length, timestamp, this.now);
  }

  wait(ms: number): void {
    for (const end = this.now + ms; this.now < end; this.now += 20) this.#receiver.tick(this.now);
  }

  reset(): void {
    this.#receiver.reset(this.now);
  }

  get text(): string {
    return this.digits.map(({ digit }) => digit).join("");
  }
}

/** Packets of one press, as another telephone sends them. */
function press(digit: string, timestamp: number, duration = 800): Omit<EventPacket, "marker">[] {
  const event = EVENT_DIGITS.indexOf(digit);
  const packets = [];
  for (let units = 160; units < duration; units += 160) {
    packets.push({ timestamp, event, end: false, duration: units });
  }
  for (let i = 0; i < 3; i++) packets.push({ timestamp, event, end: true, duration });
  return packets;
}

describe("TelephoneEventReceiver", () => {
  it("reports each of the sixteen digits once, with its duration", () => {
    const receiver = new Receiver();
    for (const [index, digit] of [...EVENT_DIGITS].entries()) {
      for (const packet of press(digit, 1000 + index * 4000)) {
        receiver.packet(packet);
        receiver.wait(20);
      }
    }
    receiver.wait(1000);
    assert.equal(receiver.text, EVENT_DIGITS);
    assert.ok(receiver.digits.every(({ duration }) => duration === 100));
  });

  it("reports a repeated key as often as it was pressed", () => {
    const receiver = new Receiver();
    for (let i = 0; i < 3; i++) {
      for (const packet of press("5", 8000 * i)) receiver.packet(packet);
      receiver.wait(500);
    }
    assert.equal(receiver.text, "555");
  });

  it("bears any loss that leaves one packet of the press", () => {
    const all = press("7", 5000);
    for (let kept = 1; kept < 1 << all.length; kept++) {
      const receiver = new Receiver();
      for (const [index, packet] of all.entries()) {
        if ((kept & (1 << index)) !== 0) receiver.packet(packet);
        receiver.wait(20);
      }
      receiver.wait(EVENT_TIMEOUT_MS + 40);
      assert.equal(receiver.text, "7", `kept ${kept.toString(2)}`);
    }
  });

  it("bears doubled and reordered packets", () => {
    const random = new SeededRandom(7);
    for (let round = 0; round < 200; round++) {
      const receiver = new Receiver();
      for (const [index, digit] of [..."147*"].entries()) {
        const packets = press(digit, index * 4000).flatMap((packet) => [packet, packet]);
        packets.sort(() => random.next() - 0.5);
        for (const packet of packets) receiver.packet(packet);
        receiver.wait(300);
      }
      assert.equal(receiver.text, "147*");
    }
  });

  it("reports the digit before when the next begins without its end", () => {
    const receiver = new Receiver();
    receiver.packet({ timestamp: 0, event: 1, end: false, duration: 480 });
    receiver.packet({ timestamp: 4000, event: 2, end: true, duration: 800 });
    assert.deepEqual(receiver.digits, [
      { digit: "1", duration: 60 },
      { digit: "2", duration: 100 },
    ]);
  });

  it("does not report again what comes after it gave up waiting", () => {
    const receiver = new Receiver();
    receiver.packet({ timestamp: 0, event: 1, end: false, duration: 160 });
    receiver.wait(EVENT_TIMEOUT_MS + 40);
    receiver.packet({ timestamp: 0, event: 1, end: true, duration: 8000 });
    assert.equal(receiver.text, "1");
  });

  it("ignores late packets of an earlier press", () => {
    const receiver = new Receiver();
    for (const packet of press("1", 0)) receiver.packet(packet);
    for (const packet of press("2", 4000)) receiver.packet(packet);
    receiver.packet(press("1", 0)[0]);
    receiver.wait(1000);
    assert.equal(receiver.text, "12");
  });

  it("goes on over the wrap of the timestamp", () => {
    const receiver = new Receiver();
    for (const packet of press("1", 0xffff_ff00)) receiver.packet(packet);
    for (const packet of press("2", 0x0000_1000)) receiver.packet(packet);
    assert.equal(receiver.text, "12");
  });

  it("adds up the segments of a press that outlasts the counter", () => {
    const receiver = new Receiver();
    receiver.packet({ timestamp: 0, event: 9, end: false, duration: 0xffff });
    receiver.packet({ timestamp: 0xffff, event: 9, end: false, duration: 160 });
    receiver.packet({ timestamp: 0xffff, event: 9, end: true, duration: 800 });
    assert.deepEqual(receiver.digits, [{ digit: "9", duration: Math.round((0xffff + 800) / 8) }]);
  });

  it("keeps one number of a press that never ends, and reports it when its packets stop", () => {
    const receiver = new Receiver();
    for (let segment = 0; segment < 1_000; segment++) {
      const timestamp = (segment * 0xffff) >>> 0;
      receiver.packet({ timestamp, event: 9, end: false, duration: 0xffff });
      receiver.wait(200);
    }
    assert.equal(receiver.text, "");
    receiver.wait(EVENT_TIMEOUT_MS + 40);
    assert.equal(receiver.text, "9");
  });

  it("begins anew when the source changed", () => {
    const receiver = new Receiver();
    receiver.packet({ timestamp: 90_000, event: 1, end: false, duration: 160 });
    receiver.reset();
    assert.equal(receiver.text, "1");
    for (const packet of press("2", 80_000)) receiver.packet(packet);
    assert.equal(receiver.text, "12");
  });

  it("ignores events that are no digits, and short payloads", () => {
    const receiver = new Receiver();
    assert.equal(receiver.raw(Buffer.from([16, 0x80, 0, 160]), 0), false);
    assert.equal(receiver.raw(Buffer.from([255, 0x80, 0, 160]), 0), false);
    assert.equal(receiver.raw(Buffer.from([1, 0x80, 0]), 0), false);
    assert.equal(receiver.text, "");
  });

  it("does not report more digits than a peer could honestly send", () => {
    const receiver = new Receiver();
    for (let i = 1; i <= 5000; i++) {
      receiver.packet({ timestamp: i * 300_000, event: i % 10, end: true, duration: 160 });
    }
    assert.ok(receiver.digits.length <= 30, String(receiver.digits.length));
  });

  it("finds 100 % at 10 % loss and 99.5 % at 30 %", () => {
    for (const [loss, wanted] of [
      [0.1, 1],
      [0.3, 0.995],
    ]) {
      const random = new SeededRandom(4733);
      const receiver = new Receiver();
      const total = 2000;
      for (let i = 0; i < total; i++) {
        for (const packet of press(EVENT_DIGITS.charAt(i % 16), i * 8000)) {
          if (random.next() >= loss) receiver.packet(packet);
          receiver.wait(20);
        }
        receiver.wait(EVENT_TIMEOUT_MS);
      }
      assert.ok(receiver.digits.length <= total);
      assert.ok(receiver.digits.length >= total * wanted, `${receiver.digits.length} at ${loss}`);
    }
  });
});
