/** Tests of live sound run once more when, and only when, the machine stood still meanwhile. */
import assert from "node:assert/strict";
import Mocha from "mocha";
import { onceMoreWhenDisturbed, watchTest } from "./support/disturbance.js";

describe("a test of live sound that fails", () => {
  /** @returns how often the test ran, and how many failures count. */
  function runs(
    body: (attempt: number) => Promise<void>,
    hook: (this: Mocha.Context) => void = onceMoreWhenDisturbed,
  ): Promise<[number, number]> {
    const mocha = new Mocha({ reporter: "min" });
    const suite = Mocha.Suite.create(mocha.suite, "sound");
    let attempts = 0;
    suite.beforeEach(hook);
    suite.addTest(new Mocha.Test("sounds", () => body(++attempts)));
    const runner = new Mocha.Runner(mocha.suite, {});
    return new Promise((resolve) => runner.run((failures) => resolve([attempts, failures])));
  }

  const turn = () => new Promise((resolve) => setTimeout(resolve, 20));
  const standStill = async () => {
    await turn();
    const end = performance.now() + 120;
    while (performance.now() < end);
    await turn();
  };

  it("failed, when the machine was calm", async () => {
    const calm = { reset: () => undefined, disturbance: undefined };
    const fails = () => Promise.reject(new Error("no sound"));
    const hook = function (this: Mocha.Context) {
      watchTest(this.currentTest as Mocha.Test, calm);
    };
    assert.deepEqual(await runs(fails, hook), [1, 1]);
  });

  it("runs once more when the machine stood still, and passes when all is well then", async () => {
    assert.deepEqual(
      await runs(async (attempt) => {
        if (attempt > 1) return;
        await standStill();
        throw new Error("a gap");
      }),
      [2, 0],
    );
  });

  it("runs three times at most", async () => {
    assert.deepEqual(
      await runs(async () => {
        await standStill();
        throw new Error("a gap");
      }),
      [3, 1],
    );
  });
});
