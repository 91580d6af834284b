/**
 * Canary secrets in a real Node-RED whose log tells everything: passwords of accounts that work, that are wrong, and whose server
 * is gone; one in a URI, one given by the flow, the passphrase of a key, the keys of SRTP, and what digest makes of them. None of
 * them may be seen in logs, statuses, messages, errors, endpoints or files; only the server gets what it must have.
 */
import assert from "node:assert/strict";
import { createHash, createPrivateKey, randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { selfSigned } from "../support/certificates.js";
import { FlowBuilder, type FlowNode } from "../support/flow-builder.js";
import { NodeRed, pause } from "../support/node-red.js";
import { freePort } from "../support/ports.js";
import { headerLines } from "../support/raw-peer.js";

const REALM = "canary.test";

/** A server that asks for credentials, knows who is welcome, and keeps what it was sent. */
class Registrar {
  /** Values of `response` that came, and the hashes of user, realm and password. */
  readonly digests: string[] = [];
  readonly keys: string[] = [];
  #callee = "";
  private constructor(
    readonly socket: Socket,
    private readonly passwords: Readonly<Record<string, string>>,
  ) {
    socket.on("message", (data, from) => {
      const answer = this.#answer(data.toString("latin1"));
      if (answer !== undefined) socket.send(answer, from.port, from.address);
    });
  }

  static async open(passwords: Readonly<Record<string, string>>): Promise<Registrar> {
    const socket = createSocket("udp4");
    await new Promise<void>((done) => socket.bind(0, "127.0.83.1", done));
    return new Registrar(socket, passwords);
  }

  get place(): string {
    return `127.0.83.1:${this.socket.address().port}`;
  }

  #answer(text: string): string | undefined {
    const method = /^\w+/.exec(text)?.[0] ?? "";
    if (method === "SIP" || method === "ACK") return undefined;
    const key = /inline:(\S+)/.exec(text)?.[1];
    if (key !== undefined) this.keys.push(key);
    const isProxy = method !== "REGISTER";
    const sent = headerLines(text, isProxy ? "Proxy-Authorization" : "Authorization")[0];
    const isAsked = method === "REGISTER" || method === "INVITE" || method === "MESSAGE";
    if (isAsked && !this.#knows(method, sent)) {
      const header = isProxy ? "Proxy-Authenticate" : "WWW-Authenticate";
      const nonce = randomBytes(8).toString("hex");
      const algorithms = ["SHA-256", "MD5"].map(
        (name) =>
          `${header}: Digest realm="${REALM}", nonce="${nonce}", algorithm=${name}, qop="auth"\r\n`,
      );
      return response(
        text,
        isProxy ? "407 Proxy Authentication Required" : "401 Unauthorized",
        algorithms.join(""),
      );
    }
    if (method === "INVITE") {
      const tag = /a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80/.exec(text)?.[1] ?? "1";
      const body = `v=0\r\no=- 1 1 IN IP4 127.0.83.1\r\ns=-\r\nc=IN IP4 127.0.83.1\r\nt=0 0\r\nm=audio 40000 RTP/SAVP 0\r\na=crypto:${tag} AES_CM_128_HMAC_SHA1_80 inline:${this.#calleeKey()}\r\n`;
      return response(
        text,
        "200 OK",
        `Contact: <sip:x@${this.place}>\r\nContent-Type: application/sdp\r\n`,
        body,
      );
    }
    const contact = headerLines(text, "Contact")[0];
    return response(
      text,
      "200 OK",
      contact === undefined ? "" : `Contact: ${contact};expires=60\r\n`,
    );
  }

  #calleeKey(): string {
    if (this.#callee === "") {
      this.#callee = randomBytes(30).toString("base64");
      this.keys.push(this.#callee);
    }
    return this.#callee;
  }

  #knows(method: string, sent: string | undefined): boolean {
    if (sent === undefined) return false;
    const get = (name: string) => new RegExp(`\\b${name}="?([^",]+)`).exec(sent)?.[1] ?? "";
    const algorithm = get("algorithm") === "MD5" ? "md5" : "sha256";
    const hash = (value: string) => createHash(algorithm).update(value).digest("hex");
    const user = get("username");
    const first = hash(`${user}:${REALM}:${this.passwords[user] ?? ""}`);
    const second = hash(`${method}:${get("uri")}`);
    const wanted = hash([first, get("nonce"), get("nc"), get("cnonce"), "auth", second].join(":"));
    this.digests.push(get("response"), first);
    return get("response") === wanted;
  }
}

function response(request: string, status: string, more: string, body = ""): string {
  const copied = ["Via", "From", "To", "Call-ID", "CSeq"].flatMap((name) =>
    headerLines(request, name).map((value) =>
      name === "To" && !value.includes("tag=") ? `To: ${value};tag=registrar` : `${name}: ${value}`,
    ),
  );
  return `SIP/2.0 ${status}\r\n${copied.join("\r\n")}\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;
}

describe("secrets", function () {
  this.timeout(90_000);
  const canary = (name: string) => `canary-${name}-${randomBytes(6).toString("hex")}`;
  const secrets = {
    account: canary("account"),
    wrong: canary("wrong"),
    lost: canary("lost"),
    uri: canary("uri"),
    target: canary("target"),
    dialled: canary("dialled"),
    proxy: canary("proxy"),
    flow: canary("flow"),
    passphrase: canary("passphrase"),
  };
  let registrar: Registrar;
  let nodeRed: NodeRed;
  let flows: FlowNode[];
  let errors: string[];

  before(async () => {
    registrar = await Registrar.open({
      alice: secrets.account,
      mallory: "another",
      carol: secrets.flow,
    });
    const { place } = registrar;
    const flow = new FlowBuilder();
    const tls = flow.config("tls-config", {
      name: "key with a passphrase",
      cert: "",
      key: "",
      ca: "",
      certname: "cert.pem",
      keyname: "key.pem",
      caname: "",
      servername: "",
      verifyservercert: false,
      alpnprotocol: "",
    });
    const stack = flow.config("sip-stack", {
      transports: [
        { protocol: "udp", address: "127.0.0.1", port: await freePort() },
        { protocol: "tls", address: "127.0.0.1", port: await freePort(), tls },
      ],
      srtp: "required",
      trace: true,
      rtpPortMin: 33300,
      rtpPortMax: 33399,
    });
    const account = (properties: Record<string, unknown>) =>
      flow.config("sip-account", { stack, register: true, ...properties });
    const alice = account({ uri: `sip:alice@${place}` });
    const mallory = account({ uri: `sip:mallory@${place}` });
    const lost = account({ uri: "sip:lost@127.0.83.9:9", transport: "tcp" });
    const odd = account({ uri: `sip:odd:${secrets.uri}@` });
    const routed = account({
      uri: `sip:routed:${secrets.uri}@${place}`,
      outboundProxy: `sip:p:${secrets.proxy}@ not an address`,
    });
    const carol = account({ uri: `sip:carol@${place}`, register: false });
    flow.node("sip-event", { stack, events: [] }, [[flow.capture("events")]]);
    flow.node(
      "sip-event",
      {
        stack,
        events: ["request", "response", "registered", "registration-failed", "disconnected"],
      },
      [[flow.capture("events")]],
    );
    flow.node("sip-supplement", { stack }, flow.captures("supplement", 6));
    const give = flow.node(
      "function",
      {
        func: `msg.credentials = { user: "carol", password: ${JSON.stringify("FLOW_SECRET")} }; return msg;`.replace(
          '"FLOW_SECRET"',
          'env.get("FLOW_SECRET")',
        ),
        outputs: 1,
        libs: [],
        initialize: "",
        finalize: "",
      },
      [[flow.node("sip-accept", {}, flow.captures("given", 2))]],
    );
    flow.node("sip-event", { stack, events: ["challenge"], answerWithin: 5_000 }, [
      [flow.capture("challenge"), give],
    ]);
    flow.entry("message", [
      flow.node(
        "sip-message",
        { scope: "standalone", account: carol, to: `sip:desk@${place}`, toType: "str" },
        flow.captures("message", 2),
      ),
    ]);
    const invite = flow.node(
      "sip-invite",
      { stack, account: alice, to: "to", toType: "msg", timeout: 5 },
      flow.captures("call", 4),
    );
    flow.entry("call", [invite]);
    flow.entry("accept", [flow.node("sip-accept", {}, flow.captures("accept", 2))]);
    for (const type of ["catch", "status", "complete"]) {
      flow.node(type, { scope: type === "complete" ? [invite] : null, uncaught: false }, [
        [flow.capture(type)],
      ]);
    }
    flows = flow.build();
    const pair = selfSigned({ commonName: "127.0.0.1" });
    const keydata = createPrivateKey(pair.key).export({
      type: "pkcs8",
      format: "pem",
      cipher: "aes-256-cbc",
      passphrase: secrets.passphrase,
    });
    nodeRed = await NodeRed.start({
      settings: { logging: { console: { level: "trace", metrics: true, audit: true } } },
      env: { FLOW_SECRET: secrets.flow },
    });
    await nodeRed.deploy(flows, {
      credentials: {
        [alice]: { password: secrets.account },
        [mallory]: { password: secrets.wrong },
        [lost]: { password: secrets.lost },
        [odd]: { password: secrets.lost },
        [routed]: { password: secrets.lost },
        [tls]: { certdata: pair.cert, keydata: String(keydata), passphrase: secrets.passphrase },
      },
    });
    await nodeRed.inject("message", { payload: "hello" });
    await nodeRed.waitFor("message/1");
    await nodeRed.inject("call", { to: `sip:x@${place}` });
    await nodeRed.waitFor("call/1");
    for (const to of [
      `sip:bob:${secrets.target}@`,
      `bob:${secrets.target}@host`,
      `<sip:bob:${secrets.target}@`,
      `sip:bob:${secrets.dialled}@127.0.83.9:1`,
    ]) {
      await nodeRed.inject("call", { to });
    }
    await nodeRed.inject("accept", {
      sip: { request: "none" },
      credentials: { user: "carol", password: [secrets.flow] },
    });
    await nodeRed.waitFor("catch", 3);
    await pause(1_500);
    errors = (await nodeRed.captured("catch")).map(({ msg }) => String(msg.error?.message));
  });

  after(async () => {
    await nodeRed?.stop();
    registrar?.socket.close();
  });

  /** Nothing of all secrets is in this text; what a function node was told to make counts as the flow's own. */
  function assertClean(where: string, text: string): void {
    const all = {
      ...secrets,
      ...Object.fromEntries(registrar.digests.map((digest, i) => [`digest ${i}`, digest])),
      ...Object.fromEntries(registrar.keys.map((key, i) => [`SRTP key ${i}`, key])),
    };
    for (const [name, secret] of Object.entries(all)) {
      const at = text.indexOf(secret);
      assert.ok(
        at < 0,
        `${where} shows the ${name}: …${text.slice(Math.max(0, at - 200), at + 60)}…`,
      );
    }
  }

  it("were used: the accounts registered or failed, the call and the message went out, keys were agreed on", async () => {
    assert.ok(registrar.digests.length >= 6, `${registrar.digests.length}`);
    assert.ok(registrar.keys.length >= 2, `${registrar.keys.length}`);
    const events = (await nodeRed.captured("events")).map(({ msg }) => String(msg.topic));
    for (const name of ["registered", "registration-failed", "disconnected", "response"]) {
      assert.ok(events.includes(name), `${name} is missing in ${[...new Set(events)].join()}`);
    }
    assert.ok(errors.length >= 3, errors.join("\n"));
  });

  it("are not in the log, at its loudest", () => {
    assert.match(nodeRed.log, /\[(?:trace|audit|metric)\]/i);
    assertClean("the log", nodeRed.log);
  });

  it("are in no message of any node, no error and no status", async () => {
    const all = await nodeRed.allCaptured();
    for (const name of ["status", "complete", "catch", "supplement/3", "call/1", "given/1"]) {
      assert.ok((all[name] ?? []).length > 0, `${name} heard nothing: ${Object.keys(all).join()}`);
    }
    for (const [name, list] of Object.entries(all)) {
      for (const { msg } of list) {
        // A flow that writes credentials, or a target, into a message gets its own message back; whom it dialled is shown as it was.
        const { credentials, to, ...rest } = msg as Record<string, unknown>;
        void credentials;
        void to;
        assertClean(name, JSON.stringify(rest).replaceAll(secrets.dialled, ""));
      }
    }
  });

  it("are in no answer of the editor's and our endpoints", async () => {
    const credentials = flows.filter(({ type }) => /^(sip-account|tls-config)$/.test(type));
    const paths = [
      "sip/stacks",
      "sip/sessions",
      "sip/metrics",
      "settings",
      "nodes",
      "diagnostics",
      ...credentials.map(({ type, id }) => `credentials/${type}/${id}`),
    ];
    for (const path of paths) {
      const answer = await fetch(`${nodeRed.url}/${path}`);
      assertClean(path, await answer.text());
    }
    // The trace has seen all of it on the wire.
    const calls = (await (await fetch(`${nodeRed.url}/sip/calls`)).json()) as {
      calls: { session: string }[];
      ended: { session: string; messages: number }[];
    };
    const handles = [...calls.calls, ...calls.ended].map(
      ({ session }) => `sip/sessions/${session}`,
    );
    const stacks = flows
      .filter(({ type }) => type === "sip-stack")
      .map(({ id }) => `sip/stacks/${id}`);
    const traced = [
      "sip/calls",
      ...stacks.map((path) => `${path}/messages`),
      ...[...handles, ...stacks].map((path) => `${path}/pcap`),
      ...handles,
    ];
    const texts = await Promise.all(
      traced.map(async (path) => {
        const answer = await fetch(`${nodeRed.url}/${path}`);
        const text = Buffer.from(await answer.arrayBuffer()).toString("latin1");
        assertClean(path, text.replaceAll(secrets.dialled, ""));
        return text;
      }),
    );
    const all = texts.join();
    for (const part of ["Proxy-Authorization: Digest", "Authorization: Digest", "a=crypto:"]) {
      assert.ok(all.includes(part), `${part} is in no trace`);
    }
    // What the user wrote into plain properties is in an export; nothing else is.
    const exported = await (await fetch(`${nodeRed.url}/flows`)).text();
    assertClean("an export", exported.replaceAll(secrets.uri, "").replaceAll(secrets.proxy, ""));
  });

  it("are in no file of the user directory", () => {
    const walk = (folder: string): string[] =>
      readdirSync(folder)
        .filter((name) => name !== "node_modules")
        .flatMap((name) => {
          const path = join(folder, name);
          return statSync(path).isDirectory() ? walk(path) : [path];
        });
    for (const path of walk(nodeRed.userDir)) {
      const text = readFileSync(path, "latin1");
      assertClean(path, text.replaceAll(secrets.uri, "").replaceAll(secrets.proxy, ""));
    }
  });

  it("are not in the words in which errors tell what is wrong", () => {
    for (const error of errors) assertClean("an error", error);
    assert.ok(
      errors.some((error) => error.includes(":***@")),
      errors.join("\n"),
    );
  });
});
