/**
 * Names of Object.prototype wherever a peer may choose a name: Call-ID, tags, branches, headers, parameters, attributes
 * of descriptions, event packages, digest parameters, methods. They are names like others, and Object.prototype stays.
 */
import assert from "node:assert/strict";
import { aliceAndBob } from "../../support/alice-and-bob.js";
import { parsed, requestText, ScriptedPeer, SipResponse } from "../../support/scripted-peer.js";

const NAMES = ["__proto__", "constructor", "prototype", "toString", "valueOf", "hasOwnProperty"];

function sdp(name: string): string {
  return [
    "v=0",
    `o=${name} 1 1 IN IP4 10.0.0.9`,
    `s=${name}`,
    "c=IN IP4 10.0.0.9",
    "t=0 0",
    `a=${name}:1`,
    "m=audio 4000 RTP/AVP 0",
    "a=rtpmap:0 PCMU/8000",
    `a=${name}`,
    `a=fmtp:0 ${name}=1`,
    "",
  ].join("\r\n");
}

describe("names of Object.prototype", () => {
  let names: string;
  let own: Record<string, PropertyDescriptor>;
  before(() => {
    names = Object.getOwnPropertyNames(Object.prototype).join();
    own = { ...Object.getOwnPropertyDescriptors(Object.prototype) };
  });

  afterEach(() => {
    assert.equal(Object.getOwnPropertyNames(Object.prototype).join(), names);
    for (const [name, { value }] of Object.entries(own)) {
      assert.equal(Object.getOwnPropertyDescriptor(Object.prototype, name)?.value, value);
    }
  });

  for (const name of NAMES) {
    it(`${name}: a call with it everywhere is a call like others`, async () => {
      const { network, bob, pass, end } = await aliceAndBob();
      bob.takeCalls((session) => void session.accept());
      const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
      const headers = [
        `${name}: ${name}`,
        `Contact: <sip:${name}@10.0.0.9;${name}=${name}>;${name}=1`,
        `Supported: ${name}`,
        `Allow: ${name}`,
        `User-Agent: ${name}`,
      ];
      const request = (method: string, sequence: number, to: string, body = ""): string =>
        requestText({
          method,
          sequence,
          branch: `z9hG4bK${name}${sequence}${method}`,
          from: `"${name}" <sip:${name}@10.0.0.9;${name}>;${name}=1`,
          to,
          callId: name,
          headers: body === "" ? headers : [...headers, "Content-Type: application/sdp"],
          body,
        }).replace(/;tag=f\d+/, `;tag=${name}`);
      peer.send(request("INVITE", 1, `<sip:bob@10.0.0.2>`, sdp(name)), "10.0.0.2");
      await pass(100);
      const answer = peer.responses.findLast(({ statusCode }) => statusCode === 200);
      assert.ok(answer instanceof SipResponse, peer.statuses().join());
      const to = answer.headers.get("to") ?? "";
      peer.send(request("ACK", 1, to), "10.0.0.2");
      await pass(100);
      assert.equal(bob.calls[0]?.state, "established");
      peer.send(request("INFO", 2, to), "10.0.0.2");
      peer.send(request("SUBSCRIBE", 3, to).replace("Supported", "Event"), "10.0.0.2");
      peer.send(request(name, 4, to), "10.0.0.2");
      await pass(1_000);
      peer.send(request("BYE", 5, to), "10.0.0.2");
      await pass(1_000);
      assert.equal(bob.calls[0].snapshot().cause, "remote-bye");
      const answered = (sequence: number) =>
        peer.responses.findLast(({ cseq }) => cseq.sequence === sequence)?.statusCode ?? 0;
      assert.equal(answered(5), 200);
      // An INFO without a body, an unknown event package, an unknown method.
      assert.deepEqual([2, 3, 4].map(answered), [200, 489, 405]);
      await pass(40_000);
      await end();
    });

    it(`${name}: a challenge, a response and a redirection with it everywhere do no harm`, async () => {
      const { network, alice, pass, end } = await aliceAndBob();
      const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
      let count = 0;
      peer.onRequest = (request) => {
        if (request.method === "ACK") return;
        const status = [401, 302, 200][count++ % 3];
        peer.reply(request, status, {
          toTag: name,
          headers: [
            [name, name],
            ["WWW-Authenticate", `Digest realm="${name}", nonce="${name}", ${name}="${name}"`],
            ["Contact", `<sip:${name}@10.0.0.9;${name}=1>;${name}=1`],
            ["Warning", `399 ${name} "${name}"`],
          ],
        });
      };
      alice.userAgent.addAccount({
        id: name,
        uri: `sip:${name}@10.0.0.9`,
        password: name,
        register: false,
      });
      for (const method of ["OPTIONS", "MESSAGE", "SUBSCRIBE"]) {
        const headers = [["Event", name] as const];
        void alice.userAgent.request({
          method,
          to: `sip:${name}@10.0.0.9`,
          account: name,
          headers,
        });
        await pass(500);
      }
      const call = alice.userAgent.invite({ targets: [`sip:${name}@10.0.0.9`], account: name });
      await pass(2_000);
      void call.end();
      await pass(60_000);
      assert.equal(call.state, "terminated");
      assert.equal(Object.getPrototypeOf(call.snapshot()), Object.prototype);
      await end();
    });
  }

  it("are found again in a message that is read", () => {
    const message = parsed(requestText({ method: "OPTIONS", headers: ["__proto__: 1", "a: 2"] }));
    assert.deepEqual(message.headers.getAll("__proto__"), ["1"]);
    assert.equal(message.headers.has("constructor"), false);
  });
});
