/**
 * The resolver against a fake DNS as a table of named cases (RFC 3263, RFC 2782, RFC 3403): order, preference and
 * services of NAPTR, priorities and weights of SRV, ports and transports, families, what is absent, broken, hostile
 * or too much. test/lib/transport/resolver.test.ts has the words of its errors and its memory.
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
import { ManualClock, settle } from "../../support/manual-clock.js";
import { SeededRandom } from "../../support/seeded-random.js";

type Zone = Record<string, readonly unknown[] | string>;

class FakeDns implements DnsClient {
  readonly asked: string[] = [];
  constructor(public zone: Zone) {}
  resolveNaptr = (name: string) => this.#answer<NaptrRecord>(`NAPTR ${name}`);
  resolveSrv = (name: string) => this.#answer<SrvRecord>(`SRV ${name}`);
  resolve4 = (name: string) => this.#answer<string>(`A ${name}`);
  resolve6 = (name: string) => this.#answer<string>(`AAAA ${name}`);

  #answer<R>(question: string): Promise<R[]> {
    this.asked.push(question);
    const found = this.zone[question] ?? "ENODATA";
    if (typeof found !== "string") return Promise.resolve([...found] as R[]);
    return Promise.reject(Object.assign(new Error(found), { code: found }));
  }
}

function naptr(
  order: number,
  preference: number,
  service: string,
  replacement: string,
  flags = "s",
) {
  return { order, preference, flags, service, regexp: "", replacement };
}

function srv(priority: number, name: string, port = 5060, weight = 0): SrvRecord {
  return { priority, weight, port, name };
}

async function targetsOf(
  zone: Zone,
  uriText: string,
  options: Partial<ResolveOptions> = {},
  random = new SeededRandom(3),
) {
  const clock = new ManualClock();
  const dns = new FakeDns(zone);
  const resolver = new Resolver({ dns, clock, random });
  const uri = parseUri(uriText);
  assert.ok(uri, uriText);
  let found: readonly FlowTarget[] | undefined;
  let code: string | undefined;
  resolver.resolve(
    uri,
    { protocols: ["udp", "tcp", "tls"], families: [4], ...options },
    (error, targets) => {
      code = error?.code;
      found = targets;
    },
  );
  await settle();
  await clock.advanceAsync(10_000);
  assert.ok(found, "called back");
  const places = found.map((t) => `${t.protocol} ${t.address}:${t.port}`);
  return { places, code, asked: dns.asked, targets: found };
}

const HOSTS: Zone = {
  "A one.test": ["192.0.2.1"],
  "A two.test": ["192.0.2.2"],
  "A three.test": ["192.0.2.3"],
  "AAAA one.test": ["2001:db8::1"],
  "AAAA two.test": ["2001:db8::2"],
};

const BOTH: Partial<ResolveOptions> = { families: [4, 6] };

const table: [
  name: string,
  zone: Zone,
  uri: string,
  expected: readonly string[] | "E_DNS" | "E_TRANSPORT",
  options?: Partial<ResolveOptions>,
][] = [
  [
    "NAPTR: the lower order first",
    {
      ...HOSTS,
      "NAPTR home.test": [
        naptr(20, 1, "SIP+D2U", "_sip._udp.home.test"),
        naptr(10, 9, "SIP+D2T", "_sip._tcp.home.test"),
      ],
      "SRV _sip._udp.home.test": [srv(1, "one.test")],
      "SRV _sip._tcp.home.test": [srv(1, "two.test")],
    },
    "sip:home.test",
    ["tcp 192.0.2.2:5060", "udp 192.0.2.1:5060"],
  ],
  [
    "NAPTR: within one order the lower preference first",
    {
      ...HOSTS,
      "NAPTR home.test": [
        naptr(10, 20, "SIP+D2U", "u.home.test"),
        naptr(10, 10, "SIP+D2T", "t.home.test"),
      ],
      "SRV u.home.test": [srv(1, "one.test")],
      "SRV t.home.test": [srv(1, "two.test")],
    },
    "sip:home.test",
    ["tcp 192.0.2.2:5060", "udp 192.0.2.1:5060"],
  ],
  [
    "NAPTR: services of other protocols are passed over",
    {
      ...HOSTS,
      "NAPTR home.test": [
        naptr(1, 1, "E2U+sip", "x.home.test", "u"),
        naptr(2, 1, "SIP+D2S", "s.home.test"),
        naptr(3, 1, "sip+d2u", "u.home.test"),
      ],
      "SRV s.home.test": [srv(1, "three.test")],
      "SRV u.home.test": [srv(1, "one.test")],
    },
    "sip:home.test",
    ["udp 192.0.2.1:5060"],
  ],
  [
    "NAPTR: sips takes SIPS+D2T alone",
    {
      ...HOSTS,
      "NAPTR home.test": [
        naptr(1, 1, "SIP+D2T", "t.home.test"),
        naptr(2, 1, "SIPS+D2T", "s.home.test"),
      ],
      "SRV t.home.test": [srv(1, "one.test")],
      "SRV s.home.test": [srv(1, "two.test", 5061)],
    },
    "sips:home.test",
    ["tls 192.0.2.2:5061"],
  ],
  [
    "NAPTR: a record without replacement is none",
    {
      ...HOSTS,
      "NAPTR home.test": [naptr(1, 1, "SIP+D2U", ""), naptr(2, 1, "SIP+D2U", ".")],
      "A home.test": ["192.0.2.9"],
    },
    "sip:home.test",
    ["udp 192.0.2.9:5060"],
  ],
  [
    "NAPTR: a record with an unknown flag is none",
    {
      ...HOSTS,
      "NAPTR home.test": [naptr(1, 1, "SIP+D2U", "one.test", "p")],
      "A home.test": ["192.0.2.9"],
    },
    "sip:home.test",
    ["udp 192.0.2.9:5060"],
  ],
  [
    "NAPTR: one that names itself ends in the plain address",
    { "NAPTR home.test": [naptr(1, 1, "SIP+D2U", "home.test")], "A home.test": ["192.0.2.9"] },
    "sip:home.test",
    ["udp 192.0.2.9:5060"],
  ],
  [
    "NAPTR refused by the DNS server: SRV is asked all the same",
    {
      ...HOSTS,
      "NAPTR home.test": "ESERVFAIL",
      "SRV _sip._udp.home.test": [srv(1, "one.test")],
    },
    "sip:home.test",
    ["udp 192.0.2.1:5060"],
  ],
  [
    "SRV: the lower priority first, the others for failover",
    {
      ...HOSTS,
      "SRV _sip._udp.home.test": [srv(30, "three.test"), srv(10, "one.test"), srv(20, "two.test")],
    },
    "sip:home.test;transport=udp",
    ["udp 192.0.2.1:5060", "udp 192.0.2.2:5060", "udp 192.0.2.3:5060"],
  ],
  [
    "SRV: the record's port counts",
    { ...HOSTS, "SRV _sip._tcp.home.test": [srv(1, "one.test", 5999)] },
    "sip:home.test;transport=tcp",
    ["tcp 192.0.2.1:5999"],
  ],
  [
    "SRV: sips asks _sips._tcp",
    { ...HOSTS, "SRV _sips._tcp.home.test": [srv(1, "one.test", 5061)] },
    "sips:home.test",
    ["tls 192.0.2.1:5061"],
  ],
  [
    "SRV: transport=tls asks _sips._tcp",
    { ...HOSTS, "SRV _sips._tcp.home.test": [srv(1, "one.test", 5061)] },
    "sip:home.test;transport=tls",
    ["tls 192.0.2.1:5061"],
  ],
  [
    "SRV over TCP alone, as some providers have it",
    { ...HOSTS, "SRV _sip._tcp.home.test": [srv(1, "one.test"), srv(2, "two.test")] },
    "sip:home.test",
    ["tcp 192.0.2.1:5060", "tcp 192.0.2.2:5060"],
  ],
  [
    "SRV: a target of `.` says that there is no such service",
    { "SRV _sip._udp.home.test": [srv(0, ".", 0)], "A home.test": ["192.0.2.9"] },
    "sip:home.test;transport=udp",
    ["udp 192.0.2.9:5060"],
  ],
  [
    "SRV: ports that cannot be are passed over",
    {
      ...HOSTS,
      "SRV _sip._udp.home.test": [
        srv(1, "one.test", 0),
        srv(2, "two.test", 70_000),
        srv(3, "three.test"),
      ],
    },
    "sip:home.test;transport=udp",
    ["udp 192.0.2.3:5060"],
  ],
  [
    "SRV: a server without address is passed over",
    { ...HOSTS, "SRV _sip._udp.home.test": [srv(1, "none.test"), srv(2, "two.test")] },
    "sip:home.test;transport=udp",
    ["udp 192.0.2.2:5060"],
  ],
  [
    "SRV: a server whose address cannot be looked up is passed over",
    {
      ...HOSTS,
      "SRV _sip._udp.home.test": [srv(1, "bad.test"), srv(2, "two.test")],
      "A bad.test": "ESERVFAIL",
    },
    "sip:home.test;transport=udp",
    ["udp 192.0.2.2:5060"],
  ],
  [
    "SRV: one server under two names is one target",
    {
      ...HOSTS,
      "A also-one.test": ["192.0.2.1"],
      "SRV _sip._udp.home.test": [srv(1, "one.test"), srv(2, "also-one.test"), srv(3, "two.test")],
    },
    "sip:home.test;transport=udp",
    ["udp 192.0.2.1:5060", "udp 192.0.2.2:5060"],
  ],
  [
    "SRV: one that names its own domain is followed once",
    { "SRV _sip._udp.home.test": [srv(1, "home.test")], "A home.test": ["192.0.2.9"] },
    "sip:home.test;transport=udp",
    ["udp 192.0.2.9:5060"],
  ],
  [
    "A and AAAA: both families of each server, before the next server",
    { ...HOSTS, "SRV _sip._udp.home.test": [srv(1, "one.test"), srv(2, "two.test")] },
    "sip:home.test;transport=udp",
    ["udp 192.0.2.1:5060", "udp 2001:db8::1:5060", "udp 192.0.2.2:5060", "udp 2001:db8::2:5060"],
    BOTH,
  ],
  [
    "AAAA alone: a stack with IPv6 reaches it",
    { "AAAA six.test": ["2001:db8::6"] },
    "sip:six.test",
    ["udp 2001:db8::6:5060"],
    BOTH,
  ],
  [
    "AAAA alone: a stack without IPv6 does not",
    { "AAAA six.test": ["2001:db8::6"] },
    "sip:six.test",
    "E_DNS",
  ],
  [
    "an explicit port: addresses alone",
    {
      "NAPTR home.test": [naptr(1, 1, "SIP+D2T", "_sip._tcp.home.test")],
      "SRV _sip._tcp.home.test": [srv(1, "one.test")],
      "A home.test": ["192.0.2.9"],
    },
    "sip:home.test:5070",
    ["udp 192.0.2.9:5070"],
  ],
  ["a numeric host: no DNS", {}, "sip:192.0.2.7;transport=tcp", ["tcp 192.0.2.7:5060"]],
  ["a numeric IPv6 host: no DNS", {}, "sip:[2001:db8::7]:5080", ["udp 2001:db8::7:5080"]],
  ["a name that does not exist", { "A none.test": "ENOTFOUND" }, "sip:none.test", "E_DNS"],
  ["DNS out of order", { "A bad.test": "ESERVFAIL" }, "sip:bad.test:5060", "E_DNS"],
  [
    "an answer that is no address",
    { "A bad.test": ["one.test", ""] },
    "sip:bad.test:5060",
    "E_DNS",
  ],
  ["a transport that the stack lacks", HOSTS, "sip:one.test;transport=ws", "E_TRANSPORT"],
  ["a telephone number without account", {}, "tel:+4930123456", "E_TRANSPORT"],
  ["a peer's word for this machine", {}, "sip:127.9.9.9", "E_DNS", { allowLoopback: false }],
  ["the same in IPv6", {}, "sip:[::ffff:127.0.0.1]:22", "E_DNS", { allowLoopback: false }],
  ["an address that is every one", {}, "sip:0.0.0.0", "E_DNS", { allowLoopback: false }],
  [
    "a peer's name that leads to this machine",
    { "A evil.test": ["127.0.0.1"] },
    "sip:evil.test:22",
    "E_DNS",
    { allowLoopback: false },
  ],
  [
    "a peer's name that leads to this machine through SRV",
    { "SRV _sip._udp.evil.test": [srv(1, "localhost")], "A localhost": ["127.0.0.1"] },
    "sip:evil.test;transport=udp",
    "E_DNS",
    { allowLoopback: false },
  ],
  [
    "more servers than anybody needs: ten are looked up",
    {
      "SRV _sip._udp.big.test": Array.from({ length: 300 }, (_, i) => srv(i, `h${i}.test`)),
      ...Object.fromEntries(
        Array.from({ length: 300 }, (_, i) => [`A h${i}.test`, [`198.51.100.${i % 250}`]]),
      ),
    },
    "sip:big.test;transport=udp",
    Array.from({ length: 10 }, (_, i) => `udp 198.51.100.${i}:5060`),
  ],
  [
    "more addresses than anybody needs: twenty are tried",
    { "A big.test": Array.from({ length: 250 }, (_, i) => `198.51.100.${i + 1}`) },
    "sip:big.test:5060",
    Array.from({ length: 20 }, (_, i) => `udp 198.51.100.${i + 1}:5060`),
  ],
];

describe("where a URI leads (RFC 3263), case by case", () => {
  it("are at least 26 cases", () => assert.ok(table.length >= 26));

  for (const [name, zone, uri, expected, options] of table) {
    it(name, async () => {
      const { places, code } = await targetsOf(zone, uri, options);
      if (typeof expected === "string") assert.deepEqual([code, places], [expected, []]);
      else assert.deepEqual(places, expected);
    });
  }

  it("SRV: weights share the load, and everybody stays in the list", async () => {
    const zone: Zone = {
      ...HOSTS,
      "SRV _sip._udp.home.test": [
        srv(1, "one.test", 5060, 80),
        srv(1, "two.test", 5060, 20),
        srv(1, "three.test", 5060, 0),
      ],
    };
    const first = new Map<string, number>();
    const random = new SeededRandom(7);
    for (let i = 0; i < 500; i++) {
      const { places } = await targetsOf(zone, "sip:home.test;transport=udp", {}, random);
      assert.equal(new Set(places).size, 3);
      const [head = ""] = places;
      first.set(head, (first.get(head) ?? 0) + 1);
    }
    const share = (address: string) => (first.get(`udp ${address}:5060`) ?? 0) / 500;
    assert.ok(share("192.0.2.1") > 0.7 && share("192.0.2.1") < 0.88, String(share("192.0.2.1")));
    assert.ok(share("192.0.2.2") > 0.12 && share("192.0.2.2") < 0.29, String(share("192.0.2.2")));
    assert.ok(share("192.0.2.3") < 0.06, String(share("192.0.2.3")));
  });

  it("asks anew each time: how long an answer holds is the business of the DNS server's TTL", async () => {
    const clock = new ManualClock();
    const dns = new FakeDns({ "A moving.test": ["192.0.2.1"] });
    const resolver = new Resolver({ dns, clock, random: new SeededRandom(1) });
    const uri = parseUri("sip:moving.test:5060");
    assert.ok(uri);
    const found: string[] = [];
    for (const address of ["192.0.2.1", "192.0.2.2"]) {
      dns.zone = { "A moving.test": [address] };
      resolver.resolve(uri, { protocols: ["udp"], families: [4] }, (_error, [target]) =>
        found.push(target?.address ?? ""),
      );
      await settle();
    }
    assert.deepEqual(found, ["192.0.2.1", "192.0.2.2"]);
  });
});
