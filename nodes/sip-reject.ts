/** `sip-reject`: refuses a call or a held request (contract §4.5). Output: 1 rejected. */
import type { NodeAPI } from "node-red";
import type { RedirectContact } from "../lib/index.js";
import { misuse } from "./shared/errors.js";
import { registerActionNode } from "./shared/flow-node.js";
import { optionalText, session, statusCode, typed } from "./shared/properties.js";
import { findRequest, leaveAnswered, leaveNoRequest } from "./shared/request-action.js";
import { attemptIn, callFor, leaveOver } from "./shared/session-action.js";
import { isRecord } from "./shared/sip-fields.js";

const properties = {
  session,
  statusCode: statusCode(300, 699),
  reason: optionalText,
  contacts: typed(parseContacts, { fallback: undefined }),
};

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-reject", {
    properties,
    reads: ["headers"],
    async run({ input, values, headers }) {
      const { statusCode: code, reason, contacts } = values;
      const options = { statusCode: code, reason, contacts, headers };
      if (input.carried.request !== undefined) {
        const found = findRequest(input);
        if (found === undefined) leaveNoRequest(input, values.session, 1, "rejected");
        else {
          const outcome = await found.pending.reject(options);
          leaveAnswered(input, values.session, 1, "rejected", outcome, found);
        }
        return;
      }
      const call = callFor(input, values.session);
      if (call === undefined) {
        leaveOver(input, values.session, 1, "rejected", 0);
        return;
      }
      await attemptIn(
        input,
        call,
        { success: [1, "rejected"], failure: [1, "rejected"], with: ["rejected"] },
        () => call.session.reject({ ...options, statusCode: code ?? 486 }),
      );
    },
  });
}

/** Targets of a 3xx: a string, or an array of strings and `{uri, q?, displayName?}`. */
function parseContacts(value: unknown): (string | RedirectContact)[] | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const entries: unknown[] = Array.isArray(value) ? value : [value];
  return entries.map((entry) => {
    if (typeof entry === "string") return checked(entry);
    if (isRecord(entry) && typeof entry["uri"] === "string") {
      const { q, displayName } = entry;
      return {
        uri: checked(entry["uri"]),
        ...(typeof q === "number" ? { q } : {}),
        ...(typeof displayName === "string" ? { displayName: checked(displayName) } : {}),
      };
    }
    throw misuse("bad-option", `"contacts" must hold URIs or objects with uri`);
  });
}

function checked(text: string): string {
  if (/[\r\n\0]/.test(text)) throw misuse("bad-text", `"contacts" holds a line break or a NUL`);
  return text;
}
