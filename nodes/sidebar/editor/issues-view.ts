/** The list of issues: a click goes to the node, each can be hidden; hidden ones stay so in this browser. */
import { button, el, icon, KeyedList, setText, type Row } from "./dom.js";
import type { Issue } from "./issues.js";
import { t } from "./texts.js";
import { showNode } from "./workspace.js";

const STORE = "sip-hidden-issues";
/** Reasons that are long gone need not be remembered for ever. */
const MOST_HIDDEN = 200;

/** Private windows may have no storage; then nothing stays hidden over a reload. */
function readHidden(): string[] {
  try {
    const saved: unknown = JSON.parse(localStorage.getItem(STORE) ?? "[]");
    return Array.isArray(saved) ? saved.filter((each) => typeof each === "string") : [];
  } catch {
    return [];
  }
}

export class IssuesView {
  readonly #hidden = new Set(readHidden());
  readonly #rows = el("ul", { class: "sip-list", "aria-label": t("issues.title") });
  readonly #empty = el("p", { class: "sip-empty" });
  readonly #showAll = button("eye", "issues.showHidden", () => this.#unhide(), { words: true });
  readonly element = el("div", { class: "sip-part" }, this.#empty, this.#rows, this.#showAll);
  readonly #list = new KeyedList<Issue>(
    this.#rows,
    (issue) => issue.id,
    (issue) => this.#row(issue),
  );
  #issues: readonly Issue[] = [];

  /** @param onCount is told how many are shown */
  constructor(private readonly onCount: (count: number) => void) {}

  show(issues: readonly Issue[]): void {
    this.#issues = issues;
    const shown = issues.filter((issue) => !this.#hidden.has(issue.id));
    this.#list.show(shown);
    const hidden = issues.length - shown.length;
    setText(this.#empty, shown.length > 0 ? "" : t("issues.none"));
    this.#showAll.hidden = hidden === 0;
    this.onCount(shown.length);
  }

  #row(issue: Issue): Row<Issue> {
    const text = t(`issue.${issue.key}`, issue.values);
    const isError = issue.severity === "error";
    const open = el(
      "button",
      { type: "button", class: "sip-main" },
      icon(isError ? "times-circle sip-bad" : "exclamation-triangle sip-warn"),
      el("span", { class: "sip-hear" }, `${t(isError ? "issues.error" : "issues.warning")}: `),
      el("span", { class: "sip-text" }, text),
    );
    open.addEventListener("click", () => showNode(issue.node));
    const hide = button("eye-slash", "issues.hide", () => this.#hide(issue));
    return { element: el("li", { class: "sip-line" }, open, hide), update: () => undefined };
  }

  #hide(issue: Issue): void {
    this.#hidden.add(issue.id);
    this.#save();
  }

  #unhide(): void {
    this.#hidden.clear();
    this.#save();
  }

  #save(): void {
    const kept = JSON.stringify([...this.#hidden].slice(-MOST_HIDDEN));
    try {
      localStorage.setItem(STORE, kept);
    } catch (error) {
      console.warn("sip: hidden issues cannot be kept", error);
    }
    this.show(this.#issues);
  }
}
