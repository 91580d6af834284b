/** Where rtpengines are: `udp://host:port[;weight=n]`, several with commas between them. */
import { InvalidArgumentError } from "../../foundation/index.js";

export interface EngineAddress {
  /** As it was written, without the weight: for people. */
  readonly text: string;
  readonly host: string;
  readonly port: number;
  /** Its share of the calls, beside those of the others; 0 = only when no other one answers. */
  readonly weight: number;
}

const FORM = /^udp:\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):(\d{1,5})(?:;weight=(\d{1,3}))?$/;
const MOST = 32;

/** @throws InvalidArgumentError `bad-engine`. */
export function parseEngineAddresses(text: string): EngineAddress[] {
  const entries = text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
  if (entries.length > MOST) {
    throw new InvalidArgumentError(`more than ${MOST} rtpengines`, { rule: "bad-engine" });
  }
  return entries.map((entry) => {
    const [, host = "", port = "", weight = "1"] = FORM.exec(entry) ?? [];
    if (host === "" || Number(port) < 1 || Number(port) > 65_535) {
      throw new InvalidArgumentError(
        `"${entry}" is no address of an rtpengine: udp://host:port, or udp://host:port;weight=2`,
        { rule: "bad-engine" },
      );
    }
    return {
      text: `udp://${host}:${port}`,
      host: host.startsWith("[") ? host.slice(1, -1) : host,
      port: Number(port),
      weight: Number(weight),
    };
  });
}
