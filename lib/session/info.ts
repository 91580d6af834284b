/**
 * INFO from the peer: digits (RFC 2976 use, `application/dtmf-relay` and `application/dtmf`) and INFO packages
 * (RFC 6086).
 */
import type { SipRequest } from "../message/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import { holdRequest } from "./held-request.js";
import { packageName } from "./info-package.js";
import type { DigitEvent } from "./media-handler.js";
import type { SessionCore } from "./session-core.js";

const SIGNAL = /^\s*Signal\s*=\s*([0-9A-Da-d*#]{1,2})\s*$/im;
const DURATION = /^\s*Duration\s*=\s*(\d{1,6})\s*$/im;
/** Longer bodies hold no digit; they are not scanned. */
const LONGEST_BODY = 200;
const DIGIT = /^[0-9A-D*#]$/;
/** Events 10 and 11 are written as numbers by some phones (RFC 4733 §3.2). */
const NUMBERED: ReadonlyMap<string, string> = new Map([
  ["10", "*"],
  ["11", "#"],
  ["12", "A"],
  ["13", "B"],
  ["14", "C"],
  ["15", "D"],
]);

/** The digit that an INFO carries; `undefined`: it is no digit INFO; `null`: it is one, but its digit is unknown. */
export function digitOf(info: SipRequest): DigitEvent | null | undefined {
  const text = info.body.length > LONGEST_BODY ? "" : info.text;
  switch (info.contentType) {
    case "application/dtmf-relay": {
      const digit = normalise(SIGNAL.exec(text)?.[1]);
      const duration = Number(DURATION.exec(text)?.[1] ?? 0);
      return digit === undefined ? null : { digit, method: "info-relay", duration };
    }
    case "application/dtmf": {
      const digit = normalise(text.trim());
      return digit === undefined ? null : { digit, method: "info-dtmf", duration: 0 };
    }
    default:
      return undefined;
  }
}

/** 200 for digits, empty INFOs and listed packages, else 469 with what we take (RFC 6086 §4.2.2). */
export function receiveInfo(core: SessionCore, transaction: ServerTransaction): void {
  const { request } = transaction;
  const value = request.headers.get("info-package");
  const digit = value === undefined ? digitOf(request) : undefined;
  if (digit !== undefined) {
    core.reply(transaction, 200);
    if (digit !== null) core.digit(digit, request);
    return;
  }
  const listed =
    value === undefined
      ? request.body.length === 0
      : core.services.infoPackages.some((name) => name.toLowerCase() === packageName(value));
  holdRequest(core, {
    transaction,
    eventName: "info",
    fallback: () => {
      if (listed) core.reply(transaction, 200);
      else core.reply(transaction, 469, { headers: receivedPackages(core) });
    },
  });
}

function receivedPackages(core: SessionCore): readonly (readonly [string, string])[] {
  return [["Recv-Info", core.services.infoPackages.join(", ")]];
}

function normalise(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const digit = (NUMBERED.get(text) ?? text).toUpperCase();
  return DIGIT.test(digit) ? digit : undefined;
}
