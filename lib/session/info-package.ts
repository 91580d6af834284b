/** INFO packages on the sending side (RFC 6086 §4.2.1): what the peer takes, and how a package is marked. */
import { InvalidArgumentError, printable } from "../foundation/index.js";
import { isToken, type SipMessage } from "../message/index.js";
import type { HeaderList } from "./session-types.js";

/** A peer's list is short; what comes after is not looked at. */
const MOST_PACKAGES = 64;

/**
 * The packages that a message of the peer lists, in lower case; undefined when it has no Recv-Info. An empty list is
 * a peer that knows packages and takes none.
 */
export function packagesOf(message: SipMessage): ReadonlySet<string> | undefined {
  if (!message.headers.has("recv-info")) return undefined;
  const names = message.headers
    .getAll("recv-info")
    .flatMap((line) => line.split(",", MOST_PACKAGES))
    .map(packageName)
    .filter((name) => name !== "");
  return new Set(names.slice(0, MOST_PACKAGES));
}

/** The name in an Info-Package value, in lower case (RFC 3261 §7.3.1: tokens are compared without case). */
export function packageName(value: string): string {
  return (value.split(";", 1)[0] ?? "").trim().toLowerCase();
}

/**
 * The header lines that mark an INFO as one of this package. A body is the package's own unless the application says
 * otherwise. @throws InvalidArgumentError `bad-option`.
 */
export function packageHeaders(
  infoPackage: string,
  headers: HeaderList,
  hasBody: boolean,
): HeaderList {
  if (!isToken(packageName(infoPackage)) || /[\r\n\0]/.test(infoPackage)) {
    throw new InvalidArgumentError(`"${printable(infoPackage)}" is no name of an INFO package.`, {
      rule: "bad-option",
    });
  }
  const names = headers.map(([name]) => name.toLowerCase());
  const rest = headers.filter(([name]) => name.toLowerCase() !== "info-package");
  const lines: [string, string][] = [["Info-Package", infoPackage.trim()]];
  if (hasBody && !names.includes("content-disposition")) {
    lines.push(["Content-Disposition", "Info-Package"]);
  }
  return [...lines, ...rest];
}
