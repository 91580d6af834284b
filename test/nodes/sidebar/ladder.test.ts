/** From messages to rows and columns of a ladder, and to the texts that are copied. */
import assert from "node:assert/strict";
import {
  layoutLadder,
  type Leg,
  type MessageRow,
} from "../../../nodes/sidebar/editor/ladder-layout.js";
import { ladderAsMermaid, ladderAsText } from "../../../nodes/sidebar/editor/ladder-text.js";
import { incomingStory, messages, outgoingStory } from "../../support/sidebar-data.js";
import { processorTime } from "../../support/processor-time.js";

const incoming = (): Leg => ({
  session: "a",
  direction: "incoming",
  who: "alice",
  messages: incomingStory(),
});
const outgoing = (): Leg => ({
  session: "b",
  direction: "outgoing",
  who: "door",
  messages: outgoingStory(),
});
const arrows = (...args: Parameters<typeof layoutLadder>): MessageRow[] =>
  layoutLadder(...args).rows.filter((row): row is MessageRow => row.kind === "message");

describe("ladder", () => {
  it("puts the caller at the left of us, and whom we call at the right", () => {
    assert.deepEqual(
      layoutLadder([incoming()]).columns.map((column) => column.who || "us"),
      ["alice", "us"],
    );
    assert.deepEqual(
      layoutLadder([outgoing()]).columns.map((column) => column.who || "us"),
      ["us", "door"],
    );
  });

  it("shows both legs of a bridge at the two sides of us, in the order of time", () => {
    const { columns } = layoutLadder([incoming(), outgoing()]);
    assert.deepEqual(
      columns.map((column) => column.who || "us"),
      ["alice", "us", "door"],
    );
    const rows = arrows([incoming(), outgoing()]);
    assert.deepEqual(
      rows.slice(0, 4).map((row) => [row.leg, row.label, row.from, row.to]),
      [
        [0, "INVITE", 0, 1],
        [0, "100 Trying", 1, 0],
        [1, "INVITE", 1, 2],
        [1, "180 Ringing", 2, 1],
      ],
    );
  });

  it("keeps the sides apart when both legs go through the same PBX", () => {
    const same = { ...outgoing(), messages: incomingStory() };
    const rows = arrows([incoming(), same]);
    assert.deepEqual(
      new Set(rows.filter((row) => row.leg === 1).map((row) => Math.max(row.from, row.to))),
      new Set([2]),
    );
  });

  it("gives each remote endpoint a column of its own", () => {
    const forked = messages([
      { at: 0, sent: true, method: "INVITE", remote: "10.0.0.1" },
      { at: 1, sent: true, method: "INVITE", remote: "10.0.0.2", branch: "z9hG4bK-2" },
    ]);
    const { columns } = layoutLadder([{ ...outgoing(), messages: forked }]);
    assert.deepEqual(
      columns.map((column) => column.place),
      ["", "10.0.0.1:5060", "10.0.0.2:5060"],
    );
  });

  it("colours by transaction, of each leg apart", () => {
    const rows = arrows([incoming(), outgoing()]);
    const color = (leg: number, label: string) =>
      rows.find((row) => row.leg === leg && row.label === label)?.color;
    assert.equal(color(0, "INVITE"), color(0, "180 Ringing"));
    assert.notEqual(color(0, "INVITE"), color(0, "BYE"));
    assert.notEqual(color(0, "INVITE"), color(1, "INVITE"));
  });

  it("counts the sendings of one message, and hides repetitions", () => {
    const ringing = arrows([incoming()]).filter((row) => row.label === "180 Ringing");
    assert.deepEqual(
      ringing.map((row) => [row.nth, row.times]),
      [
        [1, 2],
        [2, 2],
      ],
    );
    const once = arrows([incoming()], { hideRetransmissions: true });
    assert.deepEqual(
      once.filter((row) => row.label === "180 Ringing").map((row) => row.times),
      [2],
    );
  });

  it("filters by kind and by text", () => {
    assert.deepEqual(
      arrows([incoming()], { onlyRequests: true }).map((row) => row.label),
      ["INVITE", "ACK", "BYE"],
    );
    assert.deepEqual(
      arrows([incoming()], { text: " g722 " }).map((row) => row.label),
      ["INVITE", "200 OK"],
    );
    assert.deepEqual(layoutLadder([incoming()], { text: "nothing like this" }).rows, []);
  });

  it("shows pauses of more than a second and messages that were not kept", () => {
    const gaps = layoutLadder([incoming()]).rows.filter((row) => row.kind === "gap");
    assert.deepEqual(
      gaps.map((row) => row.kind === "gap" && row.seconds),
      [3.5, 59.77],
    );
    const list = incomingStory().map((message, index) =>
      index < 4 ? message : { ...message, index: index + 30 },
    );
    const missing = layoutLadder([{ ...incoming(), messages: list }]).rows.find(
      (row) => row.kind === "missing",
    );
    assert.deepEqual(missing, { kind: "missing", count: 30 });
  });

  it("lays out two legs of 200 messages each quickly", () => {
    const many = messages(
      Array.from({ length: 200 }, (_, index) => ({ at: index, method: "INFO", cseq: index })),
    );
    const legs = [
      { ...incoming(), messages: many },
      { ...outgoing(), messages: many },
    ];
    assert.equal(layoutLadder(legs).rows.length, 400);
    // A few when nobody else is at work; what grows with the square of the messages takes thousands.
    const took = processorTime(() => layoutLadder(legs));
    assert.ok(took < 500, `${took} ms`);
  });

  it("is copied as lines and as a Mermaid diagram that a hostile name cannot break", () => {
    const text = ladderAsText(layoutLadder([incoming()]));
    assert.match(text, /0\.000 {2}alice \(10\.1\.2\.3:5060\) → Node-RED: INVITE \(SDP\)/);
    assert.match(text, /180 Ringing \(×2\)/);
    assert.match(text, /… 59\.8 s/);
    const evil = { ...incoming(), who: "x\nparticipant evil; #quot;" };
    const diagram = ladderAsMermaid(layoutLadder([evil]));
    assert.match(diagram, /^sequenceDiagram\n/);
    assert.doesNotMatch(diagram, /^\s*participant evil/m);
    assert.doesNotMatch(diagram, /[;#]/);
    assert.match(diagram, /c1-->>c0: 180 Ringing ×2/);
  });
});
