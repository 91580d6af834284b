import assert from "node:assert/strict";
import type { TracedMessage } from "../../../lib/transport/index.js";
import { requestText, responseText } from "../../support/sip-messages.js";
import { quiet, TransportBench, until } from "../../support/transport-bench.js";

/** Copies: the bytes belong to the stack. */
class Trace {
  readonly messages: (Omit<TracedMessage, "data"> & { readonly text: string })[] = [];
  readonly observe = ({ data, ...rest }: TracedMessage): void => {
    this.messages.push({ ...rest, text: Buffer.from(data as Uint8Array).toString() });
  };
}

describe("the trace of messages", () => {
  const bench = new TransportBench();
  afterEach(() => bench.end());

  for (const protocol of ["udp", "tcp", "ws"] as const) {
    it(`shows what is sent and received over ${protocol}, byte for byte, with both ends`, async () => {
      const [ours, theirs] = [new Trace(), new Trace()];
      const alice = await bench.layer([{ protocol }], { traceMessages: ours.observe });
      const bob = await bench.layer([{ protocol }], { traceMessages: theirs.observe });
      const flow = await alice.connect(bob.target(protocol));
      const text = requestText({
        via: `SIP/2.0/${protocol.toUpperCase()} ${flow.sentBy};branch=z9hG4bK1;rport`,
      });
      const begin = Date.now();
      flow.send(text);
      const request = await bob.arrival();
      request.flow.send(responseText());
      await alice.arrival();
      const [sent, received] = ours.messages;
      assert.ok(sent !== undefined && received !== undefined);
      assert.deepEqual([sent.direction, received.direction], ["sent", "received"]);
      assert.deepEqual([sent.text, received.text], [text, responseText()]);
      assert.ok(sent.time >= begin && received.time >= sent.time && received.time <= Date.now());
      const place = {
        protocol,
        localAddress: "127.0.0.1",
        localPort: flow.localPort,
        remoteAddress: "127.0.0.1",
        remotePort: bob.bound(protocol).port,
      };
      for (const { protocol, localAddress, localPort, remoteAddress, remotePort } of [
        sent,
        received,
      ]) {
        const shown = { protocol, localAddress, localPort, remoteAddress, remotePort };
        assert.deepEqual(shown, place);
      }
      assert.deepEqual(
        theirs.messages.map(({ direction }) => direction),
        ["received", "sent"],
      );
    });
  }

  it("shows what could not be read, and neither keep-alives nor what nobody may read", async () => {
    const trace = new Trace();
    const bob = await bench.layer([{}], { traceMessages: trace.observe });
    bob.mayRead = (data) => !data.includes("unread");
    const client = await bench.udpClient();
    for (const text of ["\r\n\r\n", "INVITE unread", "INVITE nonsense"]) {
      client.socket.send(text, bob.bound("udp").port, "127.0.0.1");
    }
    await until(() => trace.messages.length > 0, "the message");
    await quiet();
    assert.deepEqual(
      trace.messages.map(({ text }) => text),
      ["INVITE nonsense"],
    );
  });

  it("shows the bytes with which a stream got out of step", async () => {
    const trace = new Trace();
    const bob = await bench.layer([{ protocol: "tcp" }], { traceMessages: trace.observe });
    const client = await bench.tcpClient(bob.bound("tcp").port);
    client.write(requestText().replace("Content-Length: 0", "Content-Length: x"));
    await until(() => client.closed, "the end");
    assert.equal(trace.messages.length, 1);
    assert.match(trace.messages[0]?.text ?? "", /Content-Length: x/);
  });

  it("harms nothing when the observer fails", async () => {
    const bob = await bench.layer([{}], {
      traceMessages: () => {
        throw new Error("no room");
      },
    });
    const client = await bench.udpClient();
    client.socket.send(requestText(), bob.bound("udp").port, "127.0.0.1");
    const { flow } = await bob.arrival();
    flow.send(responseText());
    await until(() => client.received.length > 0, "the answer");
    assert.equal(
      bob.log.filter((line) => line === "A message could not be traced: no room").length,
      2,
    );
  });
});
