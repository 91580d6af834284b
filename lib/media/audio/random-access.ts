/** Bytes that can be read from any place: a file or a buffer. */
import { open, stat } from "node:fs/promises";
import { basename } from "node:path";
import { errorText, MediaError } from "../../foundation/index.js";

export interface RandomAccess {
  /** Shown in error texts. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** What the same file would have, as long as nobody writes to it; undefined = nothing can be told. */
  readonly identity?: string;
  /** @returns fewer bytes than `length` at the end, none behind it. */
  read(position: number, length: number): Promise<Buffer>;
  close(): Promise<void>;
}

/**
 * Opens a regular file.
 *
 * @throws MediaError, rule `no-file`, when it is missing, unreadable or no regular file.
 */
export async function openFile(path: string): Promise<RandomAccess> {
  const name = basename(path);
  let handle;
  let size: number;
  let identity: string;
  try {
    // Looked at before opening, because opening a pipe waits for its other end.
    if (!(await stat(path)).isFile()) throw new Error("it is not a regular file");
    handle = await open(path, "r");
    const { dev, ino, mtimeMs, ctimeMs, ...facts } = await handle.stat();
    size = facts.size;
    identity = [dev, ino, size, mtimeMs, ctimeMs].join(" ");
  } catch (error) {
    await handle?.close();
    throw new MediaError(`The audio file "${path}" cannot be read: ${reasonOf(error)}`, {
      cause: error,
      rule: "no-file",
    });
  }
  const file = handle;
  return {
    name,
    size,
    identity,
    async read(position, length) {
      const buffer = Buffer.allocUnsafe(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return buffer.subarray(0, filled);
    },
    close: () => file.close(),
  };
}

/** Reads from memory. */
export function openBuffer(data: Buffer, name = "the buffer"): RandomAccess {
  return {
    name,
    size: data.length,
    read: (position, length) => Promise.resolve(data.subarray(position, position + length)),
    close: () => Promise.resolve(),
  };
}

function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (code === "ENOENT" || code === "ENOTDIR") return "there is no such file";
  if (code === "EACCES" || code === "EPERM") return "permission denied";
  return errorText(error);
}
