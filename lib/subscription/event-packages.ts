/** What the stack knows of event packages: which body they like, and what it means (contract §4.6). */
import type { SipRequest } from "../message/index.js";
import { DialogInfoView, mergeDialogInfo, type DialogInfo } from "./dialog-info.js";
import {
  mergeMessageSummaries,
  parseMessageSummary,
  type MessageSummary,
} from "./message-summary.js";
import { parsePresence } from "./presence.js";

/** What the bodies of one subscription add up to. */
export interface PackageView {
  /** The parsed value of a body, undefined when it has none. */
  receive(body: string): unknown;
  /** A refresh is needed to get the full state. */
  readonly stale: boolean;
}

interface EventPackage {
  readonly accept: string;
  view(): PackageView;
  /**
   * What several notifiers of one forked SUBSCRIBE say together. Absent where the package allows one dialog only
   * (RFC 6665 §5.4.9).
   */
  readonly merge?: (values: readonly object[]) => object;
}

const PACKAGES: ReadonlyMap<string, EventPackage> = new Map<string, EventPackage>([
  [
    "message-summary",
    {
      accept: "application/simple-message-summary",
      view: () => ({ receive: parseMessageSummary, stale: false }),
      // RFC 3842 §3.10: each place that keeps messages may answer.
      merge: (values) => mergeMessageSummaries(values as readonly MessageSummary[]),
    },
  ],
  [
    "dialog",
    {
      accept: "application/dialog-info+xml",
      view: () => new DialogInfoView(),
      // RFC 4235 §3.10: each phone of a user may answer.
      merge: (values) => mergeDialogInfo(values as readonly DialogInfo[]),
    },
  ],
  [
    "presence",
    { accept: "application/pidf+xml", view: () => ({ receive: parsePresence, stale: false }) },
  ],
]);

/** Accept of a SUBSCRIBE; undefined for a package that we know nothing of. */
export function acceptOf(eventPackage: string): string | undefined {
  return PACKAGES.get(eventPackage)?.accept;
}

/** How the states of several notifiers are put together; undefined = the package allows one dialog only. */
export function mergeOf(eventPackage: string): ((values: readonly object[]) => object) | undefined {
  return PACKAGES.get(eventPackage)?.merge;
}

/** @returns undefined for a package that we know nothing of. */
export function viewOf(eventPackage: string): PackageView | undefined {
  return PACKAGES.get(eventPackage)?.view();
}

/** The parsed value of a NOTIFY; undefined when the package or the body means nothing to us. */
export function parseNotify(notify: SipRequest, view: PackageView | undefined): object | undefined {
  if (!notify.hasBody || view === undefined) return undefined;
  const text = utf8(notify.body);
  const parsed = text === undefined ? undefined : view.receive(text);
  return typeof parsed === "object" && parsed !== null ? parsed : undefined;
}

function utf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
