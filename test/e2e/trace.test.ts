/**
 * Two stacks of a real Node-RED call each other: what its endpoints tell of the call, its ladder, its pcap, its history, to whom, and
 * how often editors are told that there is news.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { WebSocket } from "ws";
import { FlowBuilder, type FlowNode } from "../support/flow-builder.js";
import { NodeRed, nodeRedHome, pause, projectRoot } from "../support/node-red.js";
import { freePort } from "../support/ports.js";

interface Message {
  readonly index: number;
  readonly direction: string;
  readonly kind: string;
  readonly method: string;
  readonly statusCode?: number;
  readonly transaction: number;
  readonly hasSdp: boolean;
  readonly text: string;
}

interface Summary {
  readonly session: string;
  readonly stack: string;
  readonly node?: string;
  readonly direction: string;
  readonly state: string;
  readonly cause?: string;
  readonly duration?: number;
  readonly codec?: string;
  readonly rtp?: { readonly received: number };
  readonly peer?: string;
  readonly messages: number;
}

interface Calls {
  readonly revision: number;
  readonly calls: Summary[];
  readonly ended: Summary[];
}

describe("what the editor learns of calls", function () {
  this.timeout(60_000);
  let nodeRed: NodeRed;
  let flows: FlowNode[];
  let tokens: Record<"admin" | "reader", string>;
  const hasTshark = spawnSync("tshark", ["--version"]).status === 0;
  const news: number[] = [];
  let socket: { close(): void };

  before(async () => {
    const flow = new FlowBuilder();
    const address = "127.0.0.1";
    const [one, two, three] = [await freePort(), await freePort(), await freePort()];
    const stack = (port: number, more: Record<string, unknown>, id: string) =>
      flow.config(
        "sip-stack",
        {
          name: `The ${id}`,
          transports: [{ protocol: "udp", address, port }],
          mediaAddress: address,
          rel100: "none",
          ...more,
        },
        id,
      );
    stack(one, { trace: true }, "caller");
    stack(two, { trace: true }, "called");
    stack(three, {}, "quiet");
    const uri = `sip:nobody@${address}:${two}`;
    flow.config("sip-account", { stack: "caller", uri, register: true }, "account");
    flow.node("sip-event", { stack: "caller", account: "account", events: ["registered"] });
    flow.node(
      "sip-incoming",
      { stack: "called", match: "desk" },
      flow.captures("incoming", 2, { 1: ["accept"] }),
      "incoming",
    );
    flow.node("sip-accept", {}, flow.captures("accept", 2), "accept");
    flow.node("sip-gather", { min: 2, max: 2 }, flow.captures("gather", 4), "gather");
    const to = { to: `sip:desk:canary@${address}:${two}`, toType: "str" };
    flow.node("sip-invite", { stack: "caller", ...to }, flow.captures("call", 4), "invite");
    flow.node("sip-invite", { stack: "quiet", ...to }, flow.captures("quietly", 4), "quietly");
    flow.node("sip-incoming", { stack: "called", match: "agent" }, [["pick up"], []]);
    flow.node("sip-accept", {}, [["agent"], []], "pick up");
    const agent = { to: `sip:agent@${address}:${three}`, toType: "str" };
    flow.node("sip-invite", { stack: "called", ...agent }, [["bridge"], [], [], []], "agent");
    flow.node("sip-bridge", {}, flow.captures("bridge", 2), "bridge");
    flow.node("sip-incoming", { stack: "quiet" }, [["accept"], []]);
    const busy = { to: `sip:agent@${address}:${two}`, toType: "str" };
    flow.node("sip-invite", { stack: "caller", ...busy }, flow.captures("agent", 4), "ask");
    flow.entry("bridge", ["ask"]);
    flow.entry("call", ["invite"]);
    flow.entry("quietly", ["quietly"]);
    flow.entry("gather", ["gather"]);
    flows = flow.build();
    const logging = { console: { level: "debug", metrics: false, audit: false } };
    nodeRed = await NodeRed.start({ flows, withLogin: true, settings: { logging } });
    tokens = { admin: await nodeRed.token("admin"), reader: await nodeRed.token("reader") };
    socket = await listen();
  });

  after(async () => {
    socket?.close();
    await nodeRed?.stop();
  });

  /** What an open editor hears. */
  function listen(): Promise<{ close(): void }> {
    const Socket = createRequire(join(nodeRedHome(), "package.json"))("ws") as typeof WebSocket;
    const connection = new Socket(`${nodeRed.url.replace("http", "ws")}/comms`);
    return new Promise((resolve) => {
      connection.on("open", () => connection.send(JSON.stringify({ auth: tokens.reader })));
      connection.on("message", (data: Buffer) => {
        const text = data.toString();
        if (text.includes('"auth":"ok"')) {
          connection.send(JSON.stringify({ subscribe: "sip/#" }));
          resolve(connection);
        }
        if (!text.startsWith("[")) return;
        for (const { topic, data: part } of JSON.parse(text) as {
          topic: string;
          data: { revision: number };
        }[]) {
          if (topic === "sip/changed") news.push(part.revision);
        }
      });
    });
  }

  function ask(
    path: string,
    user: "admin" | "reader" | "nobody" = "reader",
    options: RequestInit = {},
  ) {
    return fetch(`${nodeRed.url}/${path}`, {
      ...options,
      headers: {
        "content-type": "application/json",
        ...(user === "nobody" ? {} : { authorization: `Bearer ${tokens[user]}` }),
      },
    });
  }

  async function get<T>(path: string): Promise<T> {
    const answer = await ask(path);
    assert.equal(answer.status, 200, path);
    return (await answer.json()) as T;
  }

  const shown = (messages: readonly Message[]) =>
    messages.map(
      ({ direction, statusCode, method }) =>
        `${direction === "sent" ? ">" : "<"} ${statusCode ?? ""}${method}`,
    );

  async function talking(entry = "call"): Promise<void> {
    await nodeRed.clearCaptured();
    await nodeRed.inject(entry, {});
    await nodeRed.waitFor(entry === "call" ? "call/1" : "quietly/1");
    await nodeRed.waitFor("accept/1");
  }

  async function hangUp(handle: string): Promise<Summary> {
    assert.equal((await ask(`sip/sessions/${handle}`, "admin", { method: "DELETE" })).status, 204);
    for (let i = 0; i < 100; i++) {
      const { calls, ended } = await get<Calls>("sip/calls");
      const found = ended.find(({ session }) => session === handle);
      if (found?.rtp !== undefined && calls.length === 0) return found;
      await pause(30);
    }
    return assert.fail("the call does not end");
  }

  it("a live call with its ladder, keys to it, and its pcap; after a Deploy, and after its end", async () => {
    await talking();
    const { calls } = await get<Calls>("sip/calls");
    assert.deepEqual(
      calls.map(({ stack, node, direction, state }) => [stack, node, direction, state]).sort(),
      [
        ["called", "incoming", "incoming", "established"],
        ["caller", "invite", "outgoing", "established"],
      ],
    );
    const call = calls.find(({ stack }) => stack === "caller") as Summary;
    assert.equal(call.codec, "opus");
    let live: Summary | undefined;
    for (let i = 0; i < 50 && !((live?.rtp?.received ?? 0) > 0); i++) {
      live = await get<Summary>(`sip/sessions/${call.session}`);
      await pause(20);
    }
    assert.ok((live?.rtp?.received ?? 0) > 0, "the sound of a live call is counted");
    const path = `sip/sessions/${call.session}`;
    const ladder = await get<Summary & { messages: Message[] }>(path);
    assert.deepEqual(shown(ladder.messages), [
      "> INVITE",
      "< 100INVITE",
      "< 180INVITE",
      "< 200INVITE",
      "> ACK",
    ]);
    assert.deepEqual(new Set(ladder.messages.map(({ transaction }) => transaction)), new Set([1]));
    assert.deepEqual(
      ladder.messages.map(({ hasSdp }) => hasSdp),
      [true, false, false, true, false],
    );
    assert.match(ladder.messages[0]?.text ?? "", /^INVITE sip:desk:\*\*\*@[^]*\r\n\r\nv=0\r\n/);

    await nodeRed.inject("gather", {
      sip: { session: calls.find(({ stack }) => stack === "called")?.session },
    });
    const keys = (user: "admin" | "reader" | "nobody", digits: unknown) =>
      ask(`${path}/digits`, user, { method: "POST", body: JSON.stringify({ digits }) });
    assert.equal((await keys("admin", "4,2")).status, 204);
    assert.equal((await nodeRed.waitFor("gather/1"))[0]?.msg.payload, "42");
    assert.equal((await keys("admin", "x")).status, 400);
    assert.equal((await keys("admin", 5)).status, 400);
    assert.equal((await keys("reader", "1")).status, 401);
    assert.equal((await keys("nobody", "1")).status, 401);
    const nobody = await ask("sip/sessions/nobody/digits", "admin", {
      method: "POST",
      body: '{"digits":"1"}',
    });
    assert.equal(nobody.status, 404);

    await nodeRed.deploy(flows);
    const ended = await hangUp(call.session);
    assert.deepEqual(
      [ended.state, ended.cause, ended.node, ended.codec],
      ["terminated", "local-bye", "invite", "opus"],
    );
    assert.ok((ended.rtp?.received ?? 0) > 0 && (ended.duration ?? 0) > 0);
    assert.equal(ended.messages, 7);
    const after = await get<Summary & { messages: Message[] }>(path);
    assert.deepEqual(shown(after.messages).slice(5), ["> BYE", "< 200BYE"]);

    const saved = await ask(`${path}/pcap`);
    assert.equal(saved.headers.get("content-type"), "application/vnd.tcpdump.pcap");
    assert.match(
      saved.headers.get("content-disposition") ?? "",
      /^attachment; filename="call-[\dTZ-]+\.pcap"$/,
    );
    assert.deepEqual(await dissected(saved, 7), { sip: 7, malformed: 0 });
  });

  it("a call of a stack without trace: in the history, without messages", async () => {
    await talking("quietly");
    const { calls } = await get<Calls>("sip/calls");
    const call = calls.find(({ stack }) => stack === "quiet") as Summary;
    const ended = await hangUp(call.session);
    assert.deepEqual([ended.stack, ended.messages, ended.cause], ["quiet", 0, "local-bye"]);
    const { ended: newest } = await get<Calls>("sip/calls");
    assert.ok(
      newest.slice(0, 2).some(({ session }) => session === call.session),
      "newest first",
    );
    assert.equal((await ask("sip/sessions/nobody")).status, 404);
    assert.equal((await ask("sip/sessions/nobody/pcap")).status, 404);
  });

  it("both legs of a bridge, in one pcap, also after the end", async () => {
    await nodeRed.clearCaptured();
    await nodeRed.inject("bridge", {});
    await nodeRed.waitFor("bridge/1");
    const { calls } = await get<Calls>("sip/calls");
    const legs = calls.filter(({ stack }) => stack === "called");
    assert.deepEqual(
      legs.map(({ peer }) => peer).sort(),
      legs.map(({ session }) => session).sort(),
    );
    const [leg] = legs;
    const ended = await hangUp(leg.session);
    assert.equal(ended.peer, leg.peer);
    const both = await ask(`sip/sessions/${leg.session}/pcap?peer=1`);
    const { messages: own } = await get<{ messages: Message[] }>(`sip/sessions/${leg.session}`);
    const { messages: other } = await get<{ messages: Message[] }>(`sip/sessions/${leg.peer}`);
    assert.ok(own.length >= 7 && other.length >= 7, `${own.length}, ${other.length}`);
    const sum = own.length + other.length;
    assert.deepEqual(await dissected(both, sum), { sip: sum, malformed: 0 });
    const alone = await ask(`sip/sessions/${leg.session}/pcap?peer=0`);
    assert.deepEqual(await dissected(alone, own.length), { sip: own.length, malformed: 0 });
  });

  it("messages that belong to no call", async () => {
    const messages = await get<Message[]>("sip/stacks/caller/messages");
    assert.deepEqual(shown(messages).slice(0, 2), ["> REGISTER", "< 405REGISTER"]);
    assert.deepEqual(
      messages.slice(0, 2).map(({ transaction }) => transaction),
      [1, 1],
    );
    assert.deepEqual(await get<Message[]>("sip/stacks/nobody/messages"), []);
    assert.equal((await ask("sip/stacks/caller/pcap")).status, 200);
  });

  it("that there is news, at most five times a second, with numbers that grow", async () => {
    const before = news.length;
    const begin = Date.now();
    await talking();
    const { calls } = await get<Calls>("sip/calls");
    await hangUp(calls[0].session);
    // The last number that is told is the one at rest.
    const { revision } = await get<Calls>("sip/calls");
    for (let i = 0; i < 100 && (news.at(-1) ?? 0) < revision; i++) await pause(20);
    const told = news.slice(before);
    assert.ok((told.at(-1) ?? 0) >= revision, `${told.join()}, not ${revision}`);
    const most = 1 + (Date.now() - begin) / 200;
    assert.ok(
      told.length >= 1 && told.length <= most,
      `${told.length} in ${Date.now() - begin} ms`,
    );
    assert.deepEqual(
      told,
      [...new Set(told)].sort((a, b) => a - b),
    );
  });

  it("figures that the documents and the Grafana dashboard name, all of them", async () => {
    const text = await (await ask("sip/metrics")).text();
    const names = new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name ?? ""));
    const operations = join(projectRoot, "docs/operations");
    const named = (file: string) =>
      new Set(readFileSync(join(operations, file), "utf8").match(/\bsip_[a-z_]+\b/g) ?? []);
    const readme = named("README.md");
    assert.deepEqual(
      [...names].filter((name) => !readme.has(name)),
      [],
      "missing in README.md",
    );
    for (const file of ["README.md", "grafana-dashboard.json"]) {
      assert.deepEqual(
        [...named(file)].filter((name) => !names.has(name)),
        [],
        `${file} names what is not there`,
      );
    }
    const ended =
      /^sip_calls_ended_total\{stack="caller",.*direction="outgoing",cause="local-bye"\} (\d+)$/m;
    assert.ok(Number(ended.exec(text)?.[1]) >= 1, text);
  });

  it("log lines with the call and its node", () => {
    const line = /\[debug\] \[sip-stack:The caller\] session=\w+ node=invite (.*)/g;
    const said = [...nodeRed.log.matchAll(line)].map(([, text]) => text ?? "");
    assert.match(said[0] ?? "", /^outgoing call from sip:\S+ to sip:desk:\*\*\*@\S+, Call-ID \w+$/);
    assert.match(said[1] ?? "", /^answered after \d+\.\d s$/);
    assert.match(said[2] ?? "", /^ended: local-bye( \(200\))? after \d+\.\d s$/);
  });

  it("nothing without a login, and a reader changes nothing", async () => {
    const reads = [
      "stacks",
      "calls",
      "sessions",
      "sessions/x",
      "sessions/x/pcap",
      "stacks/x/messages",
      "stacks/x/pcap",
      "metrics",
    ];
    for (const path of reads) {
      assert.equal((await ask(`sip/${path}`, "nobody")).status, 401, path);
      assert.ok([200, 404].includes((await ask(`sip/${path}`)).status), path);
    }
    for (const user of ["nobody", "reader"] as const) {
      assert.equal((await ask("sip/sessions/x", user, { method: "DELETE" })).status, 401);
    }
  });

  /** What tshark finds in it. */
  async function dissected(
    saved: Response,
    expected: number,
  ): Promise<{ sip: number; malformed: number }> {
    const file = join(nodeRed.userDir, "saved.pcap");
    writeFileSync(file, Buffer.from(await saved.arrayBuffer()));
    if (!hasTshark) return { sip: expected, malformed: 0 };
    const as = flows.flatMap(({ transports }) =>
      ((transports ?? []) as { port: number }[]).flatMap(({ port }) => [
        "-d",
        `udp.port==${port},sip`,
      ]),
    );
    const count = (filter: string) =>
      spawnSync("tshark", ["-r", file, ...as, "-Y", filter], { encoding: "utf8" }).stdout.split(
        "\n",
      ).length - 1;
    return { sip: count("sip"), malformed: count("_ws.malformed") };
  }
});
