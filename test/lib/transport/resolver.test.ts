/**
 * RFC 3263 §4 as a table: what DNS holds, what is asked for, what is tried in which order. The list of cases
 * covers NAPTR, SRV only, addresses only, explicit ports, numeric hosts, transports, sips, failover order,
 * absent names, dead servers, hostile records and the memory of what is not there.
 */
import assert from "node:assert/strict";
import { parseUri } from "../../../lib/message/index.js";
import { Resolver } from "../../../lib/transport/resolver.js";
import type { ResolveOptions } from "../../../lib/transport/target-plan.js";
import type {
  DnsClient,
  FlowTarget,
  NaptrRecord,
  SrvRecord,
} from "../../../lib/transport/transport.js";
import type { TransportError } from "../../../lib/foundation/index.js";
import { ManualClock, settle } from "../../support/manual-clock.js";
import { SeededRandom } from "../../support/seeded-random.js";

type Zone = Record<string, NaptrRecord[] | SrvRecord[] | string[] | string>;

/** Answers from a table `TYPE name`; a string is an error code, `never` an answer that does not come. */
class FakeDns implements DnsClient {
  readonly asked: string[] = [];
  constructor(public zone: Zone) {}

  resolveNaptr(name: string): Promise<NaptrRecord[]> {
    return this.#answer(`NAPTR ${name}`) as Promise<NaptrRecord[]>;
  }
  resolveSrv(name: string): Promise<SrvRecord[]> {
    return this.#answer(`SRV ${name}`) as Promise<SrvRecord[]>;
  }
  resolve4(name: string): Promise<string[]> {
    return this.#answer(`A ${name}`) as Promise<string[]>;
  }
  resolve6(name: string): Promise<string[]> {
    return this.#answer(`AAAA ${name}`) as Promise<string[]>;
  }

  #answer(question: string): Promise<unknown> {
    this.asked.push(question);
    const found = this.zone[question] ?? "ENODATA";
    if (found === "never") return new Promise(() => undefined);
    if (typeof found !== "string") return Promise.resolve(found);
    return Promise.reject(Object.assign(new Error(found), { code: found }));
  }
}

function naptr(order: number, service: string, replacement: string, flags = "s"): NaptrRecord {
  return { order, preference: 1, flags, service, regexp: "", replacement };
}

function srv(name: string, port = 5060, priority = 1, weight = 0): SrvRecord {
  return { name, port, priority, weight };
}

const ALL = ["udp", "tcp", "tls", "ws", "wss"] as const;

function setUp(zone: Zone) {
  const clock = new ManualClock();
  const dns = new FakeDns(zone);
  const resolver = new Resolver({ dns, clock, random: new SeededRandom(3) });
  const resolve = async (
    uriText: string,
    options: Partial<ResolveOptions> = {},
  ): Promise<{ error: TransportError | undefined; targets: readonly FlowTarget[] }> => {
    const uri = parseUri(uriText);
    assert.ok(uri, uriText);
    let calls = 0;
    let outcome: { error: TransportError | undefined; targets: readonly FlowTarget[] } | undefined;
    resolver.resolve(uri, { protocols: ALL, ...options }, (error, targets) => {
      calls++;
      outcome = { error, targets };
    });
    await settle();
    await clock.advanceAsync(60_000);
    assert.equal(calls, 1, "the callback comes exactly once");
    assert.ok(outcome);
    return outcome;
  };
  return { clock, dns, resolver, resolve };
}

function brief(targets: readonly FlowTarget[]): string[] {
  return targets.map((t) => `${t.protocol} ${t.address} ${t.port}`);
}

const CARRIER: Zone = {
  "NAPTR carrier.example": [
    naptr(30, "SIP+D2U", "_sip._udp.carrier.example"),
    naptr(20, "SIP+D2T", "_sip._tcp.carrier.example"),
    naptr(10, "SIPS+D2T", "_sips._tcp.carrier.example"),
    naptr(5, "E2U+sip", "x.carrier.example", "u"),
  ],
  "SRV _sip._udp.carrier.example": [srv("b.carrier.example", 5060, 2), srv("a.carrier.example")],
  "SRV _sip._tcp.carrier.example": [srv("a.carrier.example", 5070)],
  "SRV _sips._tcp.carrier.example": [srv("s.carrier.example", 5061)],
  "A a.carrier.example": ["192.0.2.1", "192.0.2.2"],
  "A b.carrier.example": ["192.0.2.3"],
  "AAAA b.carrier.example": ["2001:db8::3"],
  "A s.carrier.example": ["192.0.2.4"],
};

const SRV_ONLY: Zone = {
  "SRV _sip._udp.srv.example": [srv("u.srv.example", 5062)],
  "SRV _sip._tcp.srv.example": [srv("t.srv.example", 5063)],
  "A u.srv.example": ["192.0.2.11"],
  "A t.srv.example": ["192.0.2.12"],
};

const PLAIN: Zone = {
  "A plain.example": ["192.0.2.21"],
  "AAAA plain.example": ["2001:db8::21"],
};

interface Case {
  name: string;
  zone: Zone;
  uri: string;
  options?: Partial<ResolveOptions>;
  targets: string[];
  /** Checked when given. */
  asked?: string[];
}

const cases: Case[] = [
  {
    name: "follows NAPTR by order, then SRV by priority, then all addresses",
    zone: CARRIER,
    uri: "sip:carrier.example",
    targets: [
      "tls 192.0.2.4 5061",
      "tcp 192.0.2.1 5070",
      "tcp 192.0.2.2 5070",
      "udp 192.0.2.1 5060",
      "udp 192.0.2.2 5060",
      "udp 192.0.2.3 5060",
      "udp 2001:db8::3 5060",
    ],
  },
  {
    name: "passes over NAPTR records of transports that we do not have",
    zone: CARRIER,
    uri: "sip:carrier.example",
    options: { protocols: ["udp"], families: [4] },
    targets: ["udp 192.0.2.1 5060", "udp 192.0.2.2 5060", "udp 192.0.2.3 5060"],
  },
  {
    name: "takes only secure NAPTR records for sips",
    zone: CARRIER,
    uri: "sips:carrier.example",
    targets: ["tls 192.0.2.4 5061"],
  },
  {
    name: "asks no NAPTR when the URI names a transport",
    zone: CARRIER,
    uri: "sip:carrier.example;transport=tcp",
    targets: ["tcp 192.0.2.1 5070", "tcp 192.0.2.2 5070"],
    asked: ["SRV _sip._tcp.carrier.example", "A a.carrier.example", "AAAA a.carrier.example"],
  },
  {
    name: "asks no NAPTR when the account names a transport",
    zone: CARRIER,
    uri: "sip:carrier.example",
    options: { preferred: "tls" },
    targets: ["tls 192.0.2.4 5061"],
  },
  {
    name: "lets the URI's transport win over the account's",
    zone: CARRIER,
    uri: "sip:carrier.example;transport=TCP",
    options: { preferred: "udp" },
    targets: ["tcp 192.0.2.1 5070", "tcp 192.0.2.2 5070"],
  },
  {
    name: "turns tcp into tls for sips",
    zone: CARRIER,
    uri: "sips:carrier.example;transport=tcp",
    targets: ["tls 192.0.2.4 5061"],
  },
  {
    name: "takes a NAPTR record that leads to an address",
    zone: {
      "NAPTR flat.example": [naptr(1, "SIP+D2T", "host.flat.example", "A")],
      "A host.flat.example": ["192.0.2.31"],
    },
    uri: "sip:flat.example",
    targets: ["tcp 192.0.2.31 5060"],
  },
  {
    name: "finds WebSocket servers by NAPTR",
    zone: {
      "NAPTR web.example": [naptr(1, "SIPS+D2W", "_sips._ws.web.example")],
      "SRV _sips._ws.web.example": [srv("w.web.example", 8443)],
      "A w.web.example": ["192.0.2.41"],
    },
    uri: "sip:web.example",
    targets: ["wss 192.0.2.41 8443"],
  },
  {
    name: "tries SRV over every transport when there is no NAPTR",
    zone: SRV_ONLY,
    uri: "sip:srv.example",
    targets: ["udp 192.0.2.11 5062", "tcp 192.0.2.12 5063"],
  },
  {
    name: "falls back from an SRV server without address to the others",
    zone: {
      "SRV _sip._udp.srv.example": [srv("gone.srv.example"), srv("u.srv.example", 5060, 2)],
      "A u.srv.example": ["192.0.2.11"],
    },
    uri: "sip:srv.example",
    targets: ["udp 192.0.2.11 5060"],
  },
  {
    name: "goes on with SRV and addresses when NAPTR leads nowhere",
    zone: { ...PLAIN, "NAPTR plain.example": [naptr(1, "SIP+D2U", "_sip._udp.nowhere.example")] },
    uri: "sip:plain.example",
    options: { families: [4] },
    targets: ["udp 192.0.2.21 5060"],
  },
  {
    name: "goes on when the DNS server does not know NAPTR at all",
    zone: { ...SRV_ONLY, "NAPTR srv.example": "ENOTIMP" },
    uri: "sip:srv.example",
    options: { protocols: ["udp"] },
    targets: ["udp 192.0.2.11 5062"],
  },
  {
    name: "takes the plain addresses, IPv4 first, when there are no records for SIP",
    zone: PLAIN,
    uri: "sip:bob@plain.example",
    targets: ["udp 192.0.2.21 5060", "udp 2001:db8::21 5060"],
  },
  {
    name: "takes only the families that can be reached",
    zone: PLAIN,
    uri: "sip:plain.example",
    options: { families: [6] },
    targets: ["udp 2001:db8::21 5060"],
  },
  {
    name: "asks neither NAPTR nor SRV when the URI has a port",
    zone: { ...CARRIER, "A carrier.example": ["192.0.2.9"] },
    uri: "sip:carrier.example:5099",
    options: { families: [4] },
    targets: ["udp 192.0.2.9 5099"],
    asked: ["A carrier.example"],
  },
  {
    name: "uses TLS for sips with a port",
    zone: PLAIN,
    uri: "sips:plain.example:5099",
    options: { families: [4] },
    targets: ["tls 192.0.2.21 5099"],
  },
  {
    name: "asks nothing but addresses for localhost",
    zone: { "A localhost": ["127.0.0.1"] },
    uri: "sip:localhost",
    options: { families: [4] },
    targets: ["udp 127.0.0.1 5060"],
    asked: ["A localhost"],
  },
  {
    name: "asks nothing but addresses for mDNS names",
    zone: { "A door.local": ["192.0.2.51"] },
    uri: "sip:door.local",
    options: { families: [4] },
    targets: ["udp 192.0.2.51 5060"],
    asked: ["A door.local"],
  },
  {
    name: "uses maddr instead of the host",
    zone: PLAIN,
    uri: "sip:bob@elsewhere.example;maddr=192.0.2.8",
    targets: ["udp 192.0.2.8 5060"],
    asked: [],
  },
  {
    name: "ignores SRV records that say the service is not offered",
    zone: { ...PLAIN, "SRV _sip._udp.plain.example": [srv(".", 0)] },
    uri: "sip:plain.example",
    options: { families: [4] },
    targets: ["udp 192.0.2.21 5060"],
  },
  {
    name: "takes SRV targets that are addresses",
    zone: { "SRV _sip._udp.odd.example": [srv("192.0.2.61", 5066)] },
    uri: "sip:odd.example;transport=udp",
    targets: ["udp 192.0.2.61 5066"],
  },
  {
    name: "drops addresses that are no single host, and what is no address",
    zone: { "A bad.example": ["224.0.0.1", "0.0.0.0", "not-an-address", "192.0.2.71"] },
    uri: "sip:bad.example",
    targets: ["udp 192.0.2.71 5060"],
  },
  {
    name: "gives at most twenty targets",
    zone: { "A many.example": Array.from({ length: 60 }, (_, i) => `192.0.2.${i + 1}`) },
    uri: "sip:many.example",
    targets: Array.from({ length: 20 }, (_, i) => `udp 192.0.2.${i + 1} 5060`),
  },
  {
    name: "uses the default transport of a stack without UDP",
    zone: PLAIN,
    uri: "sip:plain.example",
    options: { protocols: ["tls"], families: [4] },
    targets: ["tls 192.0.2.21 5061"],
  },
];

describe("the resolver (RFC 3263)", () => {
  for (const c of cases) {
    it(c.name, async () => {
      const { dns, resolve } = setUp(c.zone);
      const { error, targets } = await resolve(c.uri, c.options);
      assert.equal(error, undefined);
      assert.deepEqual(brief(targets), c.targets);
      if (c.asked) assert.deepEqual(dns.asked, c.asked);
    });
  }

  const numeric: [string, Partial<ResolveOptions>, string][] = [
    ["sip:192.0.2.1", {}, "udp 192.0.2.1 5060"],
    ["sip:192.0.2.1:5099", {}, "udp 192.0.2.1 5099"],
    ["sip:[2001:db8::1]", {}, "udp 2001:db8::1 5060"],
    ["sip:192.0.2.1;transport=tcp", {}, "tcp 192.0.2.1 5060"],
    ["sips:192.0.2.1", {}, "tls 192.0.2.1 5061"],
    ["sip:192.0.2.1;transport=tls", {}, "tls 192.0.2.1 5061"],
    ["sip:192.0.2.1;transport=ws", {}, "ws 192.0.2.1 80"],
    ["sip:192.0.2.1;transport=ws", { preferred: "wss" }, "wss 192.0.2.1 443"],
    ["sip:192.0.2.1;transport=ws", { protocols: ["wss"] }, "wss 192.0.2.1 443"],
    ["sips:192.0.2.1;transport=ws", {}, "wss 192.0.2.1 443"],
    ["sip:192.0.2.1", { preferred: "tcp" }, "tcp 192.0.2.1 5060"],
    ["sips:192.0.2.1", { preferred: "udp" }, "tls 192.0.2.1 5061"],
    ["sip:192.0.2.1", { protocols: ["tcp"] }, "tcp 192.0.2.1 5060"],
  ];
  for (const [uriText, options, expected] of numeric) {
    it(`answers ${uriText} ${JSON.stringify(options)} at once and without DNS`, () => {
      const { dns, resolver } = setUp({});
      const uri = parseUri(uriText);
      assert.ok(uri);
      let got: string[] | undefined;
      resolver.resolve(uri, { protocols: ALL, ...options }, (error, targets) => {
        assert.equal(error, undefined);
        got = brief(targets);
      });
      assert.deepEqual(got, [expected]);
      assert.deepEqual(dns.asked, []);
    });
  }

  const refused: [string, Partial<ResolveOptions>, RegExp][] = [
    ["sip:192.0.2.1;transport=sctp", {}, /"sctp" is not known/],
    ["sips:192.0.2.1;transport=udp", {}, /sips and UDP exclude each other/],
    ["sips:192.0.2.1", { protocols: ["udp", "tcp"] }, /add a TLS transport/i],
    ["sip:192.0.2.1;transport=tls", { protocols: ["udp", "tcp"] }, /no TLS transport/],
    ["tel:+4930123", {}, /telephone number needs/],
    ["mailto:bob@example.com", {}, /cannot send to mailto/],
  ];
  for (const [uriText, options, words] of refused) {
    it(`refuses ${uriText} for ${JSON.stringify(options)} in words`, () => {
      const { resolver } = setUp({});
      const uri = parseUri(uriText);
      assert.ok(uri);
      let text = "";
      resolver.resolve(uri, { protocols: ALL, ...options }, (error, targets) => {
        assert.deepEqual(targets, []);
        text = error?.message ?? "";
      });
      assert.match(text, words);
    });
  }

  it("names the domain that was asked for, not the server, for certificates (RFC 5922 §4)", async () => {
    const { resolve } = setUp(CARRIER);
    const { targets } = await resolve("sips:carrier.example");
    assert.equal(targets[0]?.serverName, "carrier.example");
    const udp = await resolve("sip:carrier.example;transport=udp");
    assert.equal(udp.targets[0]?.serverName, undefined);
  });

  it("lets large requests move to TCP only where UDP was not demanded (RFC 3261 §18.1.1)", async () => {
    const { resolve } = setUp(PLAIN);
    const byDefault = await resolve("sip:plain.example");
    assert.equal(byDefault.targets[0]?.mayUseTcp, true);
    const demanded = await resolve("sip:plain.example;transport=udp");
    assert.equal(demanded.targets[0]?.mayUseTcp, false);
    const withoutTcp = await resolve("sip:plain.example", { protocols: ["udp"] });
    assert.equal(withoutTcp.targets[0]?.mayUseTcp, false);
  });

  it("passes the path on to WebSocket targets", async () => {
    const { resolve } = setUp(PLAIN);
    const { targets } = await resolve("sip:plain.example;transport=ws", { path: "/sip" });
    assert.equal(targets[0]?.path, "/sip");
    assert.equal(targets[0].serverName, "plain.example");
  });

  it("says in words that a host does not exist", async () => {
    const { resolve } = setUp({});
    const { error } = await resolve("sip:nobody.example");
    assert.equal(error?.code, "E_DNS");
    assert.match(error?.message ?? "", /nobody\.example has no IPv4 or IPv6 address.*spelling/);
  });

  it("says in words that DNS is out of order", async () => {
    const { resolve } = setUp({
      "A dead.example": "ESERVFAIL",
      "AAAA dead.example": "ESERVFAIL",
    });
    const { error } = await resolve("sip:dead.example:5060");
    assert.equal(error?.code, "E_DNS");
    assert.match(error?.message ?? "", /dead\.example could not be looked up \(ESERVFAIL\)/);
  });

  it("does not wait for a server that never answers", async () => {
    const { resolve, clock } = setUp({
      "NAPTR silent.example": "never",
      "A silent.example": "never",
      "AAAA silent.example": "never",
    });
    const { error } = await resolve("sip:silent.example");
    assert.match(error?.message ?? "", /timeout/);
    assert.equal(clock.pendingTimers(), 0);
  });

  it("keeps host names that a peer chose away from this machine", async () => {
    const { resolve } = setUp({ "A evil.example": ["127.0.0.1"], "AAAA evil.example": ["::1"] });
    const refusal = await resolve("sip:evil.example:25", { allowLoopback: false });
    assert.match(refusal.error?.message ?? "", /this machine itself/);
    const ours = await resolve("sip:evil.example:5060");
    assert.equal(ours.targets.length, 2);
  });

  it("remembers for a while what is not there, and asks again later", async () => {
    const { dns, clock, resolver } = setUp({});
    const ask = async (): Promise<void> => {
      const uri = parseUri("sip:new.example:5060");
      assert.ok(uri);
      resolver.resolve(uri, { protocols: ALL, families: [4] }, () => undefined);
      await settle();
    };
    await ask();
    await ask();
    assert.deepEqual(dns.asked, ["A new.example"]);
    clock.advance(31_000);
    await ask();
    assert.deepEqual(dns.asked, ["A new.example", "A new.example"]);
  });

  it("asks again after two seconds when DNS had failed, so that a returning network is noticed", async () => {
    const { dns, clock, resolver } = setUp({ "A back.example": "ETIMEOUT" });
    const found: string[][] = [];
    const ask = async (): Promise<void> => {
      const uri = parseUri("sip:back.example:5060");
      assert.ok(uri);
      resolver.resolve(uri, { protocols: ALL, families: [4] }, (_error, targets) =>
        found.push(brief(targets)),
      );
      await settle();
    };
    await ask();
    dns.zone = { "A back.example": ["192.0.2.1"] };
    await ask();
    clock.advance(2_100);
    await ask();
    assert.deepEqual(found, [[], [], ["udp 192.0.2.1 5060"]]);
  });

  it("asks once for many who ask at the same time", async () => {
    const { dns, resolver } = setUp(PLAIN);
    const uri = parseUri("sip:plain.example:5060");
    assert.ok(uri);
    let answers = 0;
    for (let i = 0; i < 50; i++) {
      resolver.resolve(uri, { protocols: ALL, families: [4] }, () => answers++);
    }
    await settle();
    assert.equal(answers, 50);
    assert.deepEqual(dns.asked, ["A plain.example"]);
  });

  it("keeps a fault of the caller to itself", async () => {
    const clock = new ManualClock();
    const errors: string[] = [];
    const quiet = (): void => undefined;
    const resolver = new Resolver({
      dns: new FakeDns(PLAIN),
      clock,
      random: new SeededRandom(1),
      logger: { debug: quiet, info: quiet, warn: quiet, error: (text) => errors.push(text) },
    });
    const uri = parseUri("sip:plain.example:5060");
    assert.ok(uri);
    resolver.resolve(uri, { protocols: ALL }, () => {
      throw new Error("boom");
    });
    await settle();
    assert.match(errors.join(), /boom/);
  });
});
