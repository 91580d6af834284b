/**
 * Whole calls on a network in memory, some of whose messages are spoilt: nothing throws, nothing is logged as an error,
 * and when all is over and the timers have run, no transaction, dialog, session or timer is left.
 */
import assert from "node:assert/strict";
import { endAll, Person } from "../support/alice-and-bob.js";
import { LoopNetwork } from "../support/loop-network.js";
import { ManualClock } from "../support/manual-clock.js";
import { requestText, ScriptedPeer } from "../support/scripted-peer.js";
import { type Layer, noted } from "./layer.js";
import type { Mutation } from "./mutation.js";
import { SDP, soundMessages } from "./sound-messages.js";

const BOB = "10.0.0.2";
const CONTACT = "Contact: <sip:peer@10.0.0.9>";
/** What the peer does in a call, in any order. */
const IN_DIALOG: readonly (readonly [string, readonly string[], string])[] = [
  ["INVITE", [CONTACT, "Content-Type: application/sdp"], SDP],
  ["INVITE", [CONTACT], ""],
  ["UPDATE", [CONTACT, "Content-Type: application/sdp"], SDP],
  ["ACK", [], ""],
  ["INFO", ["Content-Type: application/dtmf-relay"], "Signal=5\r\nDuration=100\r\n"],
  ["PRACK", ["RAck: 1 1 INVITE"], ""],
  ["REFER", [CONTACT, "Refer-To: <sip:carol@10.0.0.7>"], ""],
  ["NOTIFY", [CONTACT, "Event: refer", "Subscription-State: terminated"], "SIP/2.0 200 OK\r\n"],
  ["MESSAGE", ["Content-Type: text/plain"], "hi"],
  ["OPTIONS", [], ""],
  ["CANCEL", [], ""],
  ["BYE", [], ""],
];
const ANSWERS = [
  "100 Trying",
  "180 Ringing",
  "183 Progress",
  "200 OK",
  "302 Moved",
  "401 No",
  "486 Busy",
  "491 Pending",
  "500 Error",
  "603 No",
];

export class CallLayer implements Layer {
  readonly name = "call";
  readonly share = 0.03;
  readonly #clock = new ManualClock();
  readonly #network = new LoopNetwork(this.#clock);
  readonly #bob = new Person("bob", BOB, this.#network, this.#clock);
  readonly #peer = new ScriptedPeer(this.#network, { name: "peer", address: "10.0.0.9" });
  #turn = 0;

  /** One call of the peer or of ours, with two to seven messages. */
  async take(mutation: Mutation): Promise<void> {
    if (mutation.below(4) === 0) await this.#callPeer(mutation);
    else await this.#beCalled(mutation);
    if (mutation.below(3) === 0) this.#send(mutation, mutation.pick(soundMessages()));
    await this.#clock.advanceAsync(mutation.pick([1, 20, 300]));
  }

  async settle(): Promise<void> {
    const { userAgent } = this.#bob;
    for (const session of userAgent.sessions.values()) session.end().catch(() => undefined);
    await this.#clock.advanceAsync(80_000);
    const { dialogs, sessions, pendingRequests, outgoingRequests, ...rest } = userAgent.counters();
    const { serverTransactions, clientTransactions } = rest;
    assert.deepEqual(
      [
        dialogs,
        sessions,
        pendingRequests,
        outgoingRequests,
        serverTransactions,
        clientTransactions,
      ],
      [0, 0, 0, 0, 0, 0],
      "something is left of the calls",
    );
    assert.deepEqual(this.#bob.errors, []);
    this.#forget();
    this.#peer.send(requestText({ method: "OPTIONS" }), BOB);
    await this.#clock.advanceAsync(100);
    assert.deepEqual(this.#peer.statuses(), [200], "a sound request is not answered");
    this.#forget();
  }

  async end(): Promise<void> {
    await endAll(this.#clock, [this.#bob]);
  }

  async begin(): Promise<void> {
    await this.#peer.start();
    await this.#bob.userAgent.start();
    this.#bob.userAgent.requestPolicy = (name) => ({
      listened: true,
      holdMs: name === "refer" ? 300 : 0,
    });
    this.#bob.takeCalls((session) => {
      const actions = [
        () => session.accept(),
        () => session.progress({ statusCode: 183, earlyMedia: true }),
        () => session.reject({ statusCode: 486 }),
        () => Promise.resolve(),
        () => session.progress().then(() => session.accept()),
      ];
      actions[this.#turn++ % actions.length]().catch(() => undefined);
    });
  }

  #forget(): void {
    this.#bob.events.length = 0;
    this.#bob.stackEvents.length = 0;
    this.#bob.calls.length = 0;
    this.#network.clearLog();
    for (const list of [this.#peer.requests, this.#peer.responses, this.#peer.malformed])
      list.length = 0;
  }

  async #beCalled(mutation: Mutation): Promise<void> {
    const invite = requestText({
      method: "INVITE",
      headers: [CONTACT, "Content-Type: application/sdp", "Supported: 100rel, timer"],
      body: SDP,
    });
    const [, callId = ""] = /Call-ID: (\S+)/.exec(invite) ?? [];
    const [, from = ""] = /From: (.*)\r/.exec(invite) ?? [];
    this.#send(mutation, invite, 3);
    await this.#clock.advanceAsync(5);
    const answer = this.#peer.responses.findLast((response) => response.callId === callId);
    const to = `<sip:bob@${BOB}>;tag=${answer?.to.tag ?? "x"}`;
    let sequence = 1;
    this.#send(mutation, this.#inDialog(["ACK", [], ""], from, to, callId, 1), 3);
    for (let n = mutation.below(6); n > 0; n--) {
      const kind = mutation.pick(IN_DIALOG);
      const isNew = kind[0] !== "ACK" && kind[0] !== "CANCEL";
      this.#send(
        mutation,
        this.#inDialog(kind, from, to, callId, isNew ? ++sequence : sequence),
        2,
      );
      if (mutation.below(2) === 0) await this.#clock.advanceAsync(3);
      if (mutation.below(6) === 0) this.#act(mutation);
    }
  }

  async #callPeer(mutation: Mutation): Promise<void> {
    this.#peer.onRequest = (request) => {
      const isInvite = request.method === "INVITE";
      const text = [
        `SIP/2.0 ${isInvite ? mutation.pick(ANSWERS) : mutation.pick(["200 OK", "481 Gone", "407 No"])}`,
        ...request.vias.map((via) => `Via: ${String(via)}`),
        `From: ${String(request.from)}`,
        `To: ${String(request.to)}${request.to.tag === undefined ? `;tag=p${mutation.below(3)}` : ""}`,
        `Call-ID: ${request.callId}`,
        `CSeq: ${request.cseq.sequence} ${request.method}`,
        "Contact: <sip:peer@10.0.0.9>;q=0.5",
        'WWW-Authenticate: Digest realm="r", nonce="n"',
        "Content-Type: application/sdp",
        `Content-Length: ${SDP.length}`,
        "",
        SDP,
      ].join("\r\n");
      this.#send(mutation, text, 3);
    };
    const session = this.#bob.userAgent.invite({ targets: ["sip:peer@10.0.0.9"] });
    await this.#clock.advanceAsync(mutation.pick([5, 50, 600]));
    if (mutation.below(2) === 0) session.end().catch(() => undefined);
    this.#peer.onRequest = () => undefined;
  }

  /** Something that a flow does meanwhile. */
  #act(mutation: Mutation): void {
    const sessions = [...this.#bob.userAgent.sessions.values()];
    if (sessions.length === 0) return;
    const session = mutation.pick(sessions);
    const actions = [
      () => session.reinvite({ action: "hold" }),
      () => session.refer({ to: "sip:dave@10.0.0.6", timeoutMs: 5_000 }),
      () => session.request({ method: "INFO" }),
      () => session.end(),
      () => session.accept(),
    ];
    mutation
      .pick(actions)()
      .catch(() => undefined);
  }

  #inDialog(
    [method, headers, body]: (typeof IN_DIALOG)[number],
    from: string,
    to: string,
    callId: string,
    sequence: number,
  ): string {
    return requestText({ method, headers, body, to, callId, sequence }).replace(
      /From: .*\r/,
      `From: ${from}\r`,
    );
  }

  /** Spoils one of `oneOf` messages. */
  #send(mutation: Mutation, text: string, oneOf = 1): void {
    const sound = Buffer.from(text, "latin1");
    const bytes = mutation.below(oneOf) === 0 ? mutation.of(sound, sound) : sound;
    this.#peer.endpoint.datagramFlow(BOB, 5060).send(noted(bytes));
  }
}
