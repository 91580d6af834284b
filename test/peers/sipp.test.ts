/**
 * SIPp as a foreign peer against real nodes in a real Node-RED: our own scenarios in test/peers/sipp, and those of the
 * acceptance peer where its folder stands beside the checkout.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { NodeRed, projectRoot } from "../support/node-red.js";
import { acceptanceFlow } from "../support/peers/acceptance-flow.js";
import { needs } from "../support/peers/process.js";
import { Sipp } from "../support/peers/sipp.js";
import { freePort } from "../support/ports.js";

const own = join(projectRoot, "test/peers/sipp");
const foreign = resolve(projectRoot, "../shared/peers/sip/sipp");
/** Addresses of this run's own, so that two checkouts can run at the same time. */
const network = `127.${1 + (process.pid % 250)}.${1 + (Math.floor(process.pid / 250) % 250)}`;
const authPeer = `${network}.60:5070`;
const refusingPeer = `${network}.61:5070`;

/** i20 asks for 415 in its second half; a flow that listens takes any type (documented). o21 has its own test. */
const elsewhere = new Set(["i20_message", "o21_register"]);

/** Scenarios that transfer our flow → whom it calls then. */
const transferredTo = new Map([
  ["i28_refer_in", join(foreign, "out/o01_basic.xml")],
  ["in-5359-click-to-dial", join(own, "out/out-basic.xml")],
  ["in-5589-replaces-refused", join(own, "pairs/pair-replaces-refused.xml")],
  ["in-refer-quiet", join(own, "out/out-basic.xml")],
  ["in-refer-attended", join(own, "pairs/pair-replaces.xml")],
  ["in-refer-refused", join(own, "out/out-busy.xml")],
]);

interface Plan {
  readonly service?: string;
  readonly transport?: "u1" | "t1";
  /** out: the entry of the flow that starts the call. */
  readonly entry?: string;
  readonly message?: Record<string, unknown>;
}

/** Those that are about datagrams that get lost and come again. */
const onlyOverUdp = /^(o25_|out-rel-lost-prack-answer)/;
const transportsOf = (name: string) =>
  onlyOverUdp.test(name) ? (["u1"] as const) : (["u1", "t1"] as const);

const replaces = { callId: "12345@elsewhere", toTag: "aa", fromTag: "bb", earlyOnly: true };
/** Scenarios that need more than a call → what they need. */
const PLANS: readonly (readonly [names: RegExp, plan: Plan])[] = [
  [/^in-(3665-address|strict-route)/, { service: "hang" }],
  [/^in-5359-find-me/, { service: "silent" }],
  [/^in-5359-forward-no/, { service: "forward-late" }],
  [/^in-5359-forward/, { service: "forward" }],
  [/^out-(race-crossover|race-update|race-200)/, { entry: "call-hold" }],
  [/^out-race-bye-bye/, { entry: "call" }],
  [/^out-cancel-waits/, { entry: "call-cancel-early" }],
  [/^out-auth/, { entry: "call-account" }],
  [/^out-redirect-delayed/, { entry: "call-delayed" }],
  [/^out-refer-/, { entry: "call-refer", message: { referTo: "sip:bob@127.0.0.1:9" } }],
  [/^out-subscribe/, { entry: "subscribe" }],
  [/^out-options/, { entry: "request-options" }],
  [
    /^out-publish/,
    { entry: "request-publish", message: { payload: '<presence entity="sip:a@b"/>' } },
  ],
  [/^out-info/, { entry: "call-info" }],
  [/^out-5359-pickup/, { entry: "call-pickup", message: { replaces } }],
  [/^out-supplement/, { entry: "message-send", message: { payload: "hello" } }],
];

function planOf(name: string): Plan {
  const plan = PLANS.find(([names]) => names.test(name));
  if (plan !== undefined) return plan[1];
  if (/^i02/.test(name) || name === "in-cancel") return { service: "silent" };
  if (/^in-rel-no|^i45/.test(name)) return { service: "silent" };
  if (/^in-rel/.test(name)) return { service: "early" };
  if (/^i40|^in-race-(bye-bye|reinvite-mortal|refer-mortal)|^in-3665-record/.test(name))
    return { service: "hang" };
  if (/^in-race-bye-early/.test(name)) return { service: "silent" };
  if (/^out-race-cancel/.test(name)) return { entry: "call-cancel" };
  if (/^o17|^out-timer-(update|reinvite)|^out-race-(reinvite|bye)/.test(name))
    return { entry: "call-wait" };
  if (/^o09/.test(name)) return { entry: "call-refused" };
  if (/^o0[67]/.test(name) || name === "out-auth") return { entry: "call-account" };
  if (/^o10/.test(name) || name === "out-cancel") return { entry: "call-cancel" };
  if (/^o02|^o26|^o15/.test(name) || name === "out-peer-bye") return { entry: "call-wait" };
  if (/^o19/.test(name))
    return { entry: "call-refer", message: { referTo: `sip:bob@${network}.62:5070` } };
  if (/^o22/.test(name)) return { entry: "subscribe" };
  if (/^o23/.test(name)) return { entry: "message-send", message: { payload: "hello" } };
  if (/^out-(hold|glare|reinvite-refused)/.test(name)) return { entry: "call-hold" };
  if (/^out-renegotiate/.test(name)) return { entry: "call-renegotiate" };
  if (/^o28/.test(name)) return { entry: "call-delayed" };
  if (/^o31/.test(name)) return { entry: "call-dtmf" };
  return { entry: "call" };
}

function scenarios(direction: "in" | "out"): { name: string; file: string }[] {
  return [own, foreign]
    .map((folder) => join(folder, direction))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder).map((file) => ({
        name: file.replace(/\.xml$/, ""),
        file: join(folder, file),
      })),
    )
    .filter(({ name, file }) => file.endsWith(".xml") && !elsewhere.has(name));
}

/** Waits until the stack takes connections: Node-RED tells that it has started before that. */
async function accepts(port: number): Promise<void> {
  const isOpen = (): Promise<boolean> =>
    new Promise((done) => {
      const socket = connect(port, "127.0.0.1", () => done(true)).once("error", () => done(false));
      socket.once("connect", () => socket.destroy());
    });
  for (let tries = 0; tries < 100 && !(await isOpen()); tries++) {
    await new Promise((done) => setTimeout(done, 100));
  }
}

describe("SIPp through a flow", function () {
  this.timeout(120_000);
  let nodeRed: NodeRed;
  let port = 0;
  let nextHost = 70;

  before(async function () {
    needs(this, "sipp");
    port = await freePort();
    const { flows, credentials } = acceptanceFlow({ port, authPeer, refusingPeer, ipv6: true });
    nodeRed = await NodeRed.start({ flows, credentials });
    await accepts(port);
    if (!existsSync(foreign))
      console.error(
        "      NOT TESTED: the acceptance peer's scenarios are not beside this checkout",
      );
  });

  after(async () => {
    await nodeRed?.stop();
  });

  /** A new address each time; those that have run out come again with another port. */
  const local = () => {
    const index = nextHost++ - 70;
    return `${network}.${70 + (index % 180)}:${5070 + Math.floor(index / 180)}`;
  };

  const runs: { title: string; run: () => Promise<void> }[] = [];
  for (const { name, file } of scenarios("in")) {
    const plan = planOf(name);
    for (const transport of transportsOf(name)) {
      runs.push({
        title: `takes ${name} over ${transport === "u1" ? "UDP" : "TCP"}`,
        run: async () => {
          const second = transferredTo.get(name);
          if (second !== undefined) return referIn(file, second, transport);
          const sipp = new Sipp({
            scenario: file,
            target: `127.0.0.1:${port}`,
            local: local(),
            service: plan.service ?? "alice",
            transport,
          });
          const { problem } = await sipp.result();
          assert.equal(problem, "");
        },
      });
    }
  }
  for (const { name, file } of scenarios("out")) {
    const plan = planOf(name);
    for (const transport of transportsOf(name)) {
      runs.push({
        title: `places ${name} over ${transport === "u1" ? "UDP" : "TCP"}`,
        run: async () => {
          const fixed: Record<string, string> = {
            "call-account": authPeer,
            "call-refused": refusingPeer,
          };
          const at = fixed[plan.entry ?? ""] ?? local();
          const sipp = new Sipp({ scenario: file, local: at, transport });
          await sipp.listening();
          await nodeRed.inject(plan.entry ?? "call", {
            to: `sip:x@${at}${transport === "t1" ? ";transport=tcp" : ""}`,
            ...plan.message,
          });
          const { problem } = await sipp.result();
          assert.equal(problem, "");
        },
      });
    }
  }

  for (const name of ["in-basic", "in-hold", "in-cancel"]) {
    runs.push({
      title: `takes ${name} over IPv6`,
      run: async () => {
        const scenario = join(own, "in", `${name}.xml`);
        const service = planOf(name).service ?? "alice";
        const sipp = new Sipp({
          scenario,
          target: `[::1]:${port}`,
          local: `[::1]:${5200 + nextHost++}`,
          service,
        });
        assert.equal((await sipp.result()).problem, "");
      },
    });
  }

  /** Our flow is transferred to a second SIPp. */
  async function referIn(file: string, secondFile: string, transport: "u1" | "t1"): Promise<void> {
    const target = local();
    const second = new Sipp({ scenario: secondFile, local: target });
    const first = new Sipp({
      scenario: file,
      target: `127.0.0.1:${port}`,
      local: local(),
      transport,
      extra: ["-key", "refer_target", target],
    });
    const { problem } = await first.result();
    assert.equal(problem, "");
    assert.equal((await second.result()).problem, "");
  }

  /** Our flow has two calls and transfers the one to the other. */
  runs.push({
    title: "places pair-transferee and out-basic, and joins them",
    run: async () => {
      const [one, two] = [local(), local()];
      const target = new Sipp({ scenario: join(own, "out/out-basic.xml"), local: two });
      const transferee = new Sipp({ scenario: join(own, "pairs/pair-transferee.xml"), local: one });
      await Promise.all([target.listening(), transferee.listening()]);
      await nodeRed.inject("call-join", { to: `sip:x@${one}`, second: `sip:x@${two}` });
      assert.equal((await transferee.result()).problem, "");
      assert.equal((await target.result()).problem, "");
      const [joined] = await nodeRed.waitFor("join/1");
      assert.equal((joined?.msg as { topic: string }).topic, "transferred");
    },
  });

  /** Our flow has two calls and lets their media flow directly. */
  runs.push({
    title: "places pair-direct-offered and pair-direct-asked, and joins them",
    run: async () => {
      const [one, two] = [local(), local()];
      const offered = new Sipp({
        scenario: join(own, "pairs/pair-direct-offered.xml"),
        local: one,
      });
      const asked = new Sipp({ scenario: join(own, "pairs/pair-direct-asked.xml"), local: two });
      await Promise.all([offered.listening(), asked.listening()]);
      await nodeRed.inject("call-direct", { to: `sip:x@${one}`, second: `sip:x@${two}` });
      assert.equal((await offered.result()).problem, "");
      assert.equal((await asked.result()).problem, "");
      const [ended] = await nodeRed.waitFor("direct/2");
      assert.equal((ended?.msg as { payload: string }).payload, "remote-bye");
    },
  });

  // Scenarios spend most of their time waiting: those that share nothing run side by side, each reported on its own.
  const alone = /o0[69]|o07|out-auth/;
  const started = new Map<string, Promise<void>>();
  const grep = process.argv.find((word) => word.startsWith("--grep="));
  const wanted = new RegExp(grep?.slice("--grep=".length) ?? "");
  function start(): void {
    if (started.size > 0) return;
    const queue = runs.filter(({ title }) => !alone.test(title) && wanted.test(title));
    const lanes = Array.from({ length: 6 }, () => Promise.resolve());
    queue.forEach(({ title, run }, index) => {
      const lane = index % lanes.length;
      const result = lanes[lane].then(run);
      started.set(title, result);
      lanes[lane] = result.catch(() => undefined);
    });
  }

  for (const { title, run } of runs)
    it(title, async function () {
      this.timeout(600_000);
      if (alone.test(title)) return run();
      start();
      await started.get(title);
    });

  it("leaves no session behind and reported nothing unexpected to Catch nodes", async function () {
    this.timeout(60_000);
    await new Promise((done) => setTimeout(done, 1500));
    const sessions = (await (await fetch(`${nodeRed.url}/sip/sessions`)).json()) as unknown[];
    assert.deepEqual(sessions, []);
    assert.deepEqual(
      (await nodeRed.captured("caught")).map(({ msg }) => (msg as { error: unknown }).error),
      [],
    );
    assert.equal(nodeRed.exitCode, undefined);
    assert.doesNotMatch(nodeRed.log, /Uncaught|TypeError|ReferenceError/);
  });
});

describe("the list of our scenarios", () => {
  it("names each of them, and no other", () => {
    const listed = readFileSync(join(own, "README.md"), "utf8").matchAll(
      /`((?:in|out|pairs)\/[\w-]+)`/g,
    );
    const there = ["in", "out", "pairs"].flatMap((folder) =>
      readdirSync(join(own, folder)).map((file) => `${folder}/${file.replace(/\.xml$/, "")}`),
    );
    assert.deepEqual([...new Set(Array.from(listed, ([, name]) => name))].sort(), there.sort());
  });
});
