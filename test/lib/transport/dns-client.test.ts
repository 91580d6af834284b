import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { NodeDnsClient } from "../../../lib/transport/dns-client.js";
import { InvalidArgumentError } from "../../../lib/foundation/index.js";

/** A DNS server on loopback that answers every question with one record, or says that the name is unknown. */
async function dnsServer(records: Record<number, Buffer>) {
  const socket = createSocket("udp4");
  socket.on("message", (query, remote) => {
    const end = query.indexOf(0, 12) + 1;
    const type = query.readUInt16BE(end);
    const data = records[type];
    const head = Buffer.alloc(12);
    query.copy(head, 0, 0, 2);
    head.writeUInt16BE(data ? 0x8180 : 0x8183, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(data ? 1 : 0, 6);
    const parts: Buffer[] = [head, query.subarray(12, end + 4)];
    if (data) {
      const answer = Buffer.alloc(12);
      answer.writeUInt16BE(0xc00c, 0);
      answer.writeUInt16BE(type, 2);
      answer.writeUInt16BE(1, 4);
      answer.writeUInt32BE(60, 6);
      answer.writeUInt16BE(data.length, 10);
      parts.push(answer, data);
    }
    socket.send(Buffer.concat(parts), remote.port, remote.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return { address: `127.0.0.1:${socket.address().port}`, close: () => socket.close() };
}

const name = (text: string): Buffer =>
  Buffer.concat([
    ...text.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.from([0]),
  ]);
const text = (value: string): Buffer => Buffer.from([value.length, ...Buffer.from(value)]);

describe("the DNS client", () => {
  it("finds localhost, as the machine's own files say", async () => {
    const client = new NodeDnsClient();
    assert.ok((await client.resolve4("localhost")).includes("127.0.0.1"));
  });

  it("asks the configured servers, and falls back to the machine's files for hosts", async () => {
    const server = await dnsServer({
      1: Buffer.from([192, 0, 2, 7]),
      33: Buffer.concat([Buffer.from([0, 1, 0, 2, 0x13, 0xc4]), name("sip.example")]),
      35: Buffer.concat([
        Buffer.from([0, 10, 0, 20]),
        text("s"),
        text("SIP+D2U"),
        text(""),
        name("_sip._udp.example"),
      ]),
    });
    try {
      const client = new NodeDnsClient({ servers: [server.address] });
      assert.deepEqual(await client.resolve4("host.example"), ["192.0.2.7"]);
      assert.deepEqual(await client.resolveSrv("_sip._udp.example"), [
        { name: "sip.example", port: 5060, priority: 1, weight: 2 },
      ]);
      const [naptr] = await client.resolveNaptr("example");
      assert.equal(naptr?.service, "SIP+D2U");
      assert.equal(naptr.replacement, "_sip._udp.example");
    } finally {
      server.close();
    }
    const empty = await dnsServer({});
    try {
      const client = new NodeDnsClient({ servers: [empty.address] });
      assert.deepEqual(await client.resolve4("localhost"), ["127.0.0.1"]);
      await assert.rejects(client.resolveSrv("_sip._udp.example"), { code: "ENOTFOUND" });
    } finally {
      empty.close();
    }
  });

  it("says in words that a server must be an address", () => {
    assert.throws(
      () => new NodeDnsClient({ servers: ["dns.example.com"] }),
      (error) =>
        error instanceof InvalidArgumentError && /must be IP addresses/.test(error.message),
    );
  });
});
