/** What people write to say whom to call → an address (contract §4.5 "Targets and forks"). */
import { InvalidArgumentError, printable } from "../foundation/index.js";
import { isAddress } from "./address-list.js";
import { NameAddr, parseNameAddr, parseUri, SipUri, TelUri, type Uri } from "../message/index.js";

/** Longest text that is looked at. */
const LONGEST_TARGET = 2_048;

const SCHEME = /^([a-z][a-z0-9+.-]*):/i;
const DIALLABLE = /^(sips?|tel):/i;
/** A number as it stands on a business card. */
const WRITTEN_NUMBER = /^\+?[0-9*#][0-9*# ()./-]*$/;
/** RFC 3261 §25.1 `user`: characters that need no escape. */
const PLAIN_USER_CHARACTER = /[A-Za-z0-9\-_.!~*'()&=+$,;?/]/;

/**
 * Reads a target: a sip, sips or tel URI, a name-addr, `user@host`, or a bare user or number, which is completed with
 * the account's domain.
 *
 * @param home - The account's address-of-record, if there is an account.
 * @throws InvalidArgumentError, rule `bad-target`, with a text that says how to write it.
 */
export function parseTarget(text: unknown, home: SipUri | undefined): NameAddr {
  if (typeof text !== "string") throw refusal("The target must be a text.");
  if (/[\r\n\0]/.test(text)) {
    throw refusal(`The target "${printable(text, 80)}" must not hold line breaks or NUL.`);
  }
  const target = text.trim();
  if (target === "") throw refusal("The target is empty; write for example sip:bob@example.com.");
  if (target.length > LONGEST_TARGET) throw refusal("The target is too long.");
  if (target.includes("<")) return fromNameAddr(target, home);
  if (DIALLABLE.test(target)) return new NameAddr(dialled(parseUri(target), target, home));
  const scheme = SCHEME.exec(target)?.[1];
  if (scheme !== undefined) throw wrongScheme(target, scheme);
  if (target.includes("@")) return new NameAddr(dialled(parseUri(`sip:${target}`), target, home));
  return new NameAddr(completed(target, home));
}

function fromNameAddr(target: string, home: SipUri | undefined): NameAddr {
  const address = parseNameAddr(target);
  if (address === undefined) {
    throw refusal(
      `"${printable(target)}" cannot be read; write for example "Bob" <sip:bob@example.com>.`,
    );
  }
  const uri = dialled(address.uri, target, home);
  return uri === address.uri ? address : new NameAddr(uri, address.displayName, address.parameters);
}

/** The URI as it can be requested; tel is turned into SIP at the account's domain (RFC 3261 §19.1.6). */
function dialled(uri: Uri | undefined, target: string, home: SipUri | undefined): SipUri {
  if (uri instanceof SipUri) return uri;
  if (uri instanceof TelUri) {
    if (home === undefined) {
      throw refusal(
        `"${printable(target)}" needs an account: only its provider knows where a number is.`,
      );
    }
    return inDomain(uri.number, home, new Map([...uri.parameters, ["user", "phone"]]));
  }
  if (uri === undefined) {
    throw refusal(
      `"${printable(target)}" is no SIP address; write for example sip:bob@example.com.`,
    );
  }
  throw wrongScheme(target, uri.scheme);
}

function completed(target: string, home: SipUri | undefined): SipUri {
  const host = target.replace(/^\[(.*)\]$/, "$1");
  if (isAddress(host)) {
    throw refusal(
      `"${printable(target)}" is an address; write sip:${printable(target)} to call it.`,
    );
  }
  if (home === undefined) {
    throw refusal(
      `"${printable(target)}" has no host: write it as sip:${printable(target)}@host, or choose an account.`,
    );
  }
  const isNumber = WRITTEN_NUMBER.test(target);
  return inDomain(isNumber ? target.replace(/[ ()./-]/g, "") : target, home, new Map());
}

function inDomain(user: string, home: SipUri, parameters: Map<string, string | null>): SipUri {
  return new SipUri(home.scheme, escapeUser(user), home.host, home.port, parameters);
}

/** Escapes what RFC 3261 §25.1 does not allow plainly in a user part. */
export function escapeUser(user: string): string {
  let escaped = "";
  for (const character of user) {
    escaped += PLAIN_USER_CHARACTER.test(character)
      ? character
      : [...Buffer.from(character, "utf8")]
          .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`)
          .join("");
  }
  return escaped;
}

function wrongScheme(target: string, scheme: string): InvalidArgumentError {
  return refusal(
    `"${printable(target)}" cannot be called: only sip, sips and tel can, not ${printable(scheme)}.`,
  );
}

function refusal(text: string): InvalidArgumentError {
  return new InvalidArgumentError(text, { rule: "bad-target" });
}
