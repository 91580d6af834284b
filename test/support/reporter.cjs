// Mocha's spec reporter, which also leaves its true numbers and what failed for test/run.mjs.
"use strict";
const { appendFileSync } = require("node:fs");
const { Spec } = require("mocha").reporters;

module.exports = class CountingSpec extends Spec {
  constructor(runner, options) {
    super(runner, options);
    const failed = [];
    const repeated = [];
    runner.on("retry", (test, error) =>
      repeated.push(`${test.titlePath().join(" › ")}: ${error?.message ?? error}`),
    );
    runner.on("fail", (test, error) => {
      const stack = String(error?.stack ?? error?.message ?? error);
      failed.push({
        title: test.titlePath().join(" › "),
        file: test.file ?? test.parent?.file ?? "",
        error: `${error?.message ?? ""}\n${stack}`.slice(0, 2000),
      });
    });
    runner.once("end", () => {
      const file = process.env.TEST_COUNTS_FILE;
      const { passes, failures, pending } = runner.stats;
      if (file)
        appendFileSync(
          file,
          `${JSON.stringify({ passes, failures, pending, failed, repeated })}\n`,
        );
    });
  }
};
