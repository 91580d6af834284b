/**
 * Strangers, which is whoever `allow` does not name, over real sockets: each method over each transport is refused, and in the
 * same words whether the called user exists or not; then there is silence; and nothing of it reaches the application.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { WebSocket } from "ws";
import type { TransportProtocol } from "../../../lib/transport/transport.js";
import { UserAgent } from "../../../lib/user-agent/index.js";
import { selfSigned } from "../../support/certificates.js";

const METHODS = [
  "INVITE",
  "ACK",
  "BYE",
  "CANCEL",
  "OPTIONS",
  "REGISTER",
  "INFO",
  "PRACK",
  "UPDATE",
  "SUBSCRIBE",
  "NOTIFY",
  "REFER",
  "MESSAGE",
  "PUBLISH",
  "FOOBAR",
];
const PROTOCOLS: readonly TransportProtocol[] = ["udp", "tcp", "tls", "ws", "wss"];
const PATIENCE_MS = 2_000;

/** Somebody with an address of his own. */
interface Stranger {
  readonly received: string[];
  send(text: string): void;
  /** Waits for so many messages. */
  until(count: number): Promise<void>;
  close(): void;
}

const certificate = selfSigned({ commonName: "127.0.0.1", altNames: ["IP:127.0.0.1"] });

for (const protocol of PROTOCOLS) {
  describe(`a stranger over ${protocol}`, function () {
    this.timeout(30_000);
    const problems: string[] = [];
    const reports: string[] = [];
    let userAgent: UserAgent;
    let host = 1;
    let friends = 0;

    before(async () => {
      const quiet = () => undefined;
      userAgent = new UserAgent({
        transports: [{ protocol, address: "127.0.0.1", port: 0, tls: certificate }],
        allow: ["127.0.77.0/24"],
        logger: { debug: quiet, info: quiet, warn: quiet, error: (text) => problems.push(text) },
      });
      userAgent.onIncomingCall = () => {
        reports.push("a call");
        return false;
      };
      userAgent.requestPolicy = (name) => ({
        listened: true,
        holdMs: name === "options" ? 0 : 1_000,
      });
      userAgent.on("stackEvent", ({ name, connection, message }) => {
        const from = connection?.address ?? message?.source?.address ?? "";
        if (!from.startsWith("127.0.77.")) reports.push(`${name} of ${from}`);
        else if (name === "connected") friends++;
      });
      userAgent.on("sessionEvent", (_session, { name }) => reports.push(name));
      await userAgent.start();
      userAgent.addAccount({ id: "bob", uri: "sip:bob@127.0.0.1", register: false, password: "x" });
    });

    after(async () => {
      await userAgent.stop();
      assert.deepEqual(problems, []);
    });

    /** A new address for each, as refusals are counted by address. */
    const open = async (address = `127.0.50.${host++}`): Promise<Stranger> => {
      const received: string[] = [];
      const waiting: (() => void)[] = [];
      const take = (text: string) => {
        received.push(text);
        for (const check of [...waiting]) check();
      };
      const way = await openWay(protocol, address, userAgent.bound[0]?.port ?? 0, take);
      return {
        received,
        ...way,
        until: (count) =>
          new Promise((resolve, reject) => {
            const timer = setTimeout(
              () => reject(new Error(`${received.length} of ${count}: ${received.join("\n")}`)),
              PATIENCE_MS,
            );
            const check = () => {
              if (received.length < count) return;
              clearTimeout(timer);
              resolve();
            };
            waiting.push(check);
            check();
          }),
      };
    };

    let sequence = 0;
    const request = (method: string, user: string, toTag = "") => {
      const n = `00000${++sequence}`.slice(-5);
      return [
        `${method} sip:${user}@127.0.0.1 SIP/2.0`,
        `Via: SIP/2.0/${protocol.toUpperCase()} 127.0.50.0:9;branch=z9hG4bKs${n};rport`,
        "Max-Forwards: 70",
        `From: <sip:stranger@127.0.50.0>;tag=f${n}`,
        `To: <sip:${user}@127.0.0.1>${toTag}`,
        `Call-ID: call-${n}`,
        `CSeq: 1 ${method}`,
        "Contact: <sip:stranger@127.0.50.0:9>",
        "Refer-To: <sip:x@127.0.50.0>",
        "Event: presence",
        "Expires: 60",
        "RAck: 1 1 INVITE",
        "Content-Length: 0",
        "",
        "",
      ].join("\r\n");
    };

    /** Without what must differ. */
    const comparable = (answer: string, user: string): string =>
      answer
        .replaceAll(`sip:${user}@`, "sip:USER@")
        .replace(/^(To:.*;tag=)\S+/m, "$1TAG")
        .replace(/z9hG4bKs\d{5}|tag=f\d{5}|call-\d{5}/g, "ID");

    for (const method of METHODS) {
      it(`is refused ${method}, whomever it names`, async () => {
        const stranger = await open();
        for (const user of ["bob", "nobody"]) stranger.send(request(method, user));
        stranger.send(request(method, "bob", ";tag=guess"));
        stranger.send(request("OPTIONS", "bob"));
        await stranger.until(method === "ACK" ? 1 : 4);
        const answers = stranger.received;
        for (const answer of answers) assert.match(answer, /^SIP\/2\.0 403 Forbidden\r\n/);
        if (method === "ACK") {
          assert.match(answers[0] ?? "", /^CSeq: 1 OPTIONS\r$/m);
          assert.equal(answers.length, 1);
        } else {
          const find = (sought: string) =>
            answers.find(
              (text) => text.includes(`<sip:${sought}@`) && text.includes(`1 ${method}`),
            );
          const [known, unknown] = ["bob", "nobody"].map((user) =>
            comparable(find(user) ?? "", user),
          );
          assert.equal(known, unknown);
        }
        stranger.close();
      });
    }

    it(`is told ten times, then nothing, and its messages are not read any more`, async () => {
      const stranger = await open();
      const before = userAgent.counters();
      for (let i = 0; i < 200; i++) stranger.send(request("INVITE", "bob"));
      const friend = await open(`127.0.77.${host++}`);
      friend.send(request("OPTIONS", "bob"));
      await friend.until(1);
      assert.match(friend.received[0] ?? "", /^SIP\/2\.0 200 /);
      await stranger.until(10);
      const after = userAgent.counters();
      const count = (name: string) => (after[name] ?? 0) - (before[name] ?? 0);
      assert.ok(count("dropped") > 0, `${count("dropped")} were dropped unread`);
      assert.ok(stranger.received.length <= 12, `${stranger.received.length} answers`);
      stranger.close();
      friend.close();
    });

    if (protocol !== "udp") {
      it("fills no place of the 200 with connections that said something, and got 403 for it", async () => {
        const strangers: Stranger[] = [];
        for (let i = 0; i < 12; i++) {
          const address = `127.0.51.${host++}`;
          const own = await Promise.all(Array.from({ length: 20 }, () => open(address)));
          for (const stranger of own) stranger.send(request("OPTIONS", "bob"));
          strangers.push(...own);
          await own[0]?.until(1);
        }
        assert.ok((userAgent.counters()["connections"] ?? 0) <= 200);
        const friend = await open(`127.0.77.${host++}`);
        friend.send(request("OPTIONS", "bob"));
        await friend.until(1);
        assert.match(friend.received[0] ?? "", /^SIP\/2\.0 200 /);
        friends--;
        for (const one of [...strangers, friend]) one.close();
      });
    }

    it("is no event, and no call, and leaves nothing", () => {
      assert.deepEqual(reports, []);
      assert.equal(friends, protocol === "udp" ? 0 : 1, "a friend's connection is an event");
      const { sessions, dialogs, pendingRequests } = userAgent.counters();
      assert.deepEqual([sessions, dialogs, pendingRequests], [0, 0, 0]);
    });
  });
}

/** A way to the user agent from this address. */
async function openWay(
  protocol: TransportProtocol,
  localAddress: string,
  port: number,
  take: (text: string) => void,
): Promise<Pick<Stranger, "send" | "close">> {
  const target = { host: "127.0.0.1", port, localAddress, rejectUnauthorized: false };
  switch (protocol) {
    case "udp": {
      const socket = createSocket("udp4");
      await new Promise<void>((done) => socket.bind(0, localAddress, done));
      socket.on("message", (data) => take(data.toString("latin1")));
      return {
        send: (text) => socket.send(text, port, "127.0.0.1"),
        close: () => socket.close(),
      };
    }
    case "tcp":
    case "tls": {
      const socket: Socket = protocol === "tcp" ? connect(target) : connectTls(target);
      socket.on("error", () => undefined);
      let rest = "";
      // The answers that are looked at have no body.
      socket.on("data", (data) => {
        const parts = (rest + data.toString("latin1")).split("\r\n\r\n");
        rest = parts.pop() ?? "";
        for (const part of parts) if (part !== "") take(`${part}\r\n\r\n`);
      });
      await new Promise((done) =>
        socket.once(protocol === "tcp" ? "connect" : "secureConnect", done),
      );
      return { send: (text) => socket.write(text), close: () => socket.destroy() };
    }
    case "ws":
    case "wss": {
      const url = `${protocol}://127.0.0.1:${port}/`;
      const socket = new WebSocket(url, "sip", { localAddress, rejectUnauthorized: false });
      socket.on("error", () => undefined);
      socket.on("message", (data: Buffer) => take(data.toString("latin1")));
      await new Promise((done) => socket.once("open", done));
      return { send: (text) => socket.send(text), close: () => socket.terminate() };
    }
  }
}
