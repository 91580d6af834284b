/** RFC 4475: every torture message, ours and (where the folder is present) the RFC's own, byte for byte. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  createResponse,
  parseMessage,
  serializeMessage,
  type ParseResult,
} from "../../../lib/message/index.js";
import { TORTURE_CASES, type TortureCase } from "../../fixtures/rfc4475-own/cases.js";

const ORIGINALS = join(process.cwd(), "../shared/fixtures/rfc4475");

function checkOutcome(test: TortureCase, result: ParseResult, original: boolean): void {
  const { outcome } = test;
  if (outcome.kind === "accept" || outcome.kind === "refused-above") {
    assert.ok(result.ok, result.ok ? "" : `${result.error.rule}: ${result.error.reason}`);
    const bytes = serializeMessage(result.message);
    const again = parseMessage(bytes);
    assert.ok(again.ok);
    assert.deepEqual(serializeMessage(again.message), bytes);
    return;
  }
  assert.ok(!result.ok);
  const fileRule = outcome.kind === "respond" && original ? outcome.fileRule : undefined;
  assert.equal(result.error.rule, fileRule ?? outcome.rule);
  assert.match(result.error.rfc, /^RFC \d+ §/);
  if (outcome.kind === "reject") {
    assert.equal(result.error.statusHint, undefined);
    assert.equal(result.request, undefined);
    return;
  }
  assert.equal(result.error.statusHint, outcome.status);
  assert.equal(result.request !== undefined, outcome.answerable);
  if (result.request === undefined) return;
  const answer = createResponse(result.request, { statusCode: outcome.status, toTag: "ours" });
  const sent = serializeMessage(answer).toString();
  assert.ok(sent.startsWith(`SIP/2.0 ${outcome.status} `));
  assert.ok(sent.includes(`\r\nVia: ${result.request.headers.get("via")}\r\n`));
  assert.ok(sent.includes(`\r\nCall-ID: ${result.request.headers.get("call-id")}\r\n`));
}

describe("RFC 4475 torture messages of our own", () => {
  for (const test of TORTURE_CASES) {
    it(`treats ${test.name} (§${test.section}, ${test.title}) as expected`, () => {
      const result = parseMessage(Buffer.from(test.message, "utf8"));
      checkOutcome(test, result, false);
      if (result.ok) test.verify?.(result.message);
    });
  }

  it("covers all 49 messages of the RFC once", () => {
    assert.equal(new Set(TORTURE_CASES.map((test) => test.name)).size, 49);
    assert.equal(TORTURE_CASES.length, 49);
  });
});

describe("RFC 4475 torture messages, byte for byte", () => {
  const present = existsSync(ORIGINALS);
  it(`finds the folder of originals or does without (${present ? "present" : "absent"})`, () => {
    if (!present) return;
    const names = readdirSync(ORIGINALS).filter((name) => name.endsWith(".dat"));
    assert.deepEqual(
      names.map((name) => name.slice(0, -4)).sort(),
      TORTURE_CASES.map((test) => test.name).sort(),
    );
  });
  for (const test of present ? TORTURE_CASES : []) {
    it(`treats ${test.name}.dat (§${test.section}) as expected`, () => {
      const bytes = readFileSync(join(ORIGINALS, `${test.name}.dat`));
      checkOutcome(test, parseMessage(bytes), true);
    });
  }
});
