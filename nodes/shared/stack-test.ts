/**
 * The test button of a stack (contract §8 "Test endpoints"): can each of its transports be bound, whose are the ports that
 * are taken, are its certificates good, are there ports for sound.
 */
import type { Node, NodeAPI } from "node-red";
import {
  type EngineAddress,
  errorText,
  probeBind,
  SipError,
  type TransportOptions,
} from "../../lib/index.js";
import type { Engine } from "./engine.js";
import { allEngines, findEngine } from "./engines.js";
import { pingEngine } from "./media-engines.js";
import { migrated } from "./migrations.js";
import type { NodeConfig } from "./property-values.js";
import { isRecord } from "./sip-fields.js";
import { readStackSettings, type StackSettings } from "./stack-settings.js";
import { ownCertificateStep } from "./test-certificates.js";
import { testReason } from "./test-reasons.js";
import { TestFailure, type TestRun } from "./test-run.js";
import { translate } from "./texts.js";

/** A list of transports that is longer is a mistake. */
const MOST_TRANSPORTS = 20;

/** @param body - Properties as the dialog holds them, with `id`. */
export async function testStack(
  RED: NodeAPI,
  body: Readonly<Record<string, unknown>>,
  run: TestRun,
): Promise<void> {
  const config = migrated({ ...body, type: "sip-stack" } as unknown as NodeConfig);
  const node = RED.nodes.getNode(config.id) as Node | null;
  let settings: StackSettings;
  let transports: readonly TransportOptions[];
  let rtp: ReturnType<StackSettings["surroundings"]>["rtp"];
  let engines: readonly EngineAddress[];
  try {
    settings = readStackSettings(RED, node ?? ({} as Node), config);
    transports = settings.transports().slice(0, MOST_TRANSPORTS);
    ({ rtp } = settings.surroundings());
    engines = settings.mediaEngines()?.engines ?? [];
  } catch (error) {
    const text = errorText(error);
    await run.step("settings", () => ({ text, ok: false }));
    throw new TestFailure(text);
  }
  for (const entry of transports) {
    await bindStep(RED, run, config.id, entry);
    await ownCertificateStep({ RED, run }, entry);
  }
  if (rtp !== undefined) await mediaStep(RED, run, rtp);
  for (const engine of engines) await engineStep(RED, run, engine);
}

async function engineStep(RED: NodeAPI, run: TestRun, engine: EngineAddress): Promise<void> {
  await run.step("media", async () => {
    try {
      await pingEngine(engine);
      return { text: translate(RED, "test.engine", { address: engine.text }) };
    } catch (error) {
      run.fail(translate(RED, "test.reason.engine"));
      return { text: `${engine.text}: ${errorText(error)}`, ok: false };
    }
  });
}

async function bindStep(
  RED: NodeAPI,
  run: TestRun,
  stackId: string,
  entry: TransportOptions,
): Promise<void> {
  const { port } = entry;
  const place = placeOf(entry);
  await run.step("socket", async () => {
    if (port === undefined) return { text: translate(RED, "test.outOnly", { place }) };
    const own = findEngine(stackId);
    if (own !== undefined && holds(own, entry)) {
      return { text: translate(RED, "test.listening", { place }) };
    }
    try {
      await probeBind(entry);
      return { text: translate(RED, "test.free", { place }) };
    } catch (error) {
      const owner = [...allEngines()].find((engine) => holds(engine, entry));
      run.fail(
        owner === undefined
          ? reasonOf(RED, error, place)
          : translate(RED, "test.reason.takenBy", { place, name: owner.settings.name }),
      );
      return { text: errorText(error), ok: false };
    }
  });
}

/** Does this stack listen where the entry wants to? */
function holds({ userAgent }: Engine, entry: TransportOptions): boolean {
  const isDatagram = entry.protocol === "udp";
  return (userAgent?.bound ?? []).some(
    ({ protocol, address, port }) =>
      (protocol === "udp") === isDatagram &&
      port === entry.port &&
      (address === entry.address || isAll(address) || isAll(entry.address)),
  );
}

function isAll(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

function reasonOf(RED: NodeAPI, error: unknown, place: string): string {
  const cause = error instanceof SipError ? error.cause : undefined;
  const code = isRecord(cause) && typeof cause["code"] === "string" ? cause["code"] : undefined;
  const key = testReason({ step: "socket", code });
  return key === "taken" || key === "forbiddenPort"
    ? translate(RED, `test.reason.${key}`, { place })
    : errorText(error);
}

/** One port of the range stands for all: a wrong address or a closed range is what goes wrong. */
async function mediaStep(
  RED: NodeAPI,
  run: TestRun,
  rtp: { readonly address: string | undefined; readonly portMin: number; readonly portMax: number },
): Promise<void> {
  const { portMin, portMax } = rtp;
  const address = rtp.address ?? "0.0.0.0";
  await run.step("media", async () => {
    let fault: unknown;
    for (let port = portMin; port <= Math.min(portMax, portMin + 200); port += 2) {
      try {
        await probeBind({ protocol: "udp", address, port });
        const values = { address, min: portMin, max: portMax };
        return { text: translate(RED, "test.media", values) };
      } catch (error) {
        fault = error;
      }
    }
    run.fail(translate(RED, "test.reason.media"));
    return { text: errorText(fault), ok: false };
  });
}

function placeOf({ protocol, address, port }: TransportOptions): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return `${protocol.toUpperCase()} ${host}${port === undefined ? "" : `:${port}`}`;
}
