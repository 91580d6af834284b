/**
 * A canary password in the library alone: what the user agent logs at any level, what its events hold, and what anything that
 * belongs to it shows when it is printed. The whole product: test/e2e/secrets.test.ts.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { inspect } from "node:util";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { ScriptedPeer } from "../../support/scripted-peer.js";

const PASSWORD = "canary-4711";
const REALM = "canary.test";
const SERVER = "10.0.0.7";

describe("a password", () => {
  for (const welcome of [true, false]) {
    it(`that is ${welcome ? "right" : "wrong"} is in no log, no event and nothing that is printed`, async () => {
      const clock = new ManualClock();
      const network = new LoopNetwork(clock);
      const log: string[] = [];
      const keep = (text: string, ...more: unknown[]) => log.push(text, inspect(more));
      const logger = { debug: keep, info: keep, warn: keep, error: keep };
      const bob = new Person("bob", "10.0.0.2", network, clock, { logger });
      const server = await new ScriptedPeer(network, { name: "server", address: SERVER }).start();
      const digests: string[] = [];
      let nonces = 0;
      server.onRequest = (request) => {
        if (request.method === "ACK") return;
        const sent = request.headers.get("authorization");
        const digest = /response="([0-9a-f]+)"/.exec(sent ?? "")?.[1];
        if (digest !== undefined) digests.push(digest);
        const isEnd = /expires=0|Expires: 0/.test(request.headers.get("contact") ?? "");
        if (digest !== undefined && (welcome || isEnd)) {
          const contact = request.headers.get("contact");
          server.reply(request, 200, {
            headers: contact === undefined ? [] : [["Contact", `${contact};expires=600`]],
          });
          return;
        }
        server.reply(request, 401, {
          headers: [
            [
              "WWW-Authenticate",
              `Digest realm="${REALM}", nonce="n${++nonces}", qop="auth", algorithm=MD5`,
            ],
          ],
        });
      };
      await bob.userAgent.start();
      const account = bob.userAgent.addAccount({
        id: "a",
        uri: `sip:bob@${SERVER}`,
        password: PASSWORD,
      });
      await clock.advanceAsync(500);
      const call = bob.userAgent.invite({ targets: [`sip:x@${SERVER}`], account: "a" });
      const sent = bob.userAgent.request({
        method: "MESSAGE",
        to: `sip:x@${SERVER}`,
        account: "a",
      });
      await clock.advanceAsync(2_000);
      assert.ok(digests.length >= 2, `${digests.length} digests`);
      assert.equal(account.registration.state, welcome ? "registered" : "failed");
      const hash = createHash("md5").update(`bob:${REALM}:${PASSWORD}`).digest("hex");
      const shown = [
        log.join("\n"),
        inspect(bob.events, { depth: 12, maxStringLength: null, maxArrayLength: null }),
        inspect(bob.stackEvents, { depth: 12, maxStringLength: null, maxArrayLength: null }),
        inspect([bob.userAgent, account, call, await sent], { depth: 12, showHidden: true }),
        JSON.stringify([bob.userAgent.accounts, account, call.snapshot()]),
      ];
      for (const text of shown) {
        for (const secret of [PASSWORD, hash, ...digests]) {
          const at = text.indexOf(secret);
          assert.ok(at < 0, text.slice(Math.max(0, at - 300), at + 50));
        }
      }
      void call.end();
      await clock.advanceAsync(40_000);
      server.onRequest = (request) => request.method !== "ACK" && server.reply(request, 200);
      await endAll(clock, [bob]);
    });
  }
});
