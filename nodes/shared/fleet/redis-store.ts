/**
 * The shared state in Redis: two connections (one listens), opened again with back-off when they are lost. The library is
 * optional and loaded only here. Neither user nor password of the address is ever shown.
 */
import { errorText, printable } from "../../../lib/index.js";
import { misuse } from "../errors.js";
import { SharedStateError } from "./group.js";
import { BEAT, CLAIM, LEAVE, RELEASE, type Script, WRITE } from "./redis-scripts.js";
import type {
  Beat,
  BeatAnswer,
  RecordChange,
  SharedStore,
  SharedStoreEvents,
} from "./shared-store.js";

/** Milliseconds before the first attempt to connect again, and at most; half of it is chance. */
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 3_000;
const CONNECT_MS = 3_000;
/** The listening connection says nothing by itself: it is asked, and given up when it is silent. */
const PING_MS = 2_000;
const SILENT_MS = 6_000;
/** Texts to all that wait for Redis; more are dropped. */
const MOST_TEXTS = 1_000;
/** Members of which we take notice. */
const MOST_MEMBERS = 1_000;

/** What we use of `@redis/client`. */
interface RedisClient {
  readonly isReady: boolean;
  on(event: string, listener: (value: unknown) => void): unknown;
  connect(): Promise<unknown>;
  evalSha(sha: string, given: { keys: string[]; arguments: string[] }): Promise<unknown>;
  eval(text: string, given: { keys: string[]; arguments: string[] }): Promise<unknown>;
  hmGet(key: string, fields: string[]): Promise<unknown>;
  sMembers(key: string): Promise<unknown>;
  publish(channel: string, text: string): Promise<unknown>;
  subscribe(channel: string, listener: (text: string) => void): Promise<unknown>;
  destroy(): void;
}

interface RedisLibrary {
  createClient(options: Record<string, unknown>): RedisClient;
}

export interface RedisPlace {
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
}

/** Of `redis://[user:password@]host[:port][/db]`. @throws InvalidArgumentError `bad-stack`, without what was written. */
export function readRedisUrl(text: string): RedisPlace {
  const wrong = (): Error =>
    misuse("bad-stack", "sharedState must be redis://[user:password@]host[:port][/database]");
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw wrong();
  }
  const database = /^\/?(\d{0,4})$/.exec(url.pathname)?.[1];
  const isKnown = url.protocol === "redis:" || url.protocol === "rediss:";
  if (!isKnown || url.hostname === "" || database === undefined || url.search || url.hash) {
    throw wrong();
  }
  try {
    return {
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port: url.port === "" ? 6379 : Number(url.port),
      isSecure: url.protocol === "rediss:",
      username: url.username === "" ? undefined : decodeURIComponent(url.username),
      password: url.password === "" ? undefined : decodeURIComponent(url.password),
      database: Number(database),
    };
  } catch {
    throw wrong();
  }
}

export class RedisStore implements SharedStore {
  readonly #base: string;
  /** Redis has the same channels in all its databases. */
  readonly #channel: string;
  #clients: { main: RedisClient; ear: RedisClient } | undefined;
  #library: RedisLibrary | undefined;
  #isClosed = false;
  #texts = 0;

  /** @param group - Name of the group: the same at all its members. */
  constructor(
    private readonly place: RedisPlace,
    group: string,
    private readonly events: SharedStoreEvents,
  ) {
    this.#base = `sipflow:{${group}}:`;
    this.#channel = `${this.#base}texts:${place.database}`;
    void this.#begin();
  }

  async beat({ instance, count, deadMs, epoch, leases }: Beat): Promise<BeatAnswer> {
    const answer = await this.#run(
      BEAT,
      ["members", "counts", "leases", "epoch"],
      [
        instance,
        String(count),
        String(deadMs),
        epoch,
        ...leases.flatMap(([name, wish]) => [wish, name]),
      ],
    );
    const parts = Array.isArray(answer) ? (answer as unknown[]) : [];
    const holders = strings(parts[3]);
    return {
      isClash: parts[0] === "clash",
      epoch: String(parts[1]),
      members: strings(parts[2]).slice(0, MOST_MEMBERS),
      holders: leases.map((_lease, index) => holders[index] || undefined),
    };
  }

  async write(
    instance: string,
    deadMs: number,
    changes: readonly RecordChange[],
  ): Promise<boolean[]> {
    const keys = changes.flatMap(({ kind, key }) => [
      recordKey(kind, key),
      heldKey(kind, instance),
    ]);
    const values = changes.flatMap(({ kind, key, value, ttlSeconds, mode }) => [
      kind,
      key,
      value === undefined ? "gone" : mode,
      value ?? "",
      String(Math.max(1, Math.ceil(ttlSeconds))),
    ]);
    const all = [instance, String(deadMs), `${this.#base}held:`, ...values];
    const answer = await this.#run(WRITE, ["members", ...keys], all);
    const done = Array.isArray(answer) ? (answer as unknown[]) : [];
    return changes.map((_change, index) => done[index] !== 0);
  }

  async read(kind: string, key: string): Promise<{ holder: string; value: string } | undefined> {
    const found = await this.#ready().hmGet(this.#base + recordKey(kind, key), ["h", "v"]);
    const [holder, value] = strings(found);
    return holder === undefined || value === undefined ? undefined : { holder, value };
  }

  async claim(
    instance: string,
    deadMs: number,
    kind: string,
    key: string,
  ): Promise<{ value: string; formerHolder: string } | undefined> {
    const keys = ["members", recordKey(kind, key), heldKey(kind, instance)];
    const held = this.#base + heldKey(kind, "");
    const answer = await this.#run(CLAIM, keys, [instance, String(deadMs), held, key]);
    const [formerHolder, value] = strings(answer);
    return formerHolder === undefined || value === undefined ? undefined : { value, formerHolder };
  }

  async heldBy(kind: string, instance: string): Promise<string[]> {
    const found = await this.#ready().sMembers(this.#base + heldKey(kind, instance));
    return found instanceof Set ? strings([...(found as Set<unknown>)]) : strings(found);
  }

  async leave(instance: string): Promise<void> {
    await this.#run(LEAVE, ["members", "counts", "leases"], [instance]);
  }

  async release(instance: string, lease: string): Promise<void> {
    await this.#run(RELEASE, ["leases"], [instance, lease]);
  }

  publish(text: string): void {
    const main = this.#clients?.main;
    if (main?.isReady !== true || this.#texts >= MOST_TEXTS) return;
    this.#texts++;
    const done = (): void => void this.#texts--;
    main.publish(this.#channel, text).then(done, done);
  }

  reconnect(): void {
    if (this.#isClosed || this.#library === undefined) return;
    this.#drop();
    this.#open(this.#library);
  }

  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  #ready(): RedisClient {
    const main = this.#clients?.main;
    if (main?.isReady !== true) throw new SharedStateError("Redis is not connected.");
    return main;
  }

  async #run(script: Script, keys: readonly string[], values: string[]): Promise<unknown> {
    const client = this.#ready();
    const given = { keys: keys.map((key) => this.#base + key), arguments: values };
    try {
      return await client.evalSha(script.sha, given);
    } catch (error) {
      // Redis knows no script that it has not run since its start.
      if (!errorText(error).startsWith("NOSCRIPT")) throw error;
      return client.eval(script.text, given);
    }
  }

  async #begin(): Promise<void> {
    // Not a literal: it is looked for only here, and the types do not need it.
    const name: string = "@redis/client";
    try {
      const found = (await import(name)) as RedisLibrary & { default?: RedisLibrary };
      this.#library = typeof found.createClient === "function" ? found : found.default;
    } catch (error) {
      this.events.onProblem(`${name} cannot be loaded: ${printable(errorText(error))}`);
    }
    if (this.#library !== undefined && !this.#isClosed) this.#open(this.#library);
  }

  #open(library: RedisLibrary): void {
    const { host, port, isSecure, username, password, database } = this.place;
    const options = {
      username,
      password,
      database,
      disableOfflineQueue: true,
      pingInterval: PING_MS,
      socket: {
        host,
        port,
        tls: isSecure,
        connectTimeout: CONNECT_MS,
        socketTimeout: SILENT_MS,
        reconnectStrategy: (retries: number) => {
          const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(retries, 10));
          return Math.round(longest * (0.5 + Math.random() / 2));
        },
      },
    };
    const clients = { main: library.createClient(options), ear: library.createClient(options) };
    this.#clients = clients;
    let wasUp = false;
    let listens = false;
    const look = (): void => {
      if (this.#clients !== clients) return;
      const isUp = clients.main.isReady && clients.ear.isReady && listens;
      if (isUp === wasUp) return;
      wasUp = isUp;
      if (isUp) this.events.onUp();
      else this.events.onDown();
    };
    for (const client of [clients.main, clients.ear]) {
      client.on("error", (error) => {
        look();
        if (this.#clients === clients) this.events.onProblem(this.#problem(error));
      });
      client.on("reconnecting", look);
      client.on("end", look);
    }
    clients.main.on("ready", look);
    clients.ear.on("ready", () => {
      // Subscribed once; the library does it again with each new connection.
      if (listens) return look();
      clients.ear
        .subscribe(this.#channel, (text) => {
          if (this.#clients === clients) this.events.onText(text);
        })
        .then(
          () => {
            listens = true;
            look();
          },
          (error: unknown) => this.events.onProblem(this.#problem(error)),
        );
    });
    for (const client of [clients.main, clients.ear]) {
      client.connect().then(look, (error: unknown) => {
        if (this.#clients === clients) this.events.onProblem(this.#problem(error));
      });
    }
  }

  #drop(): void {
    const clients = this.#clients;
    this.#clients = undefined;
    for (const client of clients === undefined ? [] : [clients.main, clients.ear]) {
      try {
        client.destroy();
      } catch (error) {
        // It had not been opened yet.
        this.events.onProblem(this.#problem(error));
      }
    }
  }

  #problem(error: unknown): string {
    return `Redis at ${this.place.host}:${this.place.port}: ${printable(errorText(error))}`;
  }
}

function recordKey(kind: string, key: string): string {
  return `record:${kind}:${key}`;
}

function heldKey(kind: string, instance: string): string {
  return `held:${kind}:${instance}`;
}

function strings(value: unknown): string[] {
  return Array.isArray(value)
    ? (value as unknown[]).filter((part): part is string => typeof part === "string")
    : [];
}
