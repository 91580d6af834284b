import assert from "node:assert/strict";
import {
  acceptAnswer,
  allowed,
  answerOffer,
  capabilitiesOf,
  createOffer,
  mirrored,
  parseSdp,
  unknownCodecs,
  withoutCodecs,
  writeSdpBody,
} from "../../../lib/sdp/index.js";
import type {
  Capabilities,
  LocalStream,
  NegotiatedStream,
  PreviousExchange,
  SdpCodec,
  SdpDescription,
  SdpDirection,
  SdpMedia,
} from "../../../lib/sdp/index.js";

function description(...lines: string[]): SdpDescription {
  const result = parseSdp(
    [
      "v=0",
      "o=alice 1 1 IN IP4 192.0.2.1",
      "s=-",
      "c=IN IP4 192.0.2.1",
      "t=0 0",
      ...lines,
      "",
    ].join("\r\n"),
  );
  assert.ok(result.ok);
  return result.sdp;
}

function local(codecs = "PCMU,PCMA", direction: SdpDirection = "sendrecv"): LocalStream {
  return {
    capabilities: capabilitiesOf(codecs.split(",")),
    address: "198.51.100.1",
    port: 10_000,
    direction,
  };
}

/** `audio 10000 0 101 sendrecv` for each m-line. */
function shown(media: readonly SdpMedia[]): string[] {
  return media.map(({ kind, port, formats, direction }) =>
    port === 0 ? `${kind} 0` : `${kind} ${port} ${formats.join(" ")} ${direction}`,
  );
}

function answered(
  offer: SdpDescription,
  side: LocalStream = local(),
  previous?: PreviousExchange,
): { lines: string[]; stream: NegotiatedStream | undefined; media: readonly SdpMedia[] } {
  const result = answerOffer(offer, side, previous);
  assert.ok(result.ok, result.ok ? "" : result.reason);
  return { lines: shown(result.media), stream: result.stream, media: result.media };
}

function previousOf(
  media: readonly SdpMedia[],
  stream: NegotiatedStream | undefined,
  remote: readonly SdpCodec[] = [],
): PreviousExchange {
  const payloadTypes = new Map<number, SdpCodec>();
  for (const codec of [...media.flatMap((line) => line.codecs), ...remote]) {
    payloadTypes.set(codec.payloadType, codec);
  }
  return { localMedia: media, stream, payloadTypes };
}

const EVENTS = "a=rtpmap:101 telephone-event/8000";

describe("answerOffer", () => {
  const CASES: { name: string; offer: string[]; codecs?: string; expected: string[] }[] = [
    {
      name: "RFC 3264 §10.1: audio taken, both videos refused in their places",
      offer: [
        "m=audio 49170 RTP/AVP 0",
        "a=rtpmap:0 PCMU/8000",
        "m=video 51372 RTP/AVP 31",
        "m=video 53000 RTP/AVP 32",
      ],
      expected: ["audio 10000 0 sendrecv", "video 0", "video 0"],
    },
    {
      name: "RFC 3264 §10.2: one of several codecs",
      offer: ["m=audio 62986 RTP/AVP 0 4 18"],
      expected: ["audio 10000 0 sendrecv"],
    },
    {
      name: "RFC 4317 §2.1: PCMU, PCMA and iLBC with two video codecs",
      offer: [
        "m=audio 49170 RTP/AVP 0 8 97",
        "a=rtpmap:97 iLBC/8000",
        "m=video 51372 RTP/AVP 31 32",
      ],
      expected: ["audio 10000 0 sendrecv", "video 0"],
    },
    {
      name: "RFC 4317 §2.4: events in a stream of their own stay unused",
      offer: [
        "m=audio 49170 RTP/AVP 0 97",
        "a=rtpmap:97 iLBC/8000",
        "m=audio 49172 RTP/AVP 98",
        "a=rtpmap:98 telephone-event/8000",
        "a=sendonly",
      ],
      expected: ["audio 10000 0 sendrecv", "audio 0"],
    },
    {
      name: "RFC 4317 §3.1: hold",
      offer: ["m=audio 49170 RTP/AVP 0", "a=sendonly"],
      expected: ["audio 10000 0 recvonly"],
    },
    {
      name: "our preference decides among common codecs",
      offer: ["m=audio 4 RTP/AVP 0 8"],
      codecs: "PCMA,PCMU",
      expected: ["audio 10000 8 sendrecv"],
    },
    {
      name: "unless the offer has only the other",
      offer: ["m=audio 4 RTP/AVP 0"],
      codecs: "PCMA,PCMU",
      expected: ["audio 10000 0 sendrecv"],
    },
    {
      name: "codec names are compared without case, dynamic numbers kept",
      offer: ["m=audio 4 RTP/AVP 96", "a=rtpmap:96 pcma/8000/1"],
      expected: ["audio 10000 96 sendrecv"],
    },
    {
      name: "telephone-event keeps the offered number",
      offer: ["m=audio 4 RTP/AVP 8 96", "a=rtpmap:96 telephone-event/8000", "a=fmtp:96 0-16"],
      expected: ["audio 10000 8 96 sendrecv"],
    },
    {
      name: "telephone-event of the codec's clock rate is chosen",
      offer: [
        "m=audio 4 RTP/AVP 111 110 0 101",
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:110 telephone-event/48000",
        EVENTS,
      ],
      expected: ["audio 10000 0 101 sendrecv"],
    },
    {
      name: "telephone-event of another clock rate alone is left out",
      offer: [
        "m=audio 4 RTP/AVP 111 110 0",
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:110 telephone-event/48000",
      ],
      expected: ["audio 10000 0 sendrecv"],
    },
    {
      name: "a secured m-line is refused beside an open one",
      offer: ["m=audio 4 RTP/SAVP 0", "m=audio 6 RTP/AVP 0"],
      expected: ["audio 0", "audio 10000 0 sendrecv"],
    },
    {
      name: "RTP/AVPF is taken",
      offer: ["m=audio 4 RTP/AVPF 0"],
      expected: ["audio 10000 0 sendrecv"],
    },
    {
      name: "only the first of two audio streams is taken",
      offer: ["m=audio 4 RTP/AVP 8", "m=audio 6 RTP/AVP 0"],
      expected: ["audio 10000 8 sendrecv", "audio 0"],
    },
    {
      name: "a disabled m-line and fax stay refused",
      offer: ["m=audio 0 RTP/AVP 0", "m=image 9 udptl t38", "m=audio 6 RTP/AVP 0"],
      expected: ["audio 0", "image 0", "audio 10000 0 sendrecv"],
    },
  ];
  for (const { name, offer, codecs, expected } of CASES) {
    it(name, () => {
      assert.deepEqual(answered(description(...offer), local(codecs)).lines, expected);
    });
  }

  const DIRECTIONS: [string, SdpDirection, SdpDirection, SdpDirection][] = [
    ["192.0.2.1", "sendrecv", "sendrecv", "sendrecv"],
    ["192.0.2.1", "sendonly", "sendrecv", "recvonly"],
    ["192.0.2.1", "recvonly", "sendrecv", "sendonly"],
    ["192.0.2.1", "inactive", "sendrecv", "inactive"],
    ["192.0.2.1", "sendrecv", "sendonly", "sendonly"],
    ["192.0.2.1", "sendonly", "sendonly", "inactive"],
    ["192.0.2.1", "recvonly", "sendonly", "sendonly"],
    ["192.0.2.1", "sendrecv", "inactive", "inactive"],
    ["0.0.0.0", "sendrecv", "sendrecv", "recvonly"],
    ["0.0.0.0", "sendonly", "sendrecv", "recvonly"],
    ["0.0.0.0", "inactive", "sendrecv", "inactive"],
  ];
  for (const [address, offered, wanted, expected] of DIRECTIONS) {
    it(`answers ${offered} from ${address} with ${expected} when we want ${wanted}`, () => {
      const offer = description("m=audio 4 RTP/AVP 0", `c=IN IP4 ${address}`, `a=${offered}`);
      const { stream, media } = answered(offer, local("PCMU", wanted));
      assert.equal(media[0].direction, expected);
      assert.equal(stream?.direction, expected);
    });
  }

  it("reads a session-level direction", () => {
    const offer = description("a=sendonly", "m=audio 4 RTP/AVP 0");
    assert.equal(answered(offer).stream?.direction, "recvonly");
  });

  const PTIMES: [string[], number][] = [
    [[], 20],
    [["a=ptime:30"], 30],
    [["a=ptime:10"], 10],
    [["a=ptime:5"], 10],
    [["a=ptime:25"], 20],
    [["a=ptime:200"], 60],
    [["a=ptime:40", "a=maxptime:20"], 20],
    [["a=maxptime:10"], 10],
  ];
  for (const [lines, expected] of PTIMES) {
    it(`sends packets of ${expected} ms for "${lines.join(" ")}"`, () => {
      const { stream, media } = answered(description("m=audio 4 RTP/AVP 0", ...lines));
      assert.equal(stream?.ptime, expected);
      assert.equal(media[0].ptime, expected);
    });
  }

  it("knows where to send RTP and RTCP", () => {
    const { stream } = answered(
      description("m=audio 4000 RTP/AVP 0", "a=rtcp:5001 IN IP4 192.0.2.77"),
    );
    assert.equal(stream?.address, "192.0.2.1");
    assert.equal(stream.port, 4000);
    assert.equal(stream.rtcpAddress, "192.0.2.77");
    assert.equal(stream.rtcpPort, 5001);
    assert.equal(answered(description("m=audio 4000 RTP/AVP 0")).stream?.rtcpPort, 4001);
  });

  it("lists the events that we understand, not those that the peer does", () => {
    const { media } = answered(
      description("m=audio 4 RTP/AVP 0 101", EVENTS, "a=fmtp:101 0-255;x=1"),
    );
    assert.equal(media[0].codecs[1].parameters, "0-15");
  });

  const MISMATCHES: [string, string[]][] = [
    ["only unknown codecs", ["m=audio 4 RTP/AVP 18 96", "a=rtpmap:96 opus/48000/2"]],
    ["only SAVP", ["m=audio 4 RTP/SAVP 0"]],
    ["only DTLS", ["m=audio 4 UDP/TLS/RTP/SAVPF 0"]],
    ["an unknown profile", ["m=audio 4 FOO/RTP/AVP 0"]],
    ["only video", ["m=video 4 RTP/AVP 31"]],
    ["only telephone-event", ["m=audio 4 RTP/AVP 101", EVENTS]],
    ["a dynamic number without rtpmap", ["m=audio 4 RTP/AVP 96"]],
    ["no m-line at all", []],
    ["only disabled m-lines in a first offer", ["m=audio 0 RTP/AVP 0"]],
    ["a static number with another meaning", ["m=audio 4 RTP/AVP 0", "a=rtpmap:0 opus/48000/2"]],
  ];
  for (const [name, lines] of MISMATCHES) {
    it(`is a mismatch: ${name}`, () => {
      const result = answerOffer(description(...lines), local());
      assert.equal(result.ok, false);
      assert.ok(!result.ok && result.reason.length > 10);
    });
  }

  it("keeps the stream in its place when a re-offer adds another before it", () => {
    const first = answered(description("m=video 2 RTP/AVP 31", "m=audio 4 RTP/AVP 0"));
    const again = answered(
      description("m=audio 8 RTP/AVP 0", "m=audio 4 RTP/AVP 0"),
      local(),
      previousOf(first.media, first.stream),
    );
    assert.deepEqual(again.lines, ["audio 0", "audio 10000 0 sendrecv"]);
  });

  it("moves to another stream when a re-offer disables ours", () => {
    const first = answered(description("m=audio 4 RTP/AVP 0"));
    const again = answered(
      description("m=audio 0 RTP/AVP 0", "m=audio 8 RTP/AVP 8"),
      local(),
      previousOf(first.media, first.stream),
    );
    assert.deepEqual(again.lines, ["audio 0", "audio 10000 8 sendrecv"]);
    assert.equal(again.stream?.index, 1);
  });

  it("takes a re-offer that disables everything", () => {
    const first = answered(description("m=audio 4 RTP/AVP 0"));
    const again = answered(
      description("m=audio 0 RTP/AVP 0"),
      local(),
      previousOf(first.media, first.stream),
    );
    assert.deepEqual(again.lines, ["audio 0"]);
    assert.equal(again.stream, undefined);
  });
});

describe("answerOffer with Opus and G722", () => {
  const OPUS = "a=rtpmap:96 opus/48000/2";
  const wide = (codecs = "opus,G722,PCMU,PCMA") => local(codecs);

  it("takes Opus with our parameters in the answer, and sends by the peer's", () => {
    const offer = description(
      "m=audio 4 RTP/AVP 0 96",
      OPUS,
      "a=fmtp:96 maxplaybackrate=16000;useinbandfec=1",
    );
    const { lines, stream, media } = answered(offer, wide());
    assert.deepEqual(lines, ["audio 10000 96 sendrecv"]);
    assert.equal(media[0].codecs[0].parameters, "minptime=10;useinbandfec=1");
    assert.equal(stream?.codec.parameters, "maxplaybackrate=16000;useinbandfec=1");
    assert.deepEqual(
      stream.receiveCodecs.map(({ payloadType }) => payloadType),
      [0, 96],
    );
  });

  it("takes G722 by its static number without rtpmap, at a clock of 8000", () => {
    const { lines, stream } = answered(description("m=audio 4 RTP/AVP 0 9 101", EVENTS), wide());
    assert.deepEqual(lines, ["audio 10000 9 101 sendrecv"]);
    assert.equal(stream?.codec.clockRate, 8000);
  });

  it("understands Opus whose channels were forgotten, and answers as it was written", () => {
    const offer = description("m=audio 4 RTP/AVP 96", "a=rtpmap:96 OPUS/48000");
    const { media } = answered(offer, wide());
    assert.equal(writeSdpBody(media, "x").includes("a=rtpmap:96 OPUS/48000\r\n"), true);
    assert.equal(
      answerOffer(description("m=audio 4 RTP/AVP 96", "a=rtpmap:96 opus/16000/2"), wide()).ok,
      false,
    );
  });

  it("answers with the events of Opus' clock, hearing those of both", () => {
    const { lines, stream } = answered(
      description("m=audio 4 RTP/AVP 96 101 97", OPUS, EVENTS, "a=rtpmap:97 telephone-event/48000"),
      wide(),
    );
    assert.deepEqual(lines, ["audio 10000 96 97 sendrecv"]);
    assert.deepEqual(stream?.telephoneEvent, {
      payloadType: 97,
      receive: [101, 97],
      clockRates: { 97: 48_000, 101: 8_000 },
    });
  });

  it("takes events of 8000 Hz beside Opus where the peer has no others", () => {
    const { lines, stream } = answered(
      description("m=audio 4 RTP/AVP 96 101", OPUS, EVENTS),
      wide(),
    );
    assert.deepEqual(lines, ["audio 10000 96 101 sendrecv"]);
    assert.deepEqual(stream?.telephoneEvent?.clockRates, { 101: 8_000 });
  });

  const PTIMES: [string, number][] = [
    ["a=ptime:30", 20],
    ["a=ptime:50", 40],
    ["a=ptime:5", 10],
    ["a=ptime:60", 60],
    ["a=maxptime:30", 20],
  ];
  for (const [line, expected] of PTIMES) {
    it(`sends Opus in packets of ${expected} ms for "${line}"`, () => {
      const offer = description("m=audio 4 RTP/AVP 96", OPUS, line);
      assert.equal(answered(offer, wide()).stream?.ptime, expected);
    });
  }

  it("changes from G.711 to Opus and back by re-offers, keeping all numbers", () => {
    const first = answered(description("m=audio 4 RTP/AVP 0 101", EVENTS), wide());
    const offer = createOffer(wide(), previousOf(first.media, first.stream));
    assert.deepEqual(shown(offer), ["audio 10000 0 111 9 8 110 101 sendrecv"]);
    const result = acceptAnswer(
      offer,
      description(
        "m=audio 4 RTP/AVP 111 110",
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:110 telephone-event/48000",
      ),
      wide(),
    );
    assert.ok(result.ok);
    assert.equal(result.stream.codec.name, "opus");
    const again = createOffer(wide(), previousOf(offer, result.stream));
    assert.deepEqual(shown(again), ["audio 10000 111 9 0 8 110 101 sendrecv"]);
  });

  it("sends under the number of the answer and hears ours as well as the answer's", () => {
    const offer = createOffer(wide("opus,PCMU"));
    const result = acceptAnswer(
      offer,
      description(
        "m=audio 4 RTP/AVP 98 101",
        "a=rtpmap:98 opus/48000/2",
        "a=fmtp:98 usedtx=1",
        EVENTS,
      ),
      wide("opus,PCMU"),
    );
    assert.ok(result.ok);
    assert.equal(result.stream.codec.payloadType, 98);
    assert.equal(result.stream.codec.parameters, "usedtx=1");
    assert.deepEqual(
      result.stream.receiveCodecs.map(({ payloadType, name }) => `${payloadType} ${name}`),
      ["111 opus", "0 PCMU", "98 opus"],
    );
    assert.deepEqual(result.stream.telephoneEvent, {
      payloadType: 101,
      receive: [110, 101],
      clockRates: { 101: 8_000, 110: 48_000 },
    });
  });
});

describe("createOffer", () => {
  it("lists our codecs by preference and telephone-event", () => {
    assert.deepEqual(shown(createOffer(local("PCMA,PCMU"))), ["audio 10000 8 0 101 sendrecv"]);
    assert.deepEqual(shown(createOffer(local("PCMA", "sendonly"))), ["audio 10000 8 101 sendonly"]);
  });

  it("ignores names of codecs that are not supported", () => {
    assert.deepEqual(shown(createOffer(local("G729,PCMA,pcma"))), ["audio 10000 8 101 sendrecv"]);
    assert.deepEqual(shown(createOffer(local("G729"))), ["audio 10000 0 8 101 sendrecv"]);
    assert.deepEqual(unknownCodecs(["G729", " Opus", "telephone-event", "pcmu"]), ["G729"]);
  });

  it("offers every codec by default, with events at each clock rate (RFC 4733 §2.5.1.1)", () => {
    const [media] = createOffer({ ...local(), capabilities: capabilitiesOf([]) });
    const lines = writeSdpBody([media], "198.51.100.1").split("\r\n").slice(3);
    assert.deepEqual(lines, [
      "m=audio 10000 RTP/AVP 111 9 0 8 110 101",
      "a=rtpmap:111 opus/48000/2",
      "a=fmtp:111 minptime=10;useinbandfec=1",
      "a=rtpmap:9 G722/8000",
      "a=rtpmap:0 PCMU/8000",
      "a=rtpmap:8 PCMA/8000",
      "a=rtpmap:110 telephone-event/48000",
      "a=fmtp:110 0-15",
      "a=rtpmap:101 telephone-event/8000",
      "a=fmtp:101 0-15",
      "a=ptime:20",
      "a=rtcp-mux",
      "a=sendrecv",
      "",
    ]);
  });

  it("leaves out what turned out to be unusable, and never everything", () => {
    const all = capabilitiesOf([]);
    const names = (left: Capabilities) => left.codecs.map(({ name }) => name);
    assert.deepEqual(names(withoutCodecs(all, ["OPUS"])), ["G722", "PCMU", "PCMA"]);
    assert.deepEqual(names(withoutCodecs(capabilitiesOf(["opus"]), ["opus"])), ["PCMU", "PCMA"]);
  });

  it("keeps order, refused m-lines, numbers and the codec in use in a re-offer", () => {
    const offer = description(
      "m=video 2 RTP/AVP 31",
      "m=audio 4 RTP/AVPF 8 96",
      "a=rtpmap:96 telephone-event/8000",
    );
    const { media, stream } = answered(offer);
    const again = createOffer(
      local("PCMU,PCMA", "sendonly"),
      previousOf(media, stream, offer.media[1].codecs),
    );
    assert.deepEqual(shown(again), ["video 0", "audio 10000 8 0 96 sendonly"]);
    assert.equal(again[1].protocol, "RTP/AVPF");
    assert.deepEqual(again[0].formats, ["31"]);
  });

  it("does not give a number that is in use to another codec", () => {
    const offer = description("m=audio 4 RTP/AVP 0 101", "a=rtpmap:101 iLBC/8000");
    const { media, stream } = answered(offer);
    const [again] = createOffer(local(), previousOf(media, stream, offer.media[0].codecs));
    assert.deepEqual(again.formats, ["0", "8", "96"]);
    assert.equal(again.codecs[2].name, "telephone-event");
  });

  it("uses the place of a disabled stream again", () => {
    const first = answered(description("m=audio 4 RTP/AVP 0"));
    const off = answered(
      description("m=audio 0 RTP/AVP 0"),
      local(),
      previousOf(first.media, first.stream),
    );
    assert.deepEqual(shown(createOffer(local(), previousOf(off.media, undefined))), [
      "audio 10000 0 8 101 sendrecv",
    ]);
  });
});

describe("acceptAnswer", () => {
  const offer = createOffer(local());

  it("takes the first codec of the answer that was offered, and the peer's event number", () => {
    const result = acceptAnswer(
      offer,
      description("m=audio 4 RTP/AVP 18 8 0 97", "a=rtpmap:97 telephone-event/8000"),
      local(),
    );
    assert.ok(result.ok);
    assert.equal(result.stream.codec.name, "PCMA");
    assert.deepEqual(result.stream.telephoneEvent, {
      payloadType: 97,
      receive: [101, 97],
      clockRates: { 101: 8000, 97: 8000 },
    });
    assert.deepEqual(
      result.stream.receiveCodecs.map(({ payloadType }) => payloadType),
      [0, 8],
    );
  });

  it("knows that the peer takes no events", () => {
    const result = acceptAnswer(offer, description("m=audio 4 RTP/AVP 0"), local());
    assert.ok(result.ok && result.stream.telephoneEvent === undefined);
  });

  const DIRECTIONS: [SdpDirection, SdpDirection, SdpDirection][] = [
    ["sendrecv", "sendrecv", "sendrecv"],
    ["sendrecv", "recvonly", "sendonly"],
    ["sendrecv", "sendonly", "recvonly"],
    ["sendrecv", "inactive", "inactive"],
    ["sendonly", "recvonly", "sendonly"],
    // A peer that answers more than was offered gets no more than was offered.
    ["sendonly", "sendrecv", "sendonly"],
    ["inactive", "sendrecv", "inactive"],
  ];
  for (const [offered, answer, expected] of DIRECTIONS) {
    it(`makes ${expected} of the answer ${answer} to ${offered}`, () => {
      const side = local("PCMU", offered);
      const result = acceptAnswer(
        createOffer(side),
        description("m=audio 4 RTP/AVP 0", `a=${answer}`),
        side,
      );
      assert.ok(result.ok);
      assert.equal(result.stream.direction, expected);
    });
  }

  const REFUSED: [string, string[]][] = [
    ["more m-lines than the offer", ["m=audio 4 RTP/AVP 0", "m=video 6 RTP/AVP 31"]],
    ["no m-line", []],
    ["another kind", ["m=video 4 RTP/AVP 0"]],
    ["another protocol", ["m=audio 4 RTP/SAVP 0"]],
    ["no offered codec", ["m=audio 4 RTP/AVP 18"]],
    ["only events", ["m=audio 4 RTP/AVP 101", EVENTS]],
    ["port 0", ["m=audio 0 RTP/AVP 0"]],
  ];
  for (const [name, lines] of REFUSED) {
    it(`refuses an answer with ${name}`, () => {
      assert.equal(acceptAnswer(offer, description(...lines), local()).ok, false);
    });
  }

  it("goes by place: the refused m-lines of a re-offer stay refused", () => {
    const again = [{ ...offer[0], kind: "video", port: 0 }, offer[0]];
    const result = acceptAnswer(
      again,
      description("m=video 0 RTP/AVP 31", "m=audio 4 RTP/AVP 0"),
      local(),
    );
    assert.ok(result.ok && result.stream.index === 1);
  });
});

describe("directions", () => {
  it("mirror and limit each other", () => {
    assert.equal(mirrored("sendonly"), "recvonly");
    assert.equal(mirrored("recvonly"), "sendonly");
    assert.equal(mirrored("inactive"), "inactive");
    assert.equal(mirrored("sendrecv"), "sendrecv");
    assert.equal(allowed("sendrecv", "recvonly"), "recvonly");
    assert.equal(allowed("sendonly", "recvonly"), "inactive");
  });
});
