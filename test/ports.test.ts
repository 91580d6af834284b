import assert from "node:assert/strict";
import { freePort, REFUSED } from "./support/ports.js";

describe("the ports of tests", () => {
  it("are never those that browsers and fetch refuse to connect to", async () => {
    for (const port of REFUSED) {
      const error = await fetch(`http://127.0.0.1:${port}/`).catch((reason: Error) => reason);
      assert.match(String((error as Error & { cause?: Error }).cause?.message), /bad port/);
      const given = await freePort("127.0.0.1", port);
      assert.ok(!REFUSED.has(given) && given > port, `${given} instead of ${port}`);
    }
  });
});
