// Mocha's spec reporter, which also leaves its true numbers for test/run.mjs.
"use strict";
const { appendFileSync } = require("node:fs");
const { Spec } = require("mocha").reporters;

module.exports = class CountingSpec extends Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once("end", () => {
      const file = process.env.TEST_COUNTS_FILE;
      const { passes, failures, pending } = runner.stats;
      if (file) appendFileSync(file, `${JSON.stringify({ passes, failures, pending })}\n`);
    });
  }
};
