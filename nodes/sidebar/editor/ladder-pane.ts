/** A ladder with its tools: filter, copy, pcap, sharing without secrets, a large window; and the message that was clicked. */
import { button, el, setText } from "./dom.js";
import { layoutLadder, type Leg, type MessageRow } from "./ladder-layout.js";
import { drawLadder, type LadderPicture } from "./ladder-svg.js";
import { ladderAsMermaid, ladderAsText } from "./ladder-text.js";
import { messageView } from "./message-view.js";
import { shareText } from "./share.js";
import { t } from "./texts.js";

export interface LadderTools {
  /** Absent where there is no file to save. */
  pcap?: () => void;
  failed(error: unknown): void;
}

function check(key: string, onChange: () => void): { input: HTMLInputElement; label: HTMLElement } {
  const input = el("input", { type: "checkbox" });
  input.addEventListener("change", onChange);
  return { input, label: el("label", { class: "sip-check" }, input, ` ${t(key)}`) };
}

export class LadderPane {
  #legs: readonly Leg[] = [];
  #picture: LadderPicture | undefined;
  #selected: string | undefined;
  readonly #repeats = check("ladder.hideRepeats", () => this.#draw());
  readonly #requests = check("ladder.onlyRequests", () => this.#draw());
  readonly #text = el("input", {
    type: "search",
    placeholder: t("ladder.filter"),
    "aria-label": t("ladder.filter"),
  });
  readonly #said = el("p", { class: "sip-empty", role: "status" });
  readonly #drawing = el("div", { class: "sip-drawing" });
  readonly #message = el("div", { class: "sip-beside" });
  readonly #tools: HTMLElement;
  readonly #content: HTMLElement;
  readonly element: HTMLElement;
  #width = 0;

  constructor(private readonly tools: LadderTools) {
    this.#text.addEventListener("input", () => this.#draw());
    this.#tools = el(
      "div",
      { class: "sip-tools" },
      this.#text,
      this.#repeats.label,
      this.#requests.label,
      el(
        "span",
        { class: "sip-buttons" },
        button("clipboard", "ladder.copy", () => this.#copy(ladderAsText(this.#ladder()))),
        button("sitemap", "ladder.copyMermaid", () => this.#copy(ladderAsMermaid(this.#ladder()))),
        button("user-secret", "ladder.share", () => this.#copy(shareText(this.#legs))),
        tools.pcap && button("download", "ladder.pcap", tools.pcap),
        button("expand", "ladder.large", () => this.#enlarge()),
      ),
    );
    this.#content = el(
      "div",
      { class: "sip-pane" },
      this.#tools,
      this.#said,
      this.#drawing,
      this.#message,
    );
    this.element = el("div", {}, this.#content);
    new ResizeObserver(() => {
      const width = this.#drawing.clientWidth;
      if (width > 0 && Math.abs(width - this.#width) > 8) this.#draw();
    }).observe(this.#drawing);
    this.#tools.hidden = true;
    this.say(t("ladder.loading"));
  }

  /** A sentence in place of the ladder. */
  say(text: string): void {
    setText(this.#said, text);
  }

  show(legs: readonly Leg[]): void {
    this.#legs = legs;
    const isEmpty = legs.every((leg) => leg.messages.length === 0);
    this.#tools.hidden = isEmpty;
    this.say(isEmpty ? t("ladder.noTrace") : "");
    this.#draw();
  }

  #ladder() {
    return layoutLadder(this.#legs, {
      hideRetransmissions: this.#repeats.input.checked,
      onlyRequests: this.#requests.input.checked,
      text: this.#text.value,
    });
  }

  #draw(): void {
    const ladder = this.#ladder();
    this.#width = this.#drawing.clientWidth;
    if (this.#legs.length === 0 || ladder.rows.length === 0) {
      this.#drawing.replaceChildren();
      return;
    }
    const focused = document.activeElement?.getAttribute("data-key");
    const picture = drawLadder(ladder, Math.max(this.#width, 260), (row) => this.#open(row));
    this.#drawing.replaceChildren(picture.element);
    this.#picture = picture;
    picture.select(this.#selected);
    if (focused)
      for (const arrow of picture.element.querySelectorAll<SVGGElement>("[data-key]"))
        if (arrow.dataset.key === focused) arrow.focus();
  }

  #open(row: MessageRow): void {
    this.#selected = row.key;
    this.#picture?.select(row.key);
    const messages = this.#legs[row.leg]?.messages ?? [];
    const view = messageView(row.message, messages, () => this.#close());
    view.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      this.#close();
    });
    this.#message.replaceChildren(view);
    view.focus();
    view.scrollIntoView({ block: "nearest" });
  }

  /** The focus goes back to where it came from. */
  #close(): void {
    const key = this.#selected;
    this.#selected = undefined;
    this.#message.replaceChildren();
    this.#picture?.select(undefined);
    for (const arrow of this.#drawing.querySelectorAll<SVGGElement>("[data-key]"))
      if (arrow.dataset.key === key) arrow.focus();
  }

  #copy(text: string): void {
    const done = () =>
      RED.notify(document.createTextNode(t("ladder.copied")), { type: "success", timeout: 2000 });
    // Without https a page may not write to the clipboard by itself.
    if (typeof navigator.clipboard === "undefined") {
      const area = el("textarea", { "aria-hidden": "true" }, text);
      this.element.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      done();
      return;
    }
    navigator.clipboard.writeText(text).then(done, (error: unknown) => this.tools.failed(error));
  }

  #enlarge(): void {
    const close = button("compress", "ladder.small", () => dialog.close());
    const dialog = el(
      "dialog",
      { class: "sip-sidebar sip-large", "aria-label": t("ladder.title") },
      close,
    );
    dialog.addEventListener("close", () => {
      this.element.append(this.#content);
      dialog.remove();
      this.#draw();
    });
    // The editor's own shortcuts must not act behind it.
    dialog.addEventListener("keydown", (event) => event.stopPropagation());
    dialog.append(this.#content);
    document.body.append(dialog);
    dialog.showModal();
    this.#draw();
  }
}
