/**
 * A room full of telephones: Kamailio, linphonec phones and a Node-RED whose nodes do what the test injects into them,
 * all on a loopback network of their own. The flows have no logic: each action node has an entry of its name.
 */
import { FlowBuilder } from "../flow-builder.js";
import { NodeRed, pause } from "../node-red.js";
import { ownNetwork, ownPort } from "../port-range.js";
import { freePort } from "../ports.js";
import { Kamailio } from "./kamailio.js";
import { Linphone, type LinphoneOptions } from "./linphone.js";

/** What a node of the flows sent. */
// A message of a flow: its shape is what the tests assert.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Message = any;

export interface RoomOptions {
  /** Fourth bytes and ports of RTP differ, so that several rooms stand in one run: 0, 1 or 2. */
  readonly number: number;
  /** Properties of both stacks. */
  readonly stack?: Record<string, unknown>;
}

/** Accounts of the flows, each with the transport it registers over. bob has a stack of its own. */
const ACCOUNTS = { nodered: "udp", tina: "tcp", tess: "tls", bob: "udp" } as const;
export type AccountName = keyof typeof ACCOUNTS;

const ACTIONS = {
  accept: ["sip-accept", 2],
  reject: ["sip-reject", 1],
  progress: ["sip-progress", 2],
  reinvite: ["sip-reinvite", 2],
  refer: ["sip-refer", 3],
  bye: ["sip-bye", 1],
  play: ["sip-play", 2],
} as const;

export class TelephoneRoom {
  readonly kamailio: Kamailio;
  readonly phones: Linphone[] = [];
  readonly #number: number;
  readonly #network: string;
  readonly #stack: Record<string, unknown>;
  #nodeRed: NodeRed | undefined;

  constructor(options: RoomOptions) {
    this.#number = options.number;
    this.#network = ownNetwork();
    this.#stack = options.stack ?? {};
    this.kamailio = new Kamailio({ address: this.#address(0) });
  }

  get nodeRed(): NodeRed {
    if (this.#nodeRed === undefined) throw new Error("the room was not opened");
    return this.#nodeRed;
  }

  /** Kamailio and Node-RED run, the four accounts are registered. */
  async open(): Promise<void> {
    await this.kamailio.start();
    const { flows, credentials } = await this.#flows();
    this.#nodeRed = await NodeRed.start();
    await this.nodeRed.deploy(flows, { credentials });
    await this.nodeRed.waitFor("registered", Object.keys(ACCOUNTS).length, 15_000);
  }

  /** A registered telephone. @param place - 0 to 9, its address and ports. */
  async phone(
    name: string,
    place: number,
    options: Partial<LinphoneOptions> & { readonly answers?: boolean } = {},
  ): Promise<Linphone> {
    const address = this.#address(10 + place);
    const made = new Linphone({
      name,
      address,
      port: await freePort(address),
      registrar: { address: this.kamailio.address, domain: "sip.test", password: `${name}pw` },
      rtpPort: ownPort(this.#number * 30 + 10 + place * 2),
      ...options,
    });
    this.phones.push(made);
    await made.start();
    if (options.answers !== false) await made.command("autoanswer enable");
    return made;
  }

  /** Everything is hung up and forgotten, but not what goes on beside the tests. */
  async clear(
    beside: { phones: readonly Linphone[]; calls: readonly Message[] } = { phones: [], calls: [] },
  ): Promise<void> {
    const phones = this.phones.filter((phone) => !beside.phones.includes(phone));
    await Promise.all(phones.map((phone) => phone.command("terminate all")));
    const open = async () => {
      const all = await this.nodeRed.allCaptured();
      const sessions = (...names: string[]) =>
        names.flatMap((name) => all[name] ?? []).map(({ msg }): Message => msg);
      const over = [...sessions("incoming/2", "invite/3", "invite/4"), ...beside.calls];
      return sessions("incoming/1", "invite/2").filter((msg) => !over.some(same(msg)));
    };
    for (const message of await open()) await this.act("bye", message);
    for (let i = 0; i < 40 && (await open()).length > 0; i++) await pause(50);
    await this.nodeRed.clearCaptured();
  }

  async close(): Promise<void> {
    await this.#nodeRed?.stop();
    await Promise.all(this.phones.map((phone) => phone.dispose()));
    await this.kamailio.dispose();
  }

  /** Sends the message's session into an action node with `options`. */
  async act(
    action: keyof typeof ACTIONS,
    message: Message,
    options: Record<string, unknown> = {},
  ): Promise<void> {
    await this.nodeRed.inject(action, { sip: message.sip, options });
  }

  /** The first message of that capture that fits; waits for it. */
  async sees(
    name: string,
    fits: (message: Message) => boolean = () => true,
    timeoutMs = 12_000,
  ): Promise<Message> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const found = (await this.nodeRed.captured(name)).find(({ msg }) => fits(msg));
      if (found !== undefined) return found.msg;
      if (Date.now() > end || this.nodeRed.exitCode !== undefined)
        throw new Error(`${name} not seen: ${await this.#told()}`);
      await pause(40);
    }
  }

  /** An event of the session, as `sip-event` tells it. */
  event(topic: string, of: Message, timeoutMs?: number): Promise<Message> {
    const fits = (msg: Message) => msg.topic === topic && msg.sip.session === of.sip.session;
    return this.sees("events", fits, timeoutMs);
  }

  /** Topics of the session's events so far, without those of no interest here. */
  async ladder(of: Message): Promise<string[]> {
    return (await this.nodeRed.captured("events"))
      .map(({ msg }): Message => msg)
      .filter((msg) => msg.sip.session === of.sip.session && msg.topic !== "state")
      .map((msg) => String(msg.topic));
  }

  /** A flow calls. @returns the message of output 2 with the event `inviting`. */
  async dials(
    to: string | string[],
    options: Record<string, unknown> = {},
    from: AccountName = "nodered",
  ): Promise<Message> {
    const before = (await this.nodeRed.captured("invite/2")).length;
    const uris = [to].flat().map((user) => `sip:${user}@sip.test`);
    await this.nodeRed.inject("invite", { payload: uris, options: { account: from, ...options } });
    return (await this.nodeRed.waitFor("invite/2", before + 1))[before]?.msg;
  }

  /** A flow calls and is answered. @returns the message of output 1. */
  async calls(to: string, options?: Record<string, unknown>, from?: AccountName): Promise<Message> {
    const inviting = await this.dials(to, options, from);
    return this.sees("invite/1", same(inviting));
  }

  /** The phone calls an account of ours. @returns the message of `sip-incoming` 1. */
  async rings(phone: Linphone, to: AccountName, more = ""): Promise<Message> {
    const before = (await this.nodeRed.captured("incoming/1")).length;
    await phone.command(`call sip:${to}@sip.test${more}`);
    return (await this.nodeRed.waitFor("incoming/1", before + 1, 12_000))[before]?.msg;
  }

  /** The phone calls an account of ours, which answers. @returns the message of `sip-accept` 1. */
  async isCalled(phone: Linphone, to: AccountName): Promise<Message> {
    const ringing = await this.rings(phone, to);
    return this.answers(ringing);
  }

  async answers(ringing: Message): Promise<Message> {
    await this.act("accept", ringing);
    return this.sees("accept/1", same(ringing));
  }

  async #told(): Promise<string> {
    const all = await this.nodeRed.allCaptured();
    return Object.entries(all)
      .map(
        ([name, list]) =>
          `${name}: ${list.map(({ msg }) => `${msg.sip?.session?.slice(0, 4)} ${msg.topic} ${JSON.stringify(msg.payload)} ${msg.error?.message ?? ""}`).join(", ")}`,
      )
      .join("\n");
  }

  async #flows() {
    const flow = new FlowBuilder();
    const tls = flow.config("tls-config", {
      name: "authority",
      cert: "",
      key: "",
      ca: "",
      servername: "",
      verifyservercert: true,
      alpnprotocol: "",
    });
    const credentials: Record<string, Record<string, string>> = {
      [tls]: { cadata: this.kamailio.authority },
    };
    const stacks: Record<string, string> = {};
    for (const [index, name] of ["first", "second"].entries()) {
      const address = this.#address(1 + index);
      const more = index === 0 ? (["tcp", "tls"] as const) : [];
      const protocols = ["udp", ...more] as const;
      const transports = [];
      for (const protocol of protocols)
        transports.push({
          protocol,
          address,
          port: await freePort(address),
          ...(protocol === "tls" && { tls }),
        });
      const id = `${name}-stack`;
      flow.config(
        "sip-stack",
        {
          transports,
          mediaAddress: address,
          rtpPortMin: 19_000,
          rtpPortMax: 19_098,
          codecs: "PCMU,PCMA",
          ...this.#stack,
        },
        id,
      );
      stacks[name] = id;
      flow.node("sip-event", { stack: id, events: ["registered"] }, [[flow.capture("registered")]]);
      flow.node("sip-event", { stack: id, events: [] }, [[flow.capture("events")]]);
      flow.node("sip-event", { stack: id, events: ["refer"], answerWithin: 8000 }, [
        [flow.capture("refers")],
      ]);
      flow.node("sip-incoming", { stack: id, match: "" }, flow.captures("incoming", 2));
    }
    for (const [name, transport] of Object.entries(ACCOUNTS)) {
      const port = transport === "tls" ? 5061 : 5060;
      const server = `sip:${this.kamailio.address}:${port};transport=${transport}`;
      const stack = name === "bob" ? stacks["second"] : stacks["first"];
      flow.config(
        "sip-account",
        { stack, uri: `sip:${name}@sip.test`, registrar: server, outboundProxy: server },
        name,
      );
      credentials[name] = { password: `${name}pw` };
    }
    for (const [name, [type, outputs]] of Object.entries(ACTIONS)) {
      flow.node(type, {}, flow.captures(name, outputs), `act-${name}`);
      flow.entry(name, [`act-${name}`]);
    }
    flow.node(
      "sip-invite",
      { account: "nodered", to: "payload", toType: "msg", timeout: 20 },
      flow.captures("invite", 4),
      "act-invite",
    );
    flow.entry("invite", ["act-invite"]);
    flow.node("sip-register", { account: "nodered" }, flow.captures("register", 2), "act-register");
    flow.entry("register", ["act-register"]);
    flow.node("catch", { scope: null, uncaught: false }, [[flow.capture("caught")]]);
    return { flows: flow.build(), credentials };
  }

  #address(last: number): string {
    return `${this.#network}.${1 + this.#number * 40 + last}`;
  }
}

/** Does a message tell of the same session? */
export function same(of: Message): (message: Message) => boolean {
  return (message) => message.sip.session === of.sip.session;
}
