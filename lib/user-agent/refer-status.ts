/** What the application says about the call of a REFER: a `message/sipfrag`, or just its status (RFC 3515 §2.4.5). */
import { InvalidArgumentError } from "../foundation/index.js";
import { parseSipFragment } from "../message/index.js";

/** @throws InvalidArgumentError `bad-body` for anything else, and for a provisional status as the last word. */
export function referStatus(
  body: string | Buffer,
  isLast: boolean,
): { readonly statusCode: number; readonly reason: string | undefined } {
  const text = body.toString().trim();
  const fragment = parseSipFragment(text);
  const bare = /^[1-6]\d\d$/.test(text) ? Number(text) : undefined;
  const statusCode = fragment?.statusCode ?? bare;
  if (statusCode === undefined) {
    throw new InvalidArgumentError(
      'The body for a REFER is its message/sipfrag, for example "SIP/2.0 200 OK".',
      { rule: "bad-body" },
    );
  }
  if (isLast && statusCode < 200) {
    throw new InvalidArgumentError("The last word about a REFER is a status from 200 on.", {
      rule: "bad-body",
    });
  }
  return { statusCode, reason: fragment?.reason };
}
