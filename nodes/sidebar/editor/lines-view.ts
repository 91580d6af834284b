/** Stacks with their ports and accounts with their registrations: one line each, a click opens the dialog. */
import { clock } from "./causes.js";
import { button, el, icon, KeyedList, setClass, setText, type Row } from "./dom.js";
import { t } from "./texts.js";
import type { AccountSummary, StackSummary } from "./types.js";
import { findNode, showNode } from "./workspace.js";

type Line = { readonly stack: StackSummary; readonly account?: AccountSummary };

const keyOf = ({ stack, account }: Line): string => `${stack.id} ${account?.id ?? ""}`;

/** Colour of the dot and the words behind it. */
function stateOf({ stack, account }: Line): { color: string; words: string } {
  if (account === undefined) {
    if (stack.problem) return { color: "red", words: stack.problem };
    if (stack.state !== "running") return { color: "yellow", words: t(`stack.${stack.state}`) };
    if (stack.draining === true) {
      return { color: "yellow", words: t("stack.draining", { count: stack.calls ?? 0 }) };
    }
    const ports = stack.transports.map(
      ({ protocol, address, port }) =>
        `${protocol.toUpperCase()} ${address.includes(":") ? `[${address}]` : address}:${port}`,
    );
    const words = ports.length > 0 ? ports.join(", ") : t("stack.noPorts");
    return stack.warning
      ? { color: "yellow", words: `${words} – ${stack.warning}` }
      : { color: "green", words };
  }
  const { problem, registration } = account;
  if (problem) return { color: "red", words: problem };
  if (account.standby !== undefined)
    return { color: "green", words: t("registration.standby", { holder: account.standby || "?" }) };
  const isQuiet =
    registration?.state === "unregistered" && findNode(account.id)?.register === false;
  if (registration === undefined || isQuiet)
    return { color: "grey", words: t("registration.none") };
  const { state, statusCode, reason, cause, expires, retryIn, refreshIn } = registration;
  const why = [statusCode, reason ?? cause].filter((part) => part !== undefined).join(" ");
  const again =
    retryIn === undefined ? "" : t("registration.again", { seconds: Math.round(retryIn) });
  if (state === "registered") {
    const next =
      refreshIn === undefined ? "" : t("registration.renewed", { time: clock(refreshIn) });
    const granted = expires === undefined ? "" : t("registration.expires", { seconds: expires });
    const words = [t("registration.registered"), granted, next].filter(Boolean).join(", ");
    return { color: "green", words };
  }
  const known = ["registering", "failed", "unregistered", "unregistering"].includes(state);
  const words = [known ? t(`registration.${state}`) : state, why, again].filter(Boolean).join(", ");
  const color = state === "failed" || why ? "red" : state === "registering" ? "yellow" : "grey";
  return { color, words };
}

function createLine(line: Line, openMessages: (stack: StackSummary) => void): Row<Line> {
  const dot = el("span", { class: "sip-dot", "aria-hidden": "true" });
  const name = el("span", { class: "sip-name" });
  const words = el("span", { class: "sip-words" });
  const id = line.account?.id ?? line.stack.id;
  const open = el(
    "button",
    { type: "button", class: "sip-main" },
    dot,
    icon(line.account === undefined ? "plug" : "user-o"),
    name,
    words,
  );
  open.addEventListener("click", () => showNode(id));
  const element = el("li", { class: "sip-line" }, open);
  if (line.account === undefined)
    element.append(button("exchange", "stack.messages", () => openMessages(line.stack)));
  else element.classList.add("sip-below");
  return {
    element,
    update: (now) => {
      const { color, words: text } = stateOf(now);
      setClass(dot, `sip-dot sip-${color}`);
      setText(name, now.account?.uri ?? (now.stack.name || t("stack.untitled")));
      setText(words, text);
      open.title = text;
    },
  };
}

export class LinesView {
  readonly element = el("ul", { class: "sip-list", "aria-label": t("lines.title") });
  readonly #list: KeyedList<Line>;

  /** @param openMessages shows what a stack sent and received outside of calls */
  constructor(openMessages: (stack: StackSummary) => void) {
    this.#list = new KeyedList<Line>(this.element, keyOf, (line) => createLine(line, openMessages));
  }

  show(stacks: readonly StackSummary[]): void {
    this.#list.show(
      stacks.flatMap((stack) => [
        { stack },
        ...stack.accounts.map((account) => ({ stack, account })),
      ]),
    );
  }
}
