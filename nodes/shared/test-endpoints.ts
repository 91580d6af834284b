/** Admin endpoints that the dialogs use: the test buttons, the addresses of this machine, whom one may call (contract §8). */
import type { NodeAPI } from "node-red";
import { errorText, machineAddresses } from "../../lib/index.js";
import { testAccount } from "./account-test.js";
import { allEngines } from "./engines.js";
import { environment } from "./environment.js";
import { suggestedTargets } from "./recent-targets.js";
import { isRecord } from "./sip-fields.js";
import { testStack } from "./stack-test.js";
import { TestFailure, TestRuns, type TestRun } from "./test-run.js";
import { translate } from "./texts.js";

type Test = (RED: NodeAPI, body: Record<string, unknown>, run: TestRun) => Promise<void>;

const registered = new WeakSet<object>();
const MOST_TESTS = 4;
const runs = new TestRuns(MOST_TESTS);

/** Once per process, like all routes. */
export function registerTests(RED: NodeAPI): void {
  const { httpAdmin } = RED;
  if ((httpAdmin as unknown) === undefined || registered.has(httpAdmin)) return;
  registered.add(httpAdmin);
  const read = RED.auth.needsPermission("sip.read");
  const write = RED.auth.needsPermission("sip.write");

  httpAdmin.get("/sip/addresses", read, (_request, response) => {
    machineAddresses().then(
      (addresses) => response.json(addresses),
      (error: unknown) => response.status(500).json({ message: errorText(error) }),
    );
  });
  httpAdmin.get("/sip/targets", read, (_request, response) => {
    response.json({ targets: suggestedTargets(allEngines()) });
  });
  const serve = (path: string, test: Test): void => {
    httpAdmin.post(path, write, (request, response) => {
      const body: unknown = request.body;
      if (!isRecord(body) || typeof body["id"] !== "string" || body["id"].length > 100) {
        response.status(400).json({ message: "an object with an id is needed" });
        return;
      }
      const { id } = body as { id: string };
      const run = runs.begin(id, environment().clock);
      if (run === undefined) {
        response.status(409).json({ message: translate(RED, "test.reason.busy") });
        return;
      }
      // The dialog was closed, or the button pressed to stop.
      response.on("close", () => run.cancel());
      void attempt(RED, test, body, run).then(() => {
        runs.end(id);
        if (!response.writableEnded && !response.destroyed) response.json(run.result());
      });
    });
  };
  serve("/sip/stacks/test", testStack);
  serve("/sip/accounts/test", testAccount);
}

async function attempt(
  RED: NodeAPI,
  test: Test,
  body: Record<string, unknown>,
  run: TestRun,
): Promise<void> {
  try {
    await test(RED, body, run);
  } catch (error) {
    run.fail(error instanceof TestFailure ? error.reason : errorText(error));
  }
}
