/**
 * The rtpengines of the stacks with `media: rtpengine`, and where they report the keys that they hear (`dtmf-log-dest`):
 * one address of this process, `sipStackRtpengineDigits` of settings.js.
 */
import {
  CryptoRandom,
  DigitLog,
  type EngineAddress,
  type EngineKey,
  EnginePool,
  errorText,
  type Logger,
  NgClient,
  readRelaySnapshot,
  Relay,
  type Session,
} from "../../lib/index.js";
import { environment } from "./environment.js";
import type { Group } from "./fleet/group.js";
import { parseRecord } from "./sip-fields.js";

export interface MediaEngineSettings {
  readonly engines: readonly EngineAddress[];
  readonly codecs: readonly string[];
  /** `host:port`; undefined = keys are not reported. */
  readonly digits: string | undefined;
}

/** The part of a group that is needed here. */
type KeyGroup = Pick<Group, "publish" | "subscribe">;

const KEYS = "rtpengine keys";
const pools = new Map<string, EnginePool>();
/** Keys of calls that are none of ours: of another instance, perhaps. */
const strangers = new Set<(key: EngineKey) => void>();
let log: { readonly address: string; readonly digits: DigitLog } | undefined;

/** @param onChange - An engine answers again, or no longer. */
export function openMediaEngines(
  stackId: string,
  { engines, codecs, digits }: MediaEngineSettings,
  logger: Logger,
  onChange: () => void,
): EnginePool {
  closeMediaEngines(stackId);
  const { clock, openChannel } = environment();
  const random = new CryptoRandom();
  const pool = new EnginePool({
    engines,
    codecs,
    clock,
    random,
    logger,
    open: openChannel,
    onChange,
  });
  pools.set(stackId, pool);
  if (digits === undefined) {
    logger.warn(
      "rtpengine: settings.js names no sipStackRtpengineDigits, so keys pressed in bridged calls are not heard here",
    );
  } else if (log?.address !== digits) {
    log?.digits.close();
    log = {
      address: digits,
      digits: new DigitLog(digits, takeKey, (error) =>
        logger.error(`rtpengine: keys cannot be heard at ${digits}: ${errorText(error)}`),
      ),
    };
  }
  return pool;
}

export function closeMediaEngines(stackId: string): void {
  pools.get(stackId)?.close();
  pools.delete(stackId);
  if (pools.size > 0) return;
  log?.digits.close();
  log = undefined;
}

export function mediaEngines(stackId: string): EnginePool | undefined {
  return pools.get(stackId);
}

/** A way through the engines of a stack for the sound of two calls; undefined = it has none that answers. */
export function relayFor(stackId: string, legs: readonly [Session, Session]): Relay | undefined {
  const pool = pools.get(stackId);
  if (pool?.engines.some(({ isUp }) => isUp) !== true) return undefined;
  const [first, second] = legs.map(
    (leg) => leg.snapshot().media?.some(({ srtp }) => srtp !== undefined) === true,
  );
  return new Relay(pool, { secure: [first === true, second === true] });
}

/** As another instance left it (`Relay.snapshot`). @returns undefined when it is none, or on an engine of others. */
export function restoredRelay(stackId: string, snapshot: unknown): Relay | undefined {
  const pool = pools.get(stackId);
  const read = readRelaySnapshot(snapshot);
  return pool === undefined || read === undefined ? undefined : Relay.restore(pool, read);
}

/** @returns false = it belongs to no call here. */
function takeForeignKey(key: EngineKey): boolean {
  for (const pool of pools.values()) {
    if (pool.key(key.callId, key.tag, key.digit, key.duration)) return true;
  }
  return false;
}

/** Keys of calls that other instances have go to the group, and those of ours come from there. @returns stop sharing */
export function shareKeys(group: KeyGroup): () => void {
  const publish = (key: EngineKey): void => group.publish(KEYS, JSON.stringify(key));
  strangers.add(publish);
  const unsubscribe = group.subscribe(KEYS, (text) => {
    const key = parsedKey(text);
    if (key !== undefined) takeForeignKey(key);
  });
  return () => {
    strangers.delete(publish);
    unsubscribe();
  };
}

function parsedKey(text: string): EngineKey | undefined {
  const value = parseRecord(text);
  if (value === undefined) return undefined;
  const { callId, tag, digit, duration } = value;
  if (typeof callId !== "string" || typeof tag !== "string") return undefined;
  if (typeof digit !== "string" || !/^[0-9A-D*#]$/.test(digit)) return undefined;
  return { callId, tag, digit, duration: typeof duration === "number" ? duration : 0 };
}

function takeKey(key: EngineKey): void {
  if (takeForeignKey(key)) return;
  for (const listener of strangers) listener(key);
}

/** For the test button. Rejects with MediaError when it does not answer. */
export async function pingEngine({ host, port }: EngineAddress): Promise<void> {
  const { clock, openChannel: open } = environment();
  const client = new NgClient({ host, port, clock, random: new CryptoRandom(), open });
  try {
    await client.ask("ping");
  } finally {
    client.close();
  }
}
