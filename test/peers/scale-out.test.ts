/**
 * The configurations of docs/scale-out/conf, as they are, with the real engines: a Kamailio in front of two Node-REDs.
 * What cannot be started here is read by the program that would read it.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { connect } from "node:tls";
import WebSocket from "ws";
import { Calls, Telephone, Watcher } from "../support/fleet/callers.js";
import { CONFIGURATIONS, DOMAIN, layOut, Places } from "../support/fleet/files.js";
import { Fleet } from "../support/fleet/fleet.js";
import { nodeRedHome } from "../support/node-red.js";
import { needs } from "../support/peers/process.js";

const BASE = "127.0.35";

function request(method: string, uri: string, via: string, more: readonly string[] = []): string {
  const unique = `${method}-${Math.random().toString(36).slice(2)}`;
  return [
    `${method} ${uri} SIP/2.0`,
    `Via: SIP/2.0/${via};branch=z9hG4bK${unique};rport`,
    "Max-Forwards: 70",
    `From: <sip:somebody@${DOMAIN}>;tag=${unique}`,
    `To: <sip:somebody@${DOMAIN}>`,
    `Call-ID: ${unique}`,
    `CSeq: 1 ${method}`,
    ...more,
    "Content-Length: 0",
    "",
    "",
  ].join("\r\n");
}

async function socketAt(address: string): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(0, address);
  await once(socket, "listening");
  return socket;
}

/** The next datagram, as text. */
async function next(socket: Socket, timeoutMs = 3000): Promise<string> {
  const [data] = (await once(socket, "message", { signal: AbortSignal.timeout(timeoutMs) })) as [
    Buffer,
  ];
  return data.toString("latin1");
}

describe("configurations for more than one machine", function () {
  this.timeout(60_000);
  const folders: string[] = [];

  after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

  it("are valid to Kamailio, with topology hiding, too", function () {
    needs(this, "kamailio", "openssl");
    const folder = layOut(new Places(BASE), 3);
    folders.push(folder);
    for (const [where, more] of [
      [CONFIGURATIONS, []],
      [folder, []],
      [folder, ["-A", "WITH_TOPOH"]],
    ] as const) {
      const { stderr } = spawnSync(
        "kamailio",
        ["-c", "-f", join(where, "kamailio.cfg"), "-Y", folder, ...more],
        { encoding: "utf8" },
      );
      assert.match(stderr, /config file ok/, stderr);
    }
  });

  it("are valid to systemd", function () {
    needs(this, "systemd-analyze", "kamailio", "redis-server", "rtpengine");
    const folder = join(CONFIGURATIONS, "systemd");
    const units = readdirSync(folder).map((name) => join(folder, name));
    const { stdout, stderr } = spawnSync("systemd-analyze", ["verify", ...units], {
      encoding: "utf8",
    });
    // What it says about units of this machine is not ours; `ExecStart` of Node-RED is where the document puts it.
    const ours = (stdout + stderr)
      .split("\n")
      .filter((line) => units.some((unit) => line.startsWith(unit)));
    assert.deepEqual(ours, []);
  });

  it("leave a stopping Node-RED more time than it gives its calls", () => {
    const unit = readFileSync(join(CONFIGURATIONS, "systemd/node-red@.service"), "utf8");
    const grace = Number(/sipStackGraceSeconds: (\d+)/.exec(unit)?.[1]);
    assert.ok(Number(/^TimeoutStopSec=(\d+)/m.exec(unit)?.[1]) > grace + 20);
    const compose = readFileSync(join(CONFIGURATIONS, "compose.yaml"), "utf8");
    assert.ok(Number(/stop_grace_period: (\d+)s/.exec(compose)?.[1]) > grace + 20);
  });

  it("are valid to docker compose, or at least have its shape", () => {
    const file = join(CONFIGURATIONS, "compose.yaml");
    if (spawnSync("docker", ["compose", "version"]).status === 0) {
      const { status, stderr } = spawnSync("docker", ["compose", "-f", file, "config", "--quiet"], {
        encoding: "utf8",
      });
      assert.equal(status, 0, stderr);
      return;
    }
    console.error("      NOT TESTED: docker compose is missing; only the shape of its file is");
    const yaml = createRequire(join(nodeRedHome(), "package.json"))("js-yaml") as {
      load(text: string): { services: Record<string, Record<string, unknown>>; volumes: object };
    };
    const { services, volumes } = yaml.load(readFileSync(file, "utf8"));
    const parts = ["kamailio", "rtpengine", "redis", "node-red-1", "node-red-2", "node-red-3"];
    assert.deepEqual(Object.keys(services), parts);
    assert.deepEqual(Object.keys(volumes), parts.slice(3));
    for (const own of Object.values(services)) {
      // Some readers leave the merging to us.
      const service = { ...(own["<<"] as object | undefined), ...own } as Record<string, unknown>;
      assert.equal(service.network_mode, "host");
      assert.equal(service.restart, "always");
      assert.ok(service.image !== undefined || service.build !== undefined);
    }
  });

  describe("in use", () => {
    let fleet: Fleet;

    before(async function () {
      needs(this, "kamailio", "openssl", "sipp", "redis-server", "rtpengine", "kamcmd");
      fleet = await Fleet.start({ base: BASE, instances: 2, redis: true, rtpengine: true });
    });

    after(async () => fleet?.stop());

    it("spread new calls evenly", async () => {
      const { ok, failed, problem } = await new Calls(fleet, {
        story: "ivr",
        calls: 100,
        rate: 50,
      }).result();
      assert.deepEqual({ ok, failed }, { ok: 100, failed: 0 }, problem);
      for (const number of [1, 2]) {
        const { count } = await fleet.count(number);
        assert.ok(Math.abs((count["ivr-ended"] ?? 0) - 50) <= 5, JSON.stringify(count));
      }
    });

    it("let every instance call a telephone that is registered in front, and join it", async () => {
      const phone = await Telephone.start(fleet);
      const watcher = await Watcher.start(fleet);
      try {
        for (const number of [1, 2])
          assert.deepEqual(await fleet.call(number, "alice"), { ok: true });
        assert.deepEqual(await fleet.call(1, "nobody"), { ok: false, status: 480 });
        assert.equal(phone.calls.length, 2);
        const bridged = watcher.call("bridge-alice");
        assert.equal(await bridged.settled(), true, bridged.cause);
        assert.equal(await bridged.hangUp(), true, bridged.cause);
      } finally {
        await watcher.stop();
        await phone.stop();
      }
    });

    it("speak TLS and, to browsers, WSS", async () => {
      const { kamailio } = fleet.places;
      const uri = `sip:${DOMAIN}`;
      const tls = connect({ host: kamailio, port: 5061, rejectUnauthorized: false });
      await once(tls, "secureConnect");
      tls.write(
        request("OPTIONS", uri, "TLS 192.0.2.1:5061", ["Contact: <sip:x@192.0.2.1;transport=tls>"]),
      );
      const [answer] = (await once(tls, "data")) as [Buffer];
      assert.match(answer.toString("latin1"), /^SIP\/2\.0 200 /);
      tls.destroy();
      const browser = new WebSocket(`wss://${kamailio}:5443/`, "sip", {
        rejectUnauthorized: false,
      });
      await once(browser, "open");
      browser.send(
        request("OPTIONS", uri, "WSS x.invalid", ["Contact: <sip:x@x.invalid;transport=ws>"]),
      );
      const [reply] = (await once(browser, "message")) as [Buffer];
      assert.match(reply.toString(), /^SIP\/2\.0 200 /);
      browser.terminate();
    });

    it("add the Path to registrations of an instance at a registrar outside, and nobody else's", async () => {
      const { kamailio } = fleet.places;
      const registrar = await socketAt(fleet.places.at(80));
      const { address, port } = registrar.address();
      const register = (from: string) =>
        request("REGISTER", `sip:${address}:${port}`, `UDP ${from}:5060`, [
          `Contact: <sip:x@${from}:5060>`,
          "Supported: path",
          "Expires: 300",
        ]);
      const instance = await socketAt(fleet.places.instance(1));
      const arrived = next(registrar);
      instance.send(register(fleet.places.instance(1)), 5060, kamailio);
      assert.match(await arrived, new RegExp(`\r\nPath: <sip:${kamailio}[^>]*;lr`));
      const stranger = await socketAt(fleet.places.stranger);
      const refused = next(stranger);
      stranger.send(register(fleet.places.stranger), 5060, kamailio);
      assert.match(await refused, /^SIP\/2\.0 403 /);
      for (const socket of [registrar, instance, stranger]) socket.close();
    });

    it("ask strangers for a password, relay nothing for them, and stop to hear who sends too much", async () => {
      const { kamailio } = fleet.places;
      const stranger = await socketAt(fleet.places.at(71));
      const from = `UDP ${fleet.places.at(71)}:5060`;
      const contact = [`Contact: <sip:x@${fleet.places.at(71)}>`];
      const asked = next(stranger);
      stranger.send(request("INVITE", `sip:ivr@${DOMAIN}`, from, contact), 5060, kamailio);
      assert.match(await asked, /^SIP\/2\.0 (100|407) /);
      stranger.removeAllListeners("message");
      let answers = 0;
      stranger.on("message", () => (answers += 1));
      for (let count = 0; count < 300; count++)
        stranger.send(request("OPTIONS", `sip:${DOMAIN}`, from, contact), 5060, kamailio);
      await new Promise((done) => setTimeout(done, 500));
      stranger.removeAllListeners("message");
      assert.ok(answers < 150, `${answers} answers`);
      stranger.send(request("OPTIONS", `sip:${DOMAIN}`, from, contact), 5060, kamailio);
      await assert.rejects(next(stranger, 300));
      stranger.close();
    });

    it("tell Prometheus", async () => {
      const response = await fetch(`http://${fleet.places.kamailio}:9494/metrics`);
      assert.match(await response.text(), /kamailio_core_rcv_requests/);
      const media = await fetch(`http://${fleet.places.rtpengine}:2225/metrics`);
      assert.match(await media.text(), /^rtpengine_sessions/m);
    });

    it("lose no call while an instance is drained, and give it calls again afterwards", async () => {
      const watcher = await Watcher.start(fleet);
      try {
        const before = [watcher.call("hold"), watcher.call("hold")];
        for (const call of before) assert.equal(await call.settled(), true, call.cause);
        const stream = new Calls(fleet, { story: "ivr", calls: 100, rate: 50 });
        await new Promise((done) => setTimeout(done, 500));
        assert.equal(await fleet.drain(2), 202);
        const { ok, failed, problem } = await stream.result();
        assert.deepEqual({ ok, failed }, { ok: 100, failed: 0 }, problem);
        await fleet.active(1);
        assert.deepEqual(fleet.targets(), [fleet.places.instance(1)]);
        for (const call of before) assert.equal(await call.hangUp(), true, call.cause);
        await fleet.drain(2, "DELETE");
        await fleet.active(2);
      } finally {
        await watcher.stop();
      }
    });

    it("send new calls elsewhere when an instance dies, within 3 s; the others' calls stay", async () => {
      const watcher = await Watcher.start(fleet);
      try {
        const before = Array.from({ length: 4 }, () => watcher.call("hold"));
        for (const call of before) assert.equal(await call.settled(), true, call.cause);
        await fleet.kill(2);
        const after = Array.from({ length: 4 }, () => watcher.call("hold"));
        for (const call of after) {
          assert.equal(await call.settled(), true, call.cause);
          assert.equal(call.instance, fleet.places.instance(1));
          assert.ok((call.answeredAt ?? 0) - call.startedAt < 3000);
        }
        await fleet.active(1);
        const unharmed = before.filter(({ instance }) => instance === fleet.places.instance(1));
        assert.equal(unharmed.length, 2);
        for (const call of [...unharmed, ...after])
          assert.equal(await call.hangUp(), true, call.cause);
        assert.equal((await fleet.count(1)).count["hold-ended"], 7);
      } finally {
        await watcher.stop();
      }
    });
  });
});
