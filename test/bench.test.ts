/** The benches run: no figure is asserted here, only that there are some and that they are written down. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(__dirname, "..");
const run = (...args: string[]) =>
  spawnSync(process.execPath, [join(root, "bench/run.mjs"), ...args], { encoding: "utf8" });

describe("benches", function () {
  this.timeout(60_000);
  let folder = "";

  before(() => (folder = mkdtempSync(join(tmpdir(), "bench-test-"))));
  after(() => rmSync(folder, { recursive: true }));

  it("run by name and write a document, which the next run changes only where it measured", () => {
    const file = join(folder, "performance.md");
    const first = run("--quick", "--only", "sdp", "--out", file);
    assert.equal(first.status, 0, first.stdout + first.stderr);
    const document = readFileSync(file, "utf8");
    assert.match(document, /^# Performance\n/);
    assert.match(document, /## Descriptions: offer to answer\n\nMeasured \d{4}-\d\d-\d\d on /);
    assert.match(document, /\| \*\*parse, negotiate, write the answer\*\*, [^|]+\| [\d,]+ \|/);
    const second = run("--quick", "--only", "sdp", "--out", file);
    assert.equal(second.status, 0, second.stdout + second.stderr);
    const lines = (text: string): number => text.split("\n").length;
    assert.equal(lines(readFileSync(file, "utf8")), lines(document));
  });

  it("name those that there are when another one is asked for", () => {
    const { status, stderr } = run("--only", "nothing", "--out", join(folder, "nothing.md"));
    assert.equal(status, 2);
    assert.match(stderr, /no bench nothing; there are uas, /);
    assert.equal(existsSync(join(folder, "nothing.md")), false);
  });
});
