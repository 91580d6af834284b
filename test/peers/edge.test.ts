/**
 * The ways that proxies set, with real Kamailios: an edge with Path and flow tokens before a registrar with Service-Route, for a
 * client whose Contact nobody can reach; two proxies of which one is strict and the other changes the transport; a pair of
 * proxies under one name of which one dies in mid-call.
 */
import assert from "node:assert/strict";
import type { SipRequest } from "../../lib/index.js";
import {
  type AccountOptions,
  type Session,
  UserAgent,
  type UserAgentOptions,
} from "../../lib/index.js";
import { DnsServer } from "../support/dns-server.js";
import { pause } from "../support/node-red.js";
import { IN_DIALOG, KamailioProxy } from "../support/peers/kamailio-proxy.js";
import { needs } from "../support/peers/process.js";

const sdp = (address: string, direction = "sendrecv"): string =>
  `v=0\r\no=- 1 1 IN IP4 ${address}\r\ns=-\r\nc=IN IP4 ${address}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=${direction}\r\n`;

/** A user agent that answers every call, and what crossed its wires. */
class Telephone {
  readonly userAgent: UserAgent;
  readonly calls: Session[] = [];
  readonly sent: SipRequest[] = [];
  readonly received: SipRequest[] = [];

  constructor(
    readonly address: string,
    options: UserAgentOptions = {},
  ) {
    this.userAgent = new UserAgent({
      transports: [
        { protocol: "udp", address, port: 5060 },
        { protocol: "tcp", address, port: 5060 },
      ],
      ...options,
    });
    this.userAgent.addSupplement({
      incomingRequest: (message) => void this.received.push(message.message),
      outgoingRequest: (message) => void this.sent.push(message.message),
    });
    this.userAgent.onIncomingCall = (session) => {
      this.calls.push(session);
      void session.accept({ sdp: sdp(address) });
      return true;
    };
    this.userAgent.on("sessionEvent", (_session, event) => {
      if (event.name === "reinvite") void event.pending?.accept({ sdp: sdp(address, "recvonly") });
    });
    this.userAgent.requestPolicy = () => ({ listened: true, holdMs: 500 });
  }

  last(list: "sent" | "received", method: string): SipRequest {
    const found = this[list].findLast((request) => request.method === method);
    assert.ok(found, `${method} ${list}: ${this[list].map((one) => one.method).join()}`);
    return found;
  }
}

async function until(condition: () => boolean, what: string, ms = 8_000): Promise<void> {
  const end = Date.now() + ms;
  while (!condition()) {
    assert.ok(Date.now() < end, `${what} in ${ms} ms`);
    await pause(20);
  }
}

/** Both ways of a dialog: the callee puts the caller on hold, the caller asks, the one named hangs up. */
async function talk(caller: Session, callee: Telephone, endedBy: "caller" | "callee") {
  const called = callee.calls.at(-1);
  assert.ok(called);
  assert.equal(called.state, "established");
  const held = await called.reinvite({ action: "hold", sdp: sdp(callee.address, "sendonly") });
  assert.equal(held.ok, true, `hold: ${held.statusCode}`);
  const asked = await caller.request({ method: "OPTIONS" });
  assert.equal(asked.ok, true, `OPTIONS: ${asked.statusCode}`);
  await (endedBy === "caller" ? caller : called).end();
  await until(() => called.state === "terminated" && caller.state === "terminated", "the end");
  const causes = [caller.snapshot().cause, called.snapshot().cause];
  assert.deepEqual(
    causes,
    endedBy === "caller" ? ["local-bye", "remote-bye"] : ["remote-bye", "local-bye"],
  );
}

const routes = (request: SipRequest): string[] => request.headers.getAll("route");
const recorded = (request: SipRequest): string[] => request.headers.getAll("record-route");

describe("proxies between us and the others", function () {
  this.timeout(60_000);
  const phones: Telephone[] = [];
  const proxies: KamailioProxy[] = [];
  let dns: DnsServer | undefined;

  before(function () {
    needs(this, "kamailio");
  });

  afterEach(async () => {
    for (const { userAgent } of phones.splice(0)) await userAgent.stop();
    for (const proxy of proxies.splice(0)) await proxy.dispose();
    await dns?.stop();
    dns = undefined;
  });

  async function proxy(
    address: string,
    script: string,
    modules: string[] = [],
  ): Promise<KamailioProxy> {
    const made = new KamailioProxy({ address, script, modules });
    proxies.push(made);
    return made.start();
  }

  async function phone(address: string, options: UserAgentOptions = {}): Promise<Telephone> {
    const made = new Telephone(address, options);
    phones.push(made);
    await made.userAgent.start();
    return made;
  }

  async function register(
    { userAgent }: Telephone,
    user: string,
    change: Partial<AccountOptions>,
  ): Promise<string> {
    const account = userAgent.addAccount({
      id: user,
      uri: `sip:${user}@sip.test`,
      registrar: "sip:127.0.31.3:5060",
      register: false,
      ...change,
    });
    const outcome = await account.register();
    assert.equal(outcome.ok, true, `${user}: ${outcome.statusCode} ${outcome.reason}`);
    return outcome.message?.headers.get("path") ?? "";
  }

  async function call(from: Telephone, account: string, target: string): Promise<Session> {
    const session = from.userAgent.invite({
      targets: [target],
      account,
      sdp: sdp(from.address),
    });
    await until(() => session.state === "established" || session.state === "terminated", "answer");
    assert.equal(session.state, "established", session.snapshot().cause);
    return session;
  }

  const REGISTRAR = `
alias="sip.test"
modparam("usrloc", "db_mode", 0)
modparam("registrar", "use_path", 1)
modparam("registrar", "path_mode", 2)
modparam("registrar", "path_check_local", 0)
modparam("registrar", "outbound_mode", 1)
modparam("registrar", "gruu_enabled", 0)
request_route {
${IN_DIALOG}
	if (is_method("REGISTER")) {
		append_to_reply("Service-Route: <sip:127.0.31.2:5060;lr;of=registrar>\\r\\n");
		if (!save("location")) sl_reply_error();
		exit;
	}
	loose_route();
	remove_hf("Route");
	if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
	append_hf("P-Asserted-Identity: <sip:boss@sip.test>\\r\\n");
	record_route();
	t_relay();
}`;

  const EDGE = `
listen=tcp:127.0.31.2:5070
modparam("outbound", "force_outbound_flag", 1)
modparam("outbound", "flow_token_secret", "of this test, 20 char")
modparam("rr", "enable_double_rr", 1)
request_route {
	setflag(1);
${IN_DIALOG}
	$var(token) = $(hdr(Route){nameaddr.uri}{uri.user});
	loose_route();
	# Kamailio would record the flow of the registrar, not the one that leads to the client (RFC 5626 §5.3).
	if ($si == "127.0.31.3") {
		insert_hf("Record-Route: <sip:$var(token)@127.0.31.2:5060;lr>\r\n", "Record-Route");
		t_relay(); exit;
	}
	remove_hf("Route");
	if (is_method("REGISTER")) { if (!add_path()) { sl_send_reply("503", "No Path"); exit; } }
	else record_route();
	$du = "sip:127.0.31.3:5060";
	t_relay();
}`;

  it("register through an edge by Path, are called over its flow token, and send that back unchanged", async function () {
    await proxy("127.0.31.3", REGISTRAR, ["usrloc", "registrar"]);
    try {
      await proxy("127.0.31.2", EDGE, ["path", "outbound"]);
    } catch (error) {
      if (!/could not find module <outbound/.test(String(error))) throw error;
      console.error("      NOT TESTED: kamailio-outbound-modules missing on this machine");
      this.skip();
    }
    // Nobody reaches its Contact.
    const alice = await phone("127.0.31.21", {
      transports: [
        { protocol: "tcp", address: "127.0.31.21", port: 5060, advertise: "192.0.2.1:5999" },
      ],
    });
    const bob = await phone("127.0.31.22", { trusted: ["127.0.31.0/30"] });
    const outboundProxy = "sip:127.0.31.2:5060;transport=tcp";
    const path = await register(alice, "alice", { outboundProxy, outbound: true });
    assert.match(path, /^<sip:[\w+/=-]{10,}@127\.0\.31\.2.*;ob/);
    await register(bob, "bob", { outboundProxy: "sip:127.0.31.2:5060" });
    assert.match(alice.last("sent", "REGISTER").headers.get("supported") ?? "", /\bpath\b/);

    const session = await call(alice, "alice", "sip:bob@sip.test");
    const [first, ...more] = routes(alice.last("sent", "INVITE"));
    assert.match(first ?? "", /^<sip:127\.0\.31\.2:5060;transport=tcp;lr>/);
    assert.deepEqual(
      more,
      ["<sip:127.0.31.2:5060;lr;of=registrar>"].slice(more.length === 0 ? 1 : 0),
    );
    assert.match(alice.last("sent", "INVITE").headers.get("contact") ?? "", /192\.0\.2\.1.*;ob/);
    const invite = bob.last("received", "INVITE");
    assert.ok(recorded(invite).length >= 3, recorded(invite).join());
    assert.ok(recorded(invite).some((line) => /<sip:[\w+/=-]{10,}@127\.0\.31\.2/.test(line)));
    assert.equal(bob.calls[0]?.snapshot().remote.uri, "sip:boss@sip.test");
    await talk(session, bob, "callee");
    assert.deepEqual(routes(bob.last("sent", "BYE")), recorded(invite));

    const back = await call(bob, "bob", "sip:alice@sip.test");
    await talk(back, alice, "callee");
    assert.deepEqual(routes(alice.last("sent", "BYE")), recorded(alice.last("received", "INVITE")));
    const again = await call(bob, "bob", "sip:alice@sip.test");
    await talk(again, alice, "caller");
  });

  it("go through two that stay in the way, one strict, one that changes the transport", async () => {
    await proxy(
      "127.0.31.4",
      `listen=tcp:127.0.31.4:5070
modparam("rr", "enable_double_rr", 1)
request_route {
${IN_DIALOG}
	loose_route();
	remove_hf("Route");
	record_route();
	$du = "sip:127.0.31.5:5060;transport=tcp";
	$fs = "tcp:127.0.31.4:5070";
	t_relay();
}`,
    );
    // Without lr: RFC 2543.
    await proxy(
      "127.0.31.5",
      `request_route {
${IN_DIALOG}
	insert_hf("Record-Route: <sip:127.0.31.5:5060;transport=tcp>\\r\\n", "Record-Route");
	t_relay();
}`,
    );
    const alice = await phone("127.0.31.21");
    const bob = await phone("127.0.31.22");
    alice.userAgent.addAccount({
      id: "alice",
      uri: "sip:alice@sip.test",
      outboundProxy: "sip:127.0.31.4:5060",
      register: false,
    });
    for (const endedBy of ["caller", "callee"] as const) {
      const session = await call(alice, "alice", "sip:bob@127.0.31.22:5060");
      const lines = recorded(bob.last("received", "INVITE"));
      assert.equal(lines.length, 3, lines.join());
      await talk(session, bob, endedBy);
      // To the strict one goes its own address; the caller's is last.
      const held = bob.last("sent", "INVITE");
      assert.equal(held.uri, "sip:127.0.31.5:5060;transport=tcp");
      assert.deepEqual(routes(held).slice(0, 2), lines.slice(1));
      assert.match(routes(held)[2] ?? "", /^<sip:alice@127\.0\.31\.21/);
      const asked = alice.last("sent", "OPTIONS");
      assert.match(asked.uri, /^sip:.*@127\.0\.31\.22/);
      assert.deepEqual(routes(asked), [...lines].reverse());
    }
  });

  it("find the other one of a pair under one name when theirs dies in mid-call", async () => {
    const pair = `alias="edge.test"
request_route {
${IN_DIALOG}
	loose_route();
	remove_hf("Route");
	record_route_preset("edge.test");
	t_relay();
}`;
    const first = await proxy("127.0.31.6", pair);
    await proxy("127.0.31.7", pair);
    dns = await new DnsServer().start();
    const srv = (priority: number, name: string) =>
      ({ type: "SRV", priority, weight: 0, port: 5060, name }) as const;
    dns.zone.set("_sip._udp.edge.test", [srv(1, "one.edge.test"), srv(2, "two.edge.test")]);
    dns.zone.set("one.edge.test", [{ type: "A", address: "127.0.31.6" }]);
    dns.zone.set("two.edge.test", [{ type: "A", address: "127.0.31.7" }]);
    const udp = (address: string): UserAgentOptions => ({
      transports: [{ protocol: "udp", address, port: 5060 }],
      dnsServers: [dns?.address ?? ""],
      timers: { t1: 100 },
    });
    const alice = await phone("127.0.31.21", udp("127.0.31.21"));
    const bob = await phone("127.0.31.22", udp("127.0.31.22"));
    alice.userAgent.addAccount({
      id: "alice",
      uri: "sip:alice@sip.test",
      outboundProxy: "sip:edge.test",
      register: false,
    });
    const ended = await call(alice, "alice", "sip:bob@127.0.31.22:5060");
    const other = await call(alice, "alice", "sip:bob@127.0.31.22:5060");
    const theirs = bob.calls[1];
    assert.ok(theirs);
    assert.match(recorded(bob.last("received", "INVITE")).join(), /^<sip:edge\.test;.*lr>$/);
    assert.equal(bob.last("received", "INVITE").source?.address, "127.0.31.6");
    await first.stop();
    const since = Date.now();
    assert.equal((await ended.request({ method: "OPTIONS" })).ok, true);
    assert.equal(bob.last("received", "OPTIONS").source?.address, "127.0.31.7");
    const held = await other.reinvite({ action: "hold", sdp: sdp(alice.address, "sendonly") });
    assert.equal(held.ok, true);
    await until(() => bob.last("received", "ACK").cseq.sequence > 1, "the ACK");
    await ended.end();
    assert.equal(bob.last("received", "BYE").source?.address, "127.0.31.7");
    await theirs.end();
    await until(() => other.state === "terminated", "the BYE of the called one");
    assert.equal(other.snapshot().cause, "remote-bye");
    // And new calls.
    const fresh = await call(alice, "alice", "sip:bob@127.0.31.22:5060");
    assert.equal(bob.last("received", "INVITE").source?.address, "127.0.31.7");
    await fresh.end();
    console.log(`      ${Date.now() - since} ms with the other one`);
  });
});
