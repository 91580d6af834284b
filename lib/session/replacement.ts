/**
 * One call that takes the place of another (RFC 3891), and what a transfer needs of the call that it leads to
 * (RFC 5589 §7): how a dialog is named towards the peer, and the call as others see it.
 */
import { InvalidArgumentError, InvalidStateError } from "../foundation/index.js";
import type { Dialog } from "../dialog/index.js";
import {
  formatReplaces,
  NameAddr,
  parseReplaces,
  SipUri,
  type ReferTarget,
  type Replaces,
  type SipRequest,
} from "../message/index.js";
import type { HeaderList, SessionHandle, SessionState } from "./session-types.js";

/** A call as another one sees it. */
export interface NeighbourCall extends SessionHandle {
  readonly direction: "incoming" | "outgoing";
  readonly state: SessionState;
  /** Handle of the call that has taken its place. */
  readonly replacedBy: string | undefined;
  /** The dialog with its peer; an outgoing call has none before its answer. */
  readonly dialog: Dialog | undefined;
  /**
   * The call `handle` takes its place: reports `replaced`, and ends (BYE or CANCEL) with that cause when it is told to
   * `leave`, or T1 later. Both idempotent. So the new 2xx is with its caller before the old call's BYE.
   */
  giveWay(handle: string): void;
  leave(): void;
  /** A transfer to this call's peer begins: the peer's BYE may now mean that it has worked. */
  beginTransfer(): void;
  /** The transfer is over. `unknown`: nobody will tell how it went, so the call is left to its peer. */
  endTransfer(result: "done" | "failed" | "unknown", hangUp: boolean): void;
}

/** The dialog of another call, in the words of its peer. */
export interface ReplacesOptions {
  readonly callId: string;
  /** Tag of the one who gets the INVITE. */
  readonly toTag: string;
  readonly fromTag: string;
  /** Only while the call is not answered. */
  readonly earlyOnly?: boolean | undefined;
}

/** How the peer of a dialog knows it: its own tag is `to-tag` (RFC 3891 §3). */
export function replacesOf(dialog: Dialog): Replaces {
  const { callId, localTag, remoteTag } = dialog.id;
  // A peer of RFC 2543 without tags is named by 0 (RFC 3891 §6.1).
  return { callId, toTag: remoteTag || "0", fromTag: localTag || "0", earlyOnly: false };
}

/** @throws InvalidArgumentError, rule `bad-replaces`. */
export function checkedReplaces(options: ReplacesOptions): Replaces {
  const { callId, toTag, fromTag, earlyOnly } = options;
  const replaces = parseReplaces(
    formatReplaces({ callId, toTag, fromTag, earlyOnly: earlyOnly === true }),
  );
  const isSame =
    replaces?.callId === callId && replaces.toTag === toTag && replaces.fromTag === fromTag;
  if (replaces !== undefined && isSame) return replaces;
  throw new InvalidArgumentError("Replaces needs a Call-ID and two tags that can be sent", {
    rule: "bad-replaces",
  });
}

/**
 * The Refer-To of an attended transfer (RFC 5589 §7): where the peer of `target` is reached, and its dialog with us,
 * which the new call shall take the place of.
 *
 * @param address - Where to call instead of the peer's Contact.
 * @throws InvalidStateError when the call is not up.
 */
export function attendedTarget(target: NeighbourCall, address?: NameAddr): NameAddr {
  const { dialog, state } = target;
  if (state !== "established" || dialog === undefined) {
    throw new InvalidStateError(
      `The call to transfer to is ${state}; that is possible once it is established`,
    );
  }
  const uri = address?.uri ?? dialog.remoteTarget;
  if (!(uri instanceof SipUri)) {
    throw new InvalidStateError("The call to transfer to has no SIP address to refer to");
  }
  const parameters = new Map(uri.parameters);
  parameters.delete("method");
  const headers = new Map([["replaces", formatReplaces(replacesOf(dialog))]]);
  return new NameAddr(uri.with({ parameters, headers }), address?.displayName);
}

/** The target of a REFER without what a peer may not make us send; only its Replaces stays (contract §2). */
export function dialableTarget({ uri, replaces, address }: ReferTarget): NameAddr {
  if (!(uri instanceof SipUri) || replaces === undefined) {
    return new NameAddr(uri, address.displayName);
  }
  const headers = new Map([["replaces", formatReplaces(replaces)]]);
  return new NameAddr(uri.with({ headers }), address.displayName);
}

/** Does the peer want to hear nothing of the new call (RFC 4488 §4)? */
export function wantsNoNotify(refer: SipRequest): boolean {
  const value = refer.headers.get("refer-sub");
  return value !== undefined && /^\s*false\s*(;|$)/i.test(value);
}

/** The answer to a REFER whose progress is not told (RFC 4488 §4). */
export const NO_REFER_SUBSCRIPTION: HeaderList = [["Refer-Sub", "false"]];

/** Takes the Replaces out of an address that `dialableTarget` has made. */
export function splitReplaces(address: NameAddr): {
  readonly address: NameAddr;
  readonly replaces: Replaces | undefined;
} {
  const { uri } = address;
  if (!(uri instanceof SipUri)) return { address, replaces: undefined };
  const text = uri.headers.get("replaces");
  return {
    address: new NameAddr(uri.with({ headers: new Map() }), address.displayName),
    replaces: typeof text === "string" ? parseReplaces(text) : undefined,
  };
}
