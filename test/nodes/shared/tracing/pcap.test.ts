import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TracedMessage, TransportProtocol } from "../../../../lib/index.js";
import { keptMessage, type KeptMessage } from "../../../../nodes/shared/tracing/message-log.js";
import { outlineOf } from "../../../../nodes/shared/tracing/outline.js";
import { pcapOf } from "../../../../nodes/shared/tracing/pcap.js";
import { redacted } from "../../../../nodes/shared/tracing/redaction.js";

function kept(
  data: string | Uint8Array,
  more: Partial<TracedMessage> = {},
  place: { local?: string; remote?: string } = {},
): KeptMessage {
  const traced: TracedMessage = {
    direction: "sent",
    time: 1_700_000_000_123,
    protocol: "udp",
    localAddress: place.local ?? "10.0.0.1",
    localPort: 5060,
    remoteAddress: place.remote ?? "192.168.1.20",
    remotePort: 5070,
    data,
    ...more,
  };
  const shown = redacted(traced.data);
  return keptMessage(traced, shown, outlineOf(shown.head));
}

function message(method: string, body = ""): string {
  return [
    `${method} sip:bob:secret@b.example SIP/2.0`,
    "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1",
    'Authorization: Digest username="a", response="secret"',
    "From: <sip:a@a.example>;tag=1",
    "To: <sip:b@b.example>",
    "Call-ID: 1:2@here",
    `CSeq: 1 ${method}`,
    ...(body === ""
      ? []
      : [`Content-Type: ${method === "INVITE" ? "application/sdp" : "text/plain"}`]),
    `Content-Length: ${Buffer.byteLength(body)}`,
    "",
    body,
  ].join("\r\n");
}

const SDP =
  "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";

function tshark(pcap: Buffer, ...options: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "pcap-"));
  try {
    const file = join(folder, "x.pcap");
    writeFileSync(file, pcap);
    const sums = ["ip", "udp", "tcp"].flatMap((name) => ["-o", `${name}.check_checksum:TRUE`]);
    const { stdout, stderr, status } = spawnSync("tshark", ["-r", file, ...sums, ...options], {
      encoding: "utf8",
    });
    assert.equal(status, 0, stderr);
    return stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("traces as pcap", function () {
  this.timeout(20_000);
  const hasTshark = spawnSync("tshark", ["--version"]).status === 0;

  it("begin with the header of raw IP packets and keep time and order", () => {
    const pcap = pcapOf([kept(message("OPTIONS")), kept(message("OPTIONS"))]);
    assert.equal(pcap.readUInt32LE(0), 0xa1b2c3d4);
    assert.equal(pcap.readUInt32LE(20), 101);
    assert.deepEqual([pcap.readUInt32LE(24), pcap.readUInt32LE(28)], [1_700_000_000, 123_000]);
    const second = 24 + 16 + pcap.readUInt32LE(32);
    assert.deepEqual(
      [pcap.readUInt32LE(second), pcap.readUInt32LE(second + 4)],
      [1_700_000_000, 123_001],
    );
    assert.equal(pcapOf([]).length, 24);
  });

  it("open in tshark with every message, right checksums and nothing malformed, over every protocol and family", function () {
    if (!hasTshark) this.skip();
    const places = [
      {},
      { local: "2001:db8::1", remote: "::ffff:10.1.2.3" },
      { local: "phone.example", remote: "fe80::1%eth0" },
      { local: "phone.example", remote: "10.0.0.9" },
    ];
    const protocols: TransportProtocol[] = ["udp", "tcp", "tls", "ws", "wss"];
    const all = places.flatMap((place, i) =>
      protocols.flatMap((protocol, j) => {
        const localPort = 5060 + 100 * i + j;
        const more = { protocol, localPort, time: 1_700_000_000_000 + i };
        const late = { ...more, time: more.time + 500 };
        return [
          kept(message("INVITE", SDP), more, place),
          kept(
            message("MESSAGE", `é${"x".repeat(40_000)}`),
            { ...more, direction: "received" },
            place,
          ),
          kept(message("INFO", "odd"), late, place),
        ];
      }),
    );
    const text = tshark(
      pcapOf(all),
      "-d",
      "udp.port==5000-6000,sip",
      "-d",
      "tcp.port==5000-6000,sip",
      "-T",
      "fields",
      "-e",
      "sip.Method",
      "-e",
      "_ws.malformed",
      "-e",
      "ip.checksum.status",
      "-e",
      "udp.checksum.status",
      "-e",
      "tcp.checksum.status",
      "-e",
      "tcp.analysis.flags",
    );
    const count = (method: string) => text.split(method).length - 1;
    assert.deepEqual([count("INVITE"), count("MESSAGE"), count("INFO")], [20, 20, 20], text);
    // Columns: method, malformed, then checksum states: 1 = good, empty = another protocol.
    for (const line of text.trimEnd().split("\n")) {
      assert.match(line, /^\w*\t\t1?(?:,1)*\t1?\t1?\t?$/, line);
    }
    assert.ok(!tshark(pcapOf(all), "-V").includes("secret"));
  });

  it("hold no key, password or credential", () => {
    const pcap = pcapOf([kept(message("INVITE", SDP))]).toString("latin1");
    assert.ok(!pcap.includes("WVNfX19z") && !pcap.includes("secret"), pcap);
    assert.ok(pcap.includes("Call-ID: 1:2@here"));
  });

  it("cut what fits in no packet instead of failing", () => {
    const pcap = pcapOf([kept(`MESSAGE sip:a SIP/2.0\r\n\r\n${"x".repeat(131_072)}`)]);
    assert.ok(pcap.readUInt32LE(32) <= 0xffff);
  });
});
