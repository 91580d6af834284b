/**
 * Seeded mutation of sound messages. Oracles: nothing is thrown, what parses can be read, answered and written,
 * and writing is stable: parse(write(x)) writes the same bytes. A failure names seed and round.
 */
import assert from "node:assert/strict";
import {
  createResponse,
  parseMessage,
  parseText,
  serializeMessage,
  StreamFramer,
  type ParseResult,
  type SipMessage,
} from "../../../lib/message/index.js";
import { TORTURE_CASES } from "../../fixtures/rfc4475-own/cases.js";
import { SeededRandom } from "../../support/seeded-random.js";

const ROUNDS = 20_000;
const SEED = 20_261;

const DICTIONARY = [
  "__proto__",
  "constructor",
  ";;,,",
  "%n%s",
  "${x}",
  "%00",
  "%0d%0a",
  "\0",
  "\r",
  "\n",
  "\r\n",
  "\r\n ",
  "\r\n\r\n",
  "-1",
  "0",
  "2147483648",
  "4294967296",
  "9223372036854775808",
  "1e9",
  "0x10",
  "\xff",
  "\xc3",
  '"',
  "\\",
  "<",
  ">",
  "[",
  "]",
  "::",
  "@",
  "sip:",
  "SIP/2.0",
  "*",
  ",",
  ";",
  "=",
  "?",
  ":",
  " ",
  "\t",
  ";tag=",
  ";branch=z9hG4bK",
  "Via: ",
  "l: 5\r\n",
];

class Mutator {
  constructor(readonly random: SeededRandom) {}

  #below(bound: number): number {
    return Math.floor(this.random.next() * bound);
  }

  /** One to four changes of different kinds. */
  mutate(seed: Buffer, other: Buffer): Buffer {
    let data = seed;
    for (let n = 1 + this.#below(4); n > 0; n--) data = this.#once(data, other);
    return data;
  }

  #once(data: Buffer, other: Buffer): Buffer {
    const at = this.#below(data.length + 1);
    const to = Math.min(data.length, at + this.#below(40));
    const insert = (text: string | Buffer) =>
      Buffer.concat([
        data.subarray(0, at),
        Buffer.from(text as string, "latin1"),
        data.subarray(at),
      ]);
    switch (this.#below(9)) {
      case 0: {
        const copy = Buffer.from(data);
        if (copy.length > 0) copy[at % copy.length] = this.#below(256);
        return copy;
      }
      case 1:
        return data.subarray(0, at);
      case 2:
        return Buffer.concat([data.subarray(0, at), data.subarray(to)]);
      case 3:
        return insert(
          data
            .subarray(at, to)
            .toString("latin1")
            .repeat(1 + this.#below(20)),
        );
      case 4:
        return Buffer.concat([data.subarray(0, at), other.subarray(this.#below(other.length))]);
      case 5: {
        const lines = data.toString("latin1").split("\r\n");
        const a = this.#below(lines.length);
        const b = this.#below(lines.length);
        [lines[a], lines[b]] = [lines[b], lines[a]];
        return Buffer.from(lines.join("\r\n"), "latin1");
      }
      case 6: {
        const lines = data.toString("latin1").split("\r\n");
        const line = lines[this.#below(lines.length)];
        lines.splice(this.#below(lines.length), 0, ...Array<string>(this.#below(80)).fill(line));
        return Buffer.from(lines.join("\r\n"), "latin1");
      }
      default:
        return insert(DICTIONARY[this.#below(DICTIONARY.length)]);
    }
  }
}

function readEverything(message: SipMessage): void {
  void [
    message.topVia.branch,
    message.vias.map(String),
    message.from.tag,
    String(message.from),
    message.to.tag,
    String(message.to),
    message.callId,
    message.cseq.sequence,
    message.contacts.map(String),
    message.text,
    message.routes.map(String),
    message.recordRoutes.map(String),
    message.maxForwards,
    message.contentType,
    message.tokens("supported"),
    message.tokens("allow"),
    message.seconds("expires"),
    message.headers.entries(),
    message.isStarContact,
  ];
  if (message.kind === "request") void String(message.requestUri);
}

function check(result: ParseResult): "accepted" | "answered" | "dropped" {
  const request = result.ok
    ? result.message.kind === "request"
      ? result.message
      : undefined
    : result.request;
  if (request !== undefined) {
    readEverything(request);
    const answer = createResponse(request, { statusCode: 400, toTag: "ours" });
    const parsed = parseMessage(serializeMessage(answer));
    if (result.ok) assert.ok(parsed.ok, parsed.ok ? "" : parsed.error.reason);
  }
  if (!result.ok) return request === undefined ? "dropped" : "answered";
  readEverything(result.message);
  const bytes = serializeMessage(result.message);
  const again = parseMessage(bytes);
  assert.ok(again.ok, again.ok ? "" : `does not parse again: ${again.error.reason}`);
  assert.deepEqual(serializeMessage(again.message), bytes);
  return "accepted";
}

describe("mutated messages", () => {
  it(`never make the parser throw and are written stably (seed ${SEED}, ${ROUNDS} rounds)`, function () {
    this.timeout(60_000);
    const random = new SeededRandom(SEED);
    const mutator = new Mutator(random);
    const seeds = TORTURE_CASES.map((test) => Buffer.from(test.message, "utf8"));
    const pick = () => seeds[Math.floor(random.next() * seeds.length)] as Buffer;
    const counts = { accepted: 0, answered: 0, dropped: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const data = mutator.mutate(pick(), pick());
      try {
        counts[check(parseMessage(data))]++;
        parseMessage(data, { framing: "stream" });
        parseText(data.toString("utf8"));
        const framer = new StreamFramer();
        framer.push(Buffer.from(data.subarray(0, data.length >> 1)));
        framer.push(Buffer.from(data.subarray(data.length >> 1)));
      } catch (error) {
        assert.fail(
          `seed ${SEED}, round ${round}: ${String(error)}\n${JSON.stringify(data.toString("latin1"))}`,
        );
      }
    }
    assert.ok(
      Math.min(counts.accepted, counts.answered, counts.dropped) > ROUNDS / 50,
      JSON.stringify(counts),
    );
    assert.deepEqual(Object.keys(Object.prototype), []);
  });
});
