/** What this package calls itself in User-Agent and Server (RFC 3261 §20.35, §20.41). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isRecord } from "./sip-fields.js";

let text: string | undefined;

/** Package name and version; `@` and `/` of the name are no characters of a product token. */
export function product(): string {
  return (text ??= read());
}

function read(): string {
  // Two folders up from the sources, three from what is built of them.
  for (const folder of [join(__dirname, "../.."), join(__dirname, "../../..")]) {
    try {
      const about: unknown = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      if (!isRecord(about)) continue;
      const { name, version } = about;
      if (typeof name !== "string" || typeof version !== "string") continue;
      return `${name.replace(/^@/, "").replace("/", "-")}/${version}`;
    } catch {
      // Not here: the next folder.
    }
  }
  return "sipflow-node-red-sip";
}
