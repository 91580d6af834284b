/**
 * A live call of a foreign telephone (bare datagrams) with the real nodes, library and worker: its codec changes in the
 * middle, and everything bad comes in: sounds that are none, packets that lie, descriptions that cannot be. Each time the
 * flow is told clearly, and the call goes on where it can.
 */
import assert from "node:assert/strict";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import helper from "node-red-node-test-helper";
import { audioCodec, loadCodecs } from "../../lib/media/codec/codecs.js";
import { RTP_HEADER_LENGTH } from "../../lib/media/rtp/rtp-packet.js";
import { onceMoreWhenDisturbed } from "../support/disturbance.js";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";
import { pause } from "../support/node-red.js";
import { heardTone } from "../support/peers/heard.js";
import { type PhoneCall, RawPhone } from "../support/raw-phone.js";
import { RtpPhone, toneAmplitude, wavOfTone } from "../support/rtp-phone.js";
import { SeededRandom } from "../support/seeded-random.js";

const FLOW: FlowEntry[] = [
  stack({
    transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }],
    rtpPortMin: 20_000,
    rtpPortMax: 20_098,
  }),
  { id: "in", type: "sip-incoming", stack: "stack", ring: false },
  { id: "ans", type: "sip-accept" },
  { id: "out", type: "sip-invite", stack: "stack", to: "to", toType: "msg" },
  { id: "play", type: "sip-play" },
  { id: "rec", type: "sip-record", terminator: "" },
  { id: "full", type: "sip-record", target: "/dev/full" },
  { id: "get", type: "sip-gather", max: 1, firstDigitTimeout: 4 },
  { id: "ev", type: "sip-event", stack: "stack", events: "updated,dtmf" },
];

/** Of each codec that a peer may offer here: number in its descriptions, lines about it. */
const FORMATS = {
  PCMU: { type: 0, line: "a=rtpmap:0 PCMU/8000" },
  G722: { type: 9, line: "a=rtpmap:9 G722/8000" },
  OPUS: { type: 111, line: "a=rtpmap:111 opus/48000/2" },
} as const;
type Format = keyof typeof FORMATS;

describe("a live call", function () {
  this.timeout(20_000);
  beforeEach(onceMoreWhenDisturbed);
  useNodeRed();
  let bench: NodeBench;
  let folder: string;
  let phone: RawPhone;
  let rtp: RtpPhone;
  let call: PhoneCall | undefined;
  let session: string;
  /** Where our side wants RTP. */
  let port: number;

  beforeEach(async () => {
    bench = new NodeBench();
    folder = mkdtempSync(join(tmpdir(), "bad-sound-"));
    helper.settings({ userDir: folder, sipMediaDir: folder } as never);
    await bench.loadReal(FLOW);
    const node = bench.node("stack") as unknown as {
      userAgent?: { running: boolean; bound: { port: number }[] };
    };
    await until(() => node.userAgent?.running === true, "the stack to run");
    phone = await RawPhone.open(node.userAgent?.bound[0].port ?? 0);
    rtp = await RtpPhone.open();
  });

  afterEach(async () => {
    if (call !== undefined) await hangUp(call);
    call = undefined;
    await rtp.close();
    phone.close();
    await bench.unload();
    rmSync(folder, { recursive: true });
  });

  async function until(condition: () => boolean, what: string, limitMs = 8000): Promise<void> {
    const end = Date.now() + limitMs;
    while (!condition()) {
      if (Date.now() > end) {
        const caught = bench.of("caught").map(({ error }) => (error as Error).message);
        assert.fail(`no ${what}; ${bench.order().join(" ")} ${caught.join("; ")}`);
      }
      await pause(10);
    }
  }

  /** A description of the telephone with these lines behind the session's. */
  function description(...lines: string[]): string {
    const head = ["v=0", "o=phone 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"];
    return [...head, ...lines, ""].join("\r\n");
  }

  const sound = (format: Format): string =>
    description(
      `m=audio ${rtp.port} RTP/AVP ${FORMATS[format].type} 101`,
      FORMATS[format].line,
      "a=rtpmap:101 telephone-event/8000",
    );

  /** The telephone calls and is answered. */
  async function talk(body: string): Promise<void> {
    call = phone.invite("door", { body });
    await until(() => bench.of("in:1").length > 0, "call");
    bench.send("ans", bench.of("in:1")[0]);
    const answer = await phone.final(call);
    assert.equal(answer.status, 200);
    rtp.connectTo(answer.body);
    port = Number(/^m=audio (\d+)/m.exec(answer.body)?.[1]);
    await until(() => bench.of("ans:1").length > 0, "answer");
    session = (bench.only("ans:1").sip as { session: string }).session;
    bench.clear();
  }

  async function hangUp(ended: PhoneCall): Promise<void> {
    phone.request(ended, "BYE");
    await phone.answered(200, "BYE");
  }

  const to = (id: string, msg: Record<string, unknown> = {}): void =>
    bench.send(id, { ...msg, sip: { session } });

  /** The telephone says something else from now on. @returns the status of the answer. */
  async function reoffer(body: string): Promise<number> {
    assert.ok(call);
    phone.request(call, "INVITE", { body, contentType: "application/sdp" });
    return (await phone.final(call)).status;
  }

  /** The telephone speaks a tone until the function that it returns is called. */
  function speaks(format: Format, frequency: number): () => void {
    const codec = audioCodec(format);
    assert.ok(codec);
    const encoder = codec.createEncoder();
    const count = codec.sampleRate / 50;
    const samples = new Int16Array(count);
    const payload = Buffer.alloc(codec.maximumBytes(20));
    const start = performance.now();
    let sent = 0;
    const timer = setInterval(() => {
      for (; sent < Math.floor((performance.now() - start) / 20); sent++) {
        for (let i = 0; i < count; i++) {
          const phase = (2 * Math.PI * frequency * (sent * count + i)) / codec.sampleRate;
          samples[i] = Math.round(Math.sin(phase) * 10_000);
        }
        const length = encoder.encode(samples, count, payload, 0);
        rtp.send(FORMATS[format].type, Buffer.from(payload.subarray(0, length)), {
          timestamp: rtp.timestamp,
        });
        rtp.timestamp = (rtp.timestamp + codec.clockRate / 50) >>> 0;
      }
    }, 20);
    return () => {
      clearInterval(timer);
      encoder.close();
    };
  }

  /** What the telephone got in that codec, as a WAV. */
  async function heardBy(format: Format): Promise<Buffer> {
    const codec = audioCodec(format);
    assert.ok(codec);
    const decoder = codec.createDecoder();
    // That of Opus is made in a promise.
    await pause(20);
    const frame = new Int16Array(codec.sampleRate / 5);
    const wav = wavOfTone(0, 0, { sampleRate: codec.sampleRate });
    const pieces = rtp.packets
      .filter(({ payloadType }) => payloadType === FORMATS[format].type)
      .map(({ payload }) => {
        const count = decoder.decode(payload, 0, payload.length, frame);
        return Buffer.from(new Uint8Array(frame.slice(0, count).buffer));
      });
    decoder.close();
    return Buffer.concat([wav, ...pieces]);
  }

  it("goes on when its codec changes: the file is heard to its end, the recording keeps its rate", async () => {
    await loadCodecs(["OPUS"]);
    writeFileSync(join(folder, "tone.wav"), wavOfTone(500, 3600, { sampleRate: 16_000 }));
    await talk(sound("PCMU"));
    to("rec", { options: { channels: "stereo" } });
    to("play", { payload: "tone.wav" });
    for (const format of ["PCMU", "G722", "OPUS"] as const) {
      if (format !== "PCMU") assert.equal(await reoffer(sound(format)), 200);
      const hush = speaks(format, 900);
      await pause(1200);
      hush();
    }
    await until(() => bench.of("play:1").length > 0, "end of the sound");
    assert.equal(bench.only("play:1").payload, "completed");
    assert.equal(rtp.packetsLost, 0);
    const media = bench.of("ev:1").filter(({ topic }) => topic === "updated");
    assert.deepEqual(
      media.map(({ sip }) => (sip as { media: { codec: string }[] }).media[0].codec),
      ["G722", "opus"],
    );
    to("rec", { control: "stop" });
    await until(() => bench.of("rec:1").length > 0, "recording");
    const wav = bench.only("rec:1").payload as Buffer;
    assert.equal(wav.readUInt32LE(24), 8000);
    const tone = { level: 10_000 / 32_768, judged: 0.5 };
    for (const [heard, where] of [
      [heardTone(wav, { ...tone, frequency: 900, judged: 2.5 }), "left"],
      [heardTone(wav, { ...tone, frequency: 500, judged: 2.5 }, 1), "right"],
      [heardTone(await heardBy("PCMU"), { ...tone, frequency: 500 }), "PCMU"],
      [heardTone(await heardBy("G722"), { ...tone, frequency: 500 }), "G722"],
      [heardTone(await heardBy("OPUS"), { ...tone, frequency: 500 }), "opus"],
    ] as const) {
      const shown = `${where}: ${JSON.stringify(heard)}`;
      const frequency = where === "left" ? 900 : 500;
      assert.ok(Math.abs(heard.frequency / frequency - 1) < 0.01, shown);
      assert.ok(Math.abs(heard.decibels) < 1, shown);
      // Where the codec of the peer changes, its buffer fills anew.
      assert.ok(heard.gap <= (where === "left" ? 120 : 40), shown);
    }
    assert.deepEqual(bench.of("caught"), []);
  });

  it("says that the disk is full, and goes on", async () => {
    await talk(sound("PCMU"));
    to("full");
    await until(() => bench.of("caught").length > 0, "error");
    const { code, message } = bench.only("caught").error as { code: string; message: string };
    assert.equal(code, "record-failed");
    assert.match(message, /ENOSPC/);
    await hearsUs();
  });

  it("has all of its recording in the file when the flows are stopped in the middle", async () => {
    await talk(sound("PCMU"));
    const hush = speaks("PCMU", 900);
    to("rec", { options: { target: "stopped.wav" } });
    await until(() => existsSync(join(folder, "stopped.wav")), "file");
    const begin = performance.now();
    // The header is written each second: without the last word nine tenths of a second would be missing.
    await pause(1900);
    const lasted = (performance.now() - begin) / 1000;
    const stopped = bench.unload();
    phone.reply(await phone.comes("BYE"), 200);
    await stopped;
    hush();
    call = undefined;
    const wav = readFileSync(join(folder, "stopped.wav"));
    assert.equal(wav.readUInt32LE(40), wav.length - 44);
    const seconds = (wav.length - 44) / 16_000;
    // On a busy machine the thread may have stood still for a moment.
    assert.ok(Math.abs(seconds - lasted) < 0.5, `${seconds} of ${lasted} s`);
    const heard = heardTone(wav, { frequency: 900, level: 10_000 / 32_768, judged: 0.5 });
    assert.ok(heard.gap <= 40, JSON.stringify(heard));
  });

  /** What comes out of `sip-play`: `played …` or the code of its error. */
  async function played(payload: unknown): Promise<string> {
    bench.clear();
    to("play", { payload });
    await until(() => bench.of("play:1").length + bench.of("caught").length > 0, "end of a sound");
    const [done] = bench.of("play:1");
    if (done) return `played ${String(done.payload)}`;
    return (bench.only("caught").error as { code: string }).code;
  }

  /** The telephone still hears what is played to it. */
  async function hearsUs(): Promise<void> {
    rtp.packets.length = 0;
    assert.equal(await played(wavOfTone(700, 300)), "played completed");
    assert.ok(toneAmplitude(rtp.samples(), 700) > 3000, "the tone is not there");
  }

  describe("with sounds that are none", () => {
    const asFile = (name: string, data: Buffer): string => {
      writeFileSync(join(folder, name), data);
      return name;
    };
    const sparse = (name: string, head: Buffer): string => {
      const path = join(folder, name);
      const file = openSync(path, "w");
      writeSync(file, head);
      closeSync(file);
      truncateSync(path, 2 ** 31 + 2 ** 20);
      return name;
    };

    it("says what is wrong with files and Buffers, and plays on", async () => {
      await talk(sound("PCMU"));
      const tone = wavOfTone(700, 400);
      const noise = Buffer.from(Array.from({ length: 4000 }, (_, i) => (i * 7919) & 0xff));
      const expected: [string, unknown, string][] = [
        ["a WAV that is cut in its samples", tone.subarray(0, 3001), "played completed"],
        ["a WAV that is cut in its header", tone.subarray(0, 30), "unsupported-audio"],
        ["a WAV of a header alone", tone.subarray(0, 44), "played completed"],
        ["an MP3 that is none", asFile("none.mp3", noise), "unsupported-audio"],
        [
          "a tag without MP3",
          Buffer.concat([Buffer.from("ID3\x04\0\0\0\0\x7f\x7f"), noise]),
          "unsupported-audio",
        ],
        ["an Ogg that is none", Buffer.concat([Buffer.from("OggS"), noise]), "unsupported-audio"],
        ["an empty file", asFile("empty.wav", Buffer.alloc(0)), "unsupported-audio"],
        ["an empty Buffer", Buffer.alloc(0), "unsupported-audio"],
        ["a file that is missing", "missing.wav", "no-file"],
        ["a folder", ".", "no-file"],
      ];
      for (const [name, payload, outcome] of expected)
        assert.equal(await played(payload), outcome, name);
      await hearsUs();
    });

    it("reads a file of 2 GB piece by piece, and one that is none not at all", async () => {
      await talk(sound("PCMU"));
      const header = wavOfTone(700, 1000);
      header.writeUInt32LE(0x7fff_fff0, 4);
      header.writeUInt32LE(0x7fff_ff00, 40);
      const long = sparse("long.wav", header);
      const none = sparse("none.wav", Buffer.from("nothing"));
      await hearsUs();
      const before = process.memoryUsage().rss;
      assert.equal(await played(none), "unsupported-audio");
      bench.clear();
      rtp.packets.length = 0;
      to("play", { payload: long });
      await rtp.until(() => rtp.packets.length > 60);
      assert.ok(toneAmplitude(rtp.samples().subarray(1600, 4800), 700) > 8000);
      to("play", { control: "stop" });
      await until(() => bench.of("play:1").length > 0, "end of the file");
      assert.equal(bench.only("play:1").payload, "stopped");
      const more = process.memoryUsage().rss - before;
      assert.ok(more < 60e6, `${more} bytes`);
      await hearsUs();
    });

    describe("from a server", () => {
      let server: Server;
      let base: string;
      let sent = 0;

      before(async () => {
        server = createServer((request, response) => {
          const piece = Buffer.alloc(65_536);
          switch (request.url) {
            case "/page":
              response.end("<html>Not found</html>");
              break;
            case "/cut":
              response.writeHead(200, { "content-length": "5000" });
              response.write(wavOfTone(700, 200).subarray(0, 1000));
              setTimeout(() => response.destroy(), 50);
              break;
            case "/huge":
              response.writeHead(200, { "content-length": String(2 ** 31) });
              response.write(piece);
              break;
            case "/endless": {
              const more = (): void => {
                while (!response.destroyed && response.write(piece)) sent += piece.length;
              };
              response.on("drain", more);
              more();
              break;
            }
            default:
              response.writeHead(404).end();
          }
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      });

      after(() => {
        server.closeAllConnections();
        server.close();
      });

      it("says what is wrong, loads 20 MB at most, and plays on", async () => {
        await talk(sound("PCMU"));
        const before = process.memoryUsage().rss;
        const begin = Date.now();
        for (const [path, outcome, text] of [
          ["/missing", "bad-url", /404/],
          ["/page", "unsupported-audio", /WAV/],
          ["/cut", "bad-url", /./],
          ["/huge", "bad-url", /20 MB/],
          ["/endless", "bad-url", /20 MB/],
        ] as const) {
          assert.equal(await played(`${base}${path}`), outcome, path);
          assert.match((bench.only("caught").error as Error).message, text);
        }
        assert.ok(Date.now() - begin < 8000, `${Date.now() - begin} ms`);
        assert.ok(sent < 40 * 2 ** 20, `${sent} bytes`);
        const more = process.memoryUsage().rss - before;
        assert.ok(more < 150e6, `${more} bytes`);
        await hearsUs();
      });
    });
  });

  describe("with packets that lie", () => {
    /** An RTP packet of that first byte and so many bytes behind its header. */
    function packet(first: number, length: number, fill: (index: number) => number): Buffer {
      const made = Buffer.alloc(RTP_HEADER_LENGTH + length);
      for (let i = 0; i < length; i++) made[RTP_HEADER_LENGTH + i] = fill(i);
      made[0] = first;
      return made;
    }

    for (const format of ["PCMU", "G722", "OPUS"] as const) {
      it(`still hears tone and keys, and is heard (${format})`, async () => {
        await loadCodecs(["OPUS"]);
        await talk(sound(format));
        const hush = speaks(format, 900);
        await rtp.until(() => rtp.packets.length > 5);
        const random = new SeededRandom(7);
        const byte = (): number => random.bytes(1)[0] ?? 0;
        const { type } = FORMATS[format];
        let lies = 0;
        const lie = (datagram: Buffer): void => {
          if (datagram.length > 1) datagram[1] = type;
          if (datagram.length >= RTP_HEADER_LENGTH) {
            // Of the source that is listened to, so that it is looked into.
            datagram.writeUInt16BE(rtp.sequenceNumber, 2);
            rtp.sequenceNumber = (rtp.sequenceNumber + 1) & 0xffff;
            datagram.writeUInt32BE((rtp.timestamp + 160 * (lies++ % 50)) >>> 0, 4);
            datagram.writeUInt32BE(rtp.ssrc, 8);
          }
          rtp.sendRaw(datagram);
        };
        for (let length = 0; length < RTP_HEADER_LENGTH; length++) lie(Buffer.alloc(length, 0x80));
        // Padding, an extension and contributing sources that are longer than the packet; other versions.
        for (const first of [0xa0, 0x90, 0x8f, 0xbf, 0x00, 0x40, 0xc0])
          for (const length of [0, 1, 4, 20, 160]) lie(packet(first, length, () => 0xff));
        // Sounds that are none, of any length.
        for (let i = 0; i < 60; i++) lie(packet(0x80, i * 7, byte));
        for (const length of [1500, 9000, 60_000]) lie(packet(0x80, length, byte));
        await pause(200);
        hush();
        // Reports: none at all, lengths that lie, blocks that are not there, a BYE of everybody.
        for (let i = 0; i < 200; i++) {
          const report = Buffer.from(Array.from({ length: 4 + (i % 60) }, byte));
          report[0] = 0x80 | (i & 0x3f);
          report[1] = 200 + (i % 8);
          rtp.connect("127.0.0.1", port + (i & 1));
          rtp.sendRaw(report);
        }
        rtp.connect("127.0.0.1", port);
        bench.clear();
        to("rec");
        const again = speaks(format, 900);
        rtp.packets.length = 0;
        to("play", { payload: wavOfTone(500, 1500) });
        await until(() => bench.of("play:1").length > 0, "end of the sound");
        again();
        to("rec", { control: "stop" });
        await until(() => bench.of("rec:1").length > 0, "recording");
        const wav = bench.only("rec:1").payload as Buffer;
        const tone = { frequency: 900, level: 10_000 / 32_768, judged: 0.8 };
        const heard = heardTone(wav, tone);
        assert.ok(Math.abs(heard.frequency / 900 - 1) < 0.01, JSON.stringify(heard));
        assert.ok(heard.gap <= 40, JSON.stringify(heard));
        const ours = { frequency: 500, level: 10_000 / 32_768, judged: 0.8 };
        assert.ok(heardTone(await heardBy(format), ours).gap <= 40);
        to("get");
        await rtp.sendDigit("5");
        await until(() => bench.of("get:1").length > 0, "digit");
        assert.equal(bench.only("get:1").payload, "5");
        assert.deepEqual(bench.of("caught"), []);
      });
    }
  });

  describe("with descriptions that cannot be", () => {
    const audio = (): string => `m=audio ${rtp.port} RTP/AVP 0`;
    const VIDEO = ["m=video 5004 RTP/AVP 96", "a=rtpmap:96 H264/90000"];
    const FAX = ["m=image 5006 udptl t38", "a=T38FaxVersion:0"];

    it("answers 488 to a call that it cannot hear, and takes what it can of others", async () => {
      const offers: [string, string[], number, RegExp?][] = [
        ["port 0", ["m=audio 0 RTP/AVP 0"], 488],
        ["unknown formats", [`m=audio ${rtp.port} RTP/AVP 18 98`, "a=rtpmap:98 AMR/8000"], 488],
        [
          "digits alone",
          [`m=audio ${rtp.port} RTP/AVP 101`, "a=rtpmap:101 telephone-event/8000"],
          488,
        ],
        ["video alone", VIDEO, 488],
        ["fax alone", FAX, 488],
        ["no streams", [], 488],
        ["no description", ["m=audio x RTP/AVP 0"], 400],
        [
          "sound, video and fax",
          [...VIDEO, audio(), ...FAX],
          200,
          /m=video 0 RTP\/AVP 96\r\n[^]*m=audio [1-9]\d* RTP\/AVP 0\r\n[^]*m=image 0 udptl t38\r\n/,
        ],
        [
          "a format that is known behind others",
          [`m=audio ${rtp.port} RTP/AVP 18 3 0`],
          200,
          /RTP\/AVP 0\r\n/,
        ],
      ];
      for (const [name, lines, status, body] of offers) {
        bench.clear();
        const made = phone.invite("door", { body: description(...lines) });
        await until(() => bench.of("in:1").length > 0, name);
        bench.send("ans", bench.of("in:1")[0]);
        const answer = await phone.final(made);
        assert.equal(answer.status, status, `${name}: ${answer.text}`);
        if (body) assert.match(answer.body, body, name);
        if (status === 200) await hangUp(made);
        else {
          await until(() => bench.of("ans:2").length > 0, `${name} as refused`);
          assert.equal(bench.only("ans:2").payload, status, name);
          await until(() => bench.of("in:2").length > 0, `end of ${name}`);
        }
      }
    });

    it("ends a call of ours that is answered with what it cannot hear", async () => {
      const answers: [string, string[]][] = [
        ["port 0", ["m=audio 0 RTP/AVP 0"]],
        ["a format that was not offered", [`m=audio ${rtp.port} RTP/AVP 18`]],
        ["video in place of sound", VIDEO],
        ["a stream too many", [audio(), ...VIDEO]],
        ["nothing", []],
        ["no description", ["m=audio x RTP/AVP 0"]],
      ];
      for (const [name, lines] of answers) {
        bench.clear();
        bench.send("out", { to: phone.uri });
        const invite = await phone.comes("INVITE");
        phone.reply(invite, 200, { body: description(...lines) });
        await phone.comes("ACK");
        phone.reply(await phone.comes("BYE"), 200);
        await until(() => bench.of("out:3").length > 0, `end of ${name}`);
        const { sip } = bench.only("out:3") as { sip: { cause: string } };
        assert.match(sip.cause, /^(incompatible|bad)-media$/, name);
        assert.deepEqual(bench.of("out:1"), [], name);
      }
    });

    it("refuses a re-INVITE that would leave it without sound it knows, and goes on as before", async () => {
      await talk(sound("PCMU"));
      const hush = speaks("PCMU", 900);
      for (const [name, lines, status] of [
        ["unknown formats", [`m=audio ${rtp.port} RTP/AVP 18`], 488],
        ["fax in place of sound", FAX, 488],
        ["video without the sound", ["m=audio 0 RTP/AVP 0", ...VIDEO], 488],
        ["no description", ["v=1", "m=audio"], 400],
      ] as const) {
        assert.equal(await reoffer(description(...lines)), status, name);
        await hearsUs();
      }
      const withVideo = description(
        `m=audio ${rtp.port} RTP/AVP 0 101`,
        "a=rtpmap:101 telephone-event/8000",
        ...VIDEO,
      );
      assert.equal(await reoffer(withVideo), 200);
      await hearsUs();
      // Port 0: the sound is over for now, the call is not.
      assert.equal(await reoffer(description("m=audio 0 RTP/AVP 0", "m=video 0 RTP/AVP 96")), 200);
      bench.clear();
      to("play", { payload: wavOfTone(700, 100) });
      await until(() => bench.of("caught").length + bench.of("play:1").length > 0, "an answer");
      assert.equal((bench.only("caught").error as { code: string }).code, "no-media");
      assert.equal(await reoffer(withVideo), 200);
      await hearsUs();
      hush();
    });
  });
});
