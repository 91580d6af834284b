/**
 * Two Node-REDs behind a Kamailio that spreads calls over them (dispatcher) and asks them by OPTIONS: one is drained, gets full,
 * is told to end by SIGTERM, is killed. No call may be lost by the first three, and none may go to who does not want it.
 */
import assert from "node:assert/strict";
import { UserAgent, type Session } from "../../lib/index.js";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed, pause } from "../support/node-red.js";
import { IN_DIALOG, KamailioProxy } from "../support/peers/kamailio-proxy.js";
import { needs } from "../support/peers/process.js";

const PROXY = "127.0.31.1";
const INSTANCES = ["127.0.31.11", "127.0.31.12"] as const;
const PHONE = "127.0.31.20";
const SDP = `v=0\r\no=- 1 1 IN IP4 ${PHONE}\r\ns=-\r\nc=IN IP4 ${PHONE}\r\nt=0 0\r\nm=audio 4100 RTP/AVP 0\r\n`;

const SCRIPT = `
modparam("tm", "fr_timer", 1000)
modparam("dispatcher", "flags", 2)
modparam("dispatcher", "list_file", "$FOLDER/dispatcher.list")
modparam("dispatcher", "ds_ping_interval", 1)
modparam("dispatcher", "ds_probing_mode", 1)
modparam("dispatcher", "ds_probing_threshold", 1)
modparam("dispatcher", "ds_inactive_threshold", 1)
modparam("dispatcher", "ds_ping_reply_codes", "class=2")
modparam("dispatcher", "ds_ping_from", "sip:proxy@${PROXY}")
request_route {
${IN_DIALOG}
	record_route();
	if (!ds_select_dst("1", "4")) { sl_send_reply("503", "Nobody Left"); exit; }
	t_on_failure("NEXT");
	if (!t_relay()) sl_reply_error();
}
failure_route[NEXT] {
	if (t_is_canceled()) exit;
	if ((t_check_status("503") || (t_branch_timeout() && !t_branch_replied())) && ds_next_dst()) {
		t_on_failure("NEXT");
		t_relay();
	}
}
event_route[dispatcher:dst-down] { xlog("L_ERR", "down: $ru\\n"); }
event_route[dispatcher:dst-up] { xlog("L_ERR", "up: $ru\\n"); }
`;

describe("instances behind Kamailio's dispatcher", function () {
  this.timeout(60_000);
  let kamailio: KamailioProxy;
  let phone: UserAgent;
  const nodes: NodeRed[] = [];
  const started: NodeRed[] = [];

  async function instance(address: string): Promise<NodeRed> {
    const flow = new FlowBuilder();
    const stack = flow.config("sip-stack", {
      transports: [{ protocol: "udp", address, port: 5060 }],
      mediaAddress: address,
      rtpPortMin: 4000,
      rtpPortMax: 4100,
      maxSessions: 20,
    });
    const accept = flow.node("sip-accept", {}, [[], []]);
    flow.node("sip-incoming", { stack }, [[accept], []]);
    const nodeRed = await NodeRed.start({
      flows: flow.build(),
      settings: { sipStackGraceSeconds: 30 },
    });
    started.push(nodeRed);
    return nodeRed;
  }

  before(async function () {
    needs(this, "kamailio");
    const list = INSTANCES.map((address) => `1 sip:${address}:5060 0 0 \n`).join("");
    kamailio = new KamailioProxy({
      address: PROXY,
      modules: ["dispatcher"],
      script: SCRIPT,
      files: { "dispatcher.list": list },
    });
    nodes.push(...(await Promise.all(INSTANCES.map((address) => instance(address)))));
    await kamailio.start();
    phone = new UserAgent({ transports: [{ protocol: "udp", address: PHONE, port: 5060 }] });
    await phone.start();
  });

  after(async () => {
    await phone?.stop();
    // Without the time of grace.
    for (const node of started) await node.kill();
    for (const node of started) await node.stop();
    await kamailio?.dispose();
  });

  // What fails may not make the next one fail, too.
  afterEach(async () => {
    await Promise.all([...phone.sessions.values()].map((session) => session.end()));
    for (const index of [0, 1] as const) {
      if (nodes[index]?.exitCode === undefined) await drain(index, "DELETE").catch(() => undefined);
    }
  });

  async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const end = Date.now() + 8_000;
    while (!(await condition())) {
      assert.ok(Date.now() < end, `${what} in 8 s: ${kamailio.log.slice(-1500)}`);
      await pause(50);
    }
  }

  interface Shown {
    readonly id: string;
    readonly calls: number;
    readonly draining: boolean;
  }
  const shown = async (index: 0 | 1): Promise<Shown> => {
    const answer = await fetch(`${nodes[index]?.url}/sip/stacks`);
    const [stack] = (await answer.json()) as Shown[];
    assert.ok(stack);
    return stack;
  };
  /** Calls on each instance. */
  const spread = async (): Promise<[number, number]> => [
    (await shown(0)).calls,
    (await shown(1)).calls,
  ];
  const drain = async (index: 0 | 1, method: "POST" | "DELETE"): Promise<void> => {
    const { id } = await shown(index);
    const answer = await fetch(`${nodes[index]?.url}/sip/stacks/${id}/drain`, { method });
    assert.equal(answer.status, 202);
  };

  /** That many calls one after the other, each answered. */
  async function call(count: number): Promise<Session[]> {
    const sessions: Session[] = [];
    for (let i = 0; i < count; i++) {
      const session = phone.invite({ targets: [`sip:flow@${PROXY}`], sdp: SDP });
      await until(() => !["idle", "inviting", "early"].includes(session.state), "an answer");
      assert.equal(session.state, "established", session.snapshot().cause);
      sessions.push(session);
    }
    return sessions;
  }
  async function hangUp(sessions: readonly Session[]): Promise<void> {
    await Promise.all(sessions.map((session) => session.end()));
    for (const session of sessions) assert.equal(session.snapshot().cause, "local-bye");
  }
  /** Does Kamailio give calls to it? */
  const isIn = (index: 0 | 1): boolean => {
    const news = kamailio.log
      .split("\n")
      .filter((line) => line.includes(`: sip:${INSTANCES[index]}:`));
    return news.at(-1)?.includes("down: ") !== true;
  };

  it("get as many calls each", async () => {
    const sessions = await call(10);
    assert.deepEqual(await spread(), [5, 5]);
    await hangUp(sessions);
    await until(async () => (await spread()).join() === "0,0", "no call");
  });

  it("get no call while they drain, keep those that they have, and get calls again afterwards", async () => {
    const old = await call(4);
    await drain(0, "POST");
    // At once: Kamailio has not asked yet, its failure route tries the next one.
    const during = await call(4);
    assert.deepEqual(await spread(), [2, 6]);
    await until(() => !isIn(0), "Kamailio taking it out");
    const later = await call(4);
    assert.deepEqual(await spread(), [2, 10]);
    for (const session of old) {
      const held = await session.reinvite({ action: "hold", sdp: `${SDP}a=sendonly\r\n` });
      assert.equal(held.ok, true);
    }
    await hangUp([...old, ...during, ...later]);
    await until(async () => (await shown(0)).calls === 0, "drained");
    assert.equal((await shown(0)).draining, true);
    await drain(0, "DELETE");
    await until(() => isIn(0), "Kamailio taking it in again");
    const again = await call(4);
    assert.deepEqual(await spread(), [2, 2]);
    await hangUp(again);
  });

  it("that are full are left out until there is room", async () => {
    await until(async () => (await spread()).join() === "0,0", "no call");
    await drain(1, "POST");
    const sessions = await call(20);
    assert.deepEqual(await spread(), [20, 0]);
    await drain(1, "DELETE");
    await until(() => !isIn(0) && isIn(1), "the full one left out");
    const more = await call(4);
    assert.deepEqual(await spread(), [20, 4]);
    await hangUp(sessions);
    await until(() => isIn(0), "it being asked again");
    const again = await call(4);
    assert.deepEqual(await spread(), [2, 6]);
    await hangUp([...more, ...again]);
  });

  it("that are told to end by SIGTERM lose no call", async () => {
    await until(async () => (await spread()).join() === "0,0", "no call");
    const old = await call(4);
    const [first] = nodes;
    first?.process.kill("SIGTERM");
    await pause(50);
    const during = await call(6);
    assert.equal((await shown(1)).calls, 8);
    await hangUp(old);
    await until(() => first?.exitCode !== undefined, "the end of the process");
    await hangUp([...(await call(2)), ...during]);
  });

  it("that are killed get no new call after 3 s", async () => {
    nodes[0] = await instance(INSTANCES[0]);
    await until(() => isIn(0), "the new one being taken in");
    await until(async () => (await spread()).join() === "0,0", "no call");
    const old = await call(2);
    await nodes[0].kill();
    const killed = Date.now();
    while (isIn(0)) {
      assert.ok(Date.now() - killed < 3_000, "3 s are over");
      await hangUp(await call(1));
    }
    const before = Date.now();
    const fresh = await call(4);
    assert.ok(Date.now() - before < 900, "no call is tried at the dead one");
    assert.equal((await shown(1)).calls, 5);
    await hangUp(fresh);
    // The one on the dead instance ends without an answer to its BYE.
    await Promise.all(old.map((session) => session.end()));
  });
});
