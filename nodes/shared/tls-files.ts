/**
 * The key material of a `tls-config` node. Node-RED reads its files once, when the node is made; we read them when they
 * are needed, so that a renewed certificate, or a file that was missing, needs no deploy.
 */
import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { errorText, type TransportOptions } from "../../lib/index.js";
import { misuse } from "./errors.js";

const FILES = ["cert", "key", "ca"] as const;

/** Property of the node → path. */
export type TlsPaths = Readonly<Partial<Record<(typeof FILES)[number], string>>>;

/** The paths among a node's properties; none when its certificates were uploaded. */
export function tlsPaths(properties: Readonly<Record<string, unknown>>): TlsPaths {
  const paths: Partial<Record<(typeof FILES)[number], string>> = {};
  for (const name of FILES) {
    const path = properties[name];
    if (typeof path === "string" && path.trim() !== "") paths[name] = path.trim();
  }
  return paths;
}

/** Those that there are. @throws InvalidArgumentError `bad-stack` that names the file. */
export function readTlsFiles(paths: TlsPaths): Partial<Record<(typeof FILES)[number], Buffer>> {
  const read: Partial<Record<(typeof FILES)[number], Buffer>> = {};
  for (const name of FILES) {
    const path = paths[name];
    if (path === undefined) continue;
    try {
      read[name] = readFileSync(path);
    } catch (error) {
      throw misuse("bad-stack", `the TLS file ${path} cannot be read: ${errorText(error)}`);
    }
  }
  return read;
}

/** Changes when one of the files does. */
export function tlsStamp(paths: TlsPaths): string {
  return FILES.map((name) => {
    const path = paths[name];
    const facts = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
    return facts === undefined ? "" : `${facts.mtimeMs} ${facts.size} ${facts.ino}`;
  }).join("|");
}

/** What is wrong with the time of the certificates that we show to clients, in words; undefined = nothing. */
export function certificateFault(
  transports: readonly TransportOptions[],
  now: number,
): string | undefined {
  for (const { protocol, port, tls } of transports) {
    const times = certificateTimes(tls?.cert);
    if (times === undefined) continue;
    const whose = `certificate of ${protocol.toUpperCase()} ${port ?? ""}`.trim();
    if (times.until < now) return `The ${whose} expired on ${day(times.until)}: renew it.`;
    if (times.from > now) return `The ${whose} is valid only from ${day(times.from)} on.`;
  }
  return undefined;
}

function certificateTimes(
  cert: string | Buffer | undefined,
): { readonly from: number; readonly until: number } | undefined {
  if (cert === undefined) return undefined;
  try {
    const { validFrom, validTo } = new X509Certificate(cert);
    return { from: Date.parse(validFrom), until: Date.parse(validTo) };
  } catch {
    // What is no certificate is refused, in words, where it is used.
    return undefined;
  }
}

function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
