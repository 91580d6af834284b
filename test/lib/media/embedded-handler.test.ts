import assert from "node:assert/strict";
import { EmbeddedMediaHandler } from "../../../lib/media/index.js";
import type {
  DigitEvent,
  MediaSession,
  MediaSessionContext,
} from "../../../lib/session/media-handler.js";
import { pause, RtpPhone, toneFrequency, wavOfTone } from "../../support/rtp-phone.js";

interface Call {
  readonly session: MediaSession;
  readonly phone: RtpPhone;
  readonly digits: DigitEvent[];
  readonly errors: Error[];
}

describe("EmbeddedMediaHandler on loopback", function () {
  this.timeout(20_000);
  let handler: EmbeddedMediaHandler;
  const phones: RtpPhone[] = [];

  before(async () => {
    handler = new EmbeddedMediaHandler({ portMin: 21_000, portMax: 21_999 });
    await handler.start();
  });

  afterEach(async () => {
    await Promise.all(phones.splice(0).map((phone) => phone.close()));
  });

  after(async () => {
    await handler.close();
  });

  async function call(): Promise<Call> {
    const phone = await RtpPhone.open();
    phones.push(phone);
    const digits: DigitEvent[] = [];
    const errors: Error[] = [];
    const context: MediaSessionContext = {
      sessionId: "test",
      localAddress: "127.0.0.1",
      remoteAddress: "127.0.0.1",
      events: {
        onDigit: (event) => digits.push(event),
        onMediaTimeout: () => undefined,
        onError: (error) => errors.push(error),
      },
    };
    const session = handler.createSession(context);
    phone.connectTo(await session.answer(phone.description()));
    session.start();
    return { session, phone, digits, errors };
  }

  it("plays a WAV of 440 Hz that is heard as 440 Hz without loss, 20 ms apart", async () => {
    const { session, phone } = await call();
    const playback = await session.audio?.play({ kind: "buffer", data: wavOfTone(440, 1000) });
    assert.equal(await playback?.done, "completed");
    await pause(50);
    await session.close();
    const heard = phone.samples();
    const start = heard.findIndex((sample) => Math.abs(sample) > 1000);
    const frequency = toneFrequency(heard.slice(start + 100, start + 7800));
    assert.ok(Math.abs(frequency - 440) < 2, `heard ${frequency} Hz`);
    assert.equal(phone.packetsLost, 0);
    const packets = phone.packets;
    const spacing =
      (packets[packets.length - 1].arrival - packets[0].arrival) / (packets.length - 1);
    assert.ok(Math.abs(spacing - 20) < 1, `mean spacing ${spacing} ms`);
  });
});
