/** What a flow wants to be heard → an audio source (contract §4.7 "Sources and files"). */
import { lstat, realpath, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve, sep, win32 } from "node:path";
import type { NodeAPI } from "node-red";
import { type AudioSource, errorText, type SingleAudioSource } from "../../lib/index.js";
import { misuse } from "./errors.js";
import type { Origin, SourceValue } from "./properties.js";

export interface ResolvedSource {
  readonly source: AudioSource;
  /** What `playing` shows. */
  readonly shown: string | Buffer | readonly (string | Buffer)[];
}

interface ResolvedOne {
  readonly source: SingleAudioSource;
  readonly shown: string | Buffer;
}

/** Sounds of one list. */
const MOST_SOURCES = 100;

const LARGEST_DOWNLOAD = 20 * 1024 * 1024;
const LONGEST_DOWNLOAD_MS = 10_000;
const RAW_FORMATS = ["pcm16", "mulaw", "alaw"] as const;

/**
 * A text, a Buffer, or an array of them that is played in order.
 *
 * @throws InvalidArgumentError `unsupported-audio`, `no-file`, `bad-path`, `bad-url` or `no-source`.
 */
export async function resolveSource(
  RED: NodeAPI,
  { value, origin }: SourceValue,
  options: Record<string, unknown> | undefined,
): Promise<ResolvedSource> {
  if (!Array.isArray(value)) return resolveOne(RED, value, origin, options);
  if (value.length === 0 || value.length > MOST_SOURCES) {
    throw misuse("no-source", `a list to play has 1 to ${MOST_SOURCES} sounds`);
  }
  const resolved: ResolvedOne[] = [];
  // In order, so that the first that is missing is named.
  for (const one of value as unknown[]) resolved.push(await resolveOne(RED, one, origin, options));
  return {
    source: { kind: "list", sources: resolved.map(({ source }) => source) },
    shown: resolved.map(({ shown }) => shown),
  };
}

async function resolveOne(
  RED: NodeAPI,
  value: unknown,
  origin: Origin,
  options: Record<string, unknown> | undefined,
): Promise<ResolvedOne> {
  // Copies: the flow may change its Buffer after it has sent it.
  if (Buffer.isBuffer(value)) return bufferSource(Buffer.from(value), Buffer.from(value), options);
  if (typeof value !== "string" || value === "") {
    throw misuse("no-source", "there is nothing to play: give a file, URL, tone or Buffer");
  }
  if (origin.type === "tone") return toneSource(value);
  if (value.startsWith("tone:")) return toneSource(value.slice("tone:".length));
  if (origin.type === "url" || /^https?:\/\//i.test(value)) {
    return bufferSource(await download(value), value, options);
  }
  return { source: { kind: "file", path: await filePath(RED, value, origin) }, shown: value };
}

function toneSource(name: string): ResolvedOne {
  return { source: { kind: "tone", name }, shown: `tone:${name}` };
}

function bufferSource(
  data: Buffer,
  shown: string | Buffer,
  options: Record<string, unknown> | undefined,
): ResolvedOne {
  const given = options?.["format"];
  const format = RAW_FORMATS.find((name) => name === given);
  if (given !== undefined && format === undefined) {
    throw misuse("unsupported-audio", `format must be one of ${RAW_FORMATS.join(", ")}`);
  }
  const sampleRate = options?.["sampleRate"];
  if (sampleRate !== undefined && typeof sampleRate !== "number") {
    throw misuse("unsupported-audio", "sampleRate must be a number");
  }
  return { source: { kind: "buffer", data, format, sampleRate }, shown };
}

async function download(url: string): Promise<Buffer> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(LONGEST_DOWNLOAD_MS) });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw misuse("bad-url", `the server answered ${response.status}`);
    }
    if (Number(response.headers.get("content-length")) > LARGEST_DOWNLOAD) {
      await response.body.cancel();
      throw tooLarge();
    }
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      length += chunk.byteLength;
      if (length > LARGEST_DOWNLOAD) throw tooLarge();
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw misuse("bad-url", `${url.slice(0, 200)}: ${errorText(cause)}`);
  }
}

function tooLarge(): Error {
  return misuse("bad-url", "the sound is larger than 20 MB");
}

/** The folder that messages may name files in. */
export function mediaFolder(RED: NodeAPI): string {
  const settings = RED.settings as { sipMediaDir?: unknown; userDir?: unknown };
  if (typeof settings.sipMediaDir === "string" && settings.sipMediaDir !== "") {
    return resolve(settings.sipMediaDir);
  }
  const userDir = typeof settings.userDir === "string" ? settings.userDir : ".";
  return resolve(userDir, "sip-media");
}

/**
 * A name in a message stays inside the media folder, links included; a literal may point anywhere and is looked
 * for in the media folder first.
 */
async function filePath(RED: NodeAPI, name: string, origin: Origin): Promise<string> {
  const folder = mediaFolder(RED);
  if (origin.literal) {
    if (isAbsolute(name)) return existing(name, name);
    const inFolder = join(folder, name);
    return (await isFile(inFolder)) ? inFolder : existing(resolve(workingFolder(RED), name), name);
  }
  checkInside(name, folder);
  const path = await existing(join(folder, name), name);
  const [real, realFolder] = await Promise.all([realpath(path), realpath(folder)]);
  if (!real.startsWith(realFolder + sep)) {
    throw misuse("bad-path", `"${name}" leads out of ${folder} (sipMediaDir)`);
  }
  return real;
}

/**
 * Where a recording of this name goes: a name in a message stays inside the media folder, links included; a literal
 * may point anywhere, a relative one into the media folder.
 *
 * @throws InvalidArgumentError `bad-path`.
 */
export async function recordingPath(
  RED: NodeAPI,
  { value, origin }: SourceValue,
): Promise<string | undefined> {
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value !== "string" || value.includes("\0")) {
    throw misuse("bad-path", "the target of a recording must be the name of a file");
  }
  const folder = mediaFolder(RED);
  const path = resolve(folder, value);
  if (origin.literal) return path;
  checkInside(value, folder);
  // The part of the way that exists may be a link.
  let there = path;
  while (!(await exists(there)) && there !== folder) there = dirname(there);
  if (there === folder) return path;
  const [real, realFolder] = await Promise.all([realpath(there), realpath(folder)]);
  if (real !== realFolder && !real.startsWith(realFolder + sep)) {
    throw misuse("bad-path", `"${value}" leads out of ${folder} (sipMediaDir)`);
  }
  return path;
}

/** @throws InvalidArgumentError `bad-path`. */
function checkInside(name: string, folder: string): void {
  const parts = name.split(/[\\/]/);
  if (isAbsolute(name) || win32.isAbsolute(name) || parts.includes("..") || name.includes("\0")) {
    throw misuse("bad-path", `"${name}" must be a name inside ${folder} (sipMediaDir)`);
  }
}

/** Links count, wherever they lead. */
async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch {
    return false;
  }
}

async function existing(path: string, name: string): Promise<string> {
  if (await isFile(path)) return path;
  throw misuse("no-file", `there is no file "${name}" (looked for ${path})`);
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    // Missing or not readable: both mean that it cannot be played.
    return false;
  }
}

function workingFolder(RED: NodeAPI): string {
  const { fileWorkingDirectory } = RED.settings as { fileWorkingDirectory?: unknown };
  return typeof fileWorkingDirectory === "string" ? fileWorkingDirectory : process.cwd();
}
