/** The messages of a stack that belong to no call, such as REGISTER: what people look for when an account does not register. */
import { button, el } from "./dom.js";
import { LadderPane } from "./ladder-pane.js";
import { file, request, RequestError, save } from "./requests.js";
import { t } from "./texts.js";
import type { LadderMessage, StackSummary } from "./types.js";

const POLL_MS = 2000;

export class StackPage {
  readonly #ladder: LadderPane;
  readonly element: HTMLElement;
  #last = "";
  #checked = 0;

  constructor(
    private readonly stack: StackSummary,
    failed: (error: unknown) => void,
    onBack: () => void,
  ) {
    const path = `sip/stacks/${encodeURIComponent(stack.id)}`;
    this.#ladder = new LadderPane({
      pcap: () => {
        file(`${path}/pcap`)
          .then((content) => save(`stack-${stack.id.replace(/\W/g, "")}.pcap`, content))
          .catch(failed);
      },
      failed,
    });
    const back = button("chevron-left", "call.back", onBack);
    const name = stack.name || t("stack.untitled");
    this.element = el(
      "div",
      { class: "sip-page" },
      el("header", { class: "sip-row" }, back, el("h3", {}, name)),
      el("p", { class: "sip-facts" }, t("stack.messages")),
      this.#ladder.element,
    );
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      event.stopPropagation();
      onBack();
    });
    queueMicrotask(() => back.focus());
    this.tick();
  }

  /** Once a second, while it is seen. */
  tick(): void {
    if (Date.now() - this.#checked < POLL_MS) return;
    this.#checked = Date.now();
    void this.#fetch();
  }

  async #fetch(): Promise<void> {
    try {
      const messages = await request<LadderMessage[]>(
        `sip/stacks/${encodeURIComponent(this.stack.id)}/messages`,
      );
      const newest = messages.at(-1);
      const now = `${messages.length} ${newest?.index ?? ""} ${newest?.time ?? ""}`;
      if (now === this.#last) return;
      this.#last = now;
      this.#ladder.show([{ session: this.stack.id, direction: "outgoing", who: "", messages }]);
      if (messages.length === 0) this.#ladder.say(t("ladder.noOthers"));
    } catch (error) {
      const isGone = error instanceof RequestError && error.status === 404;
      this.#ladder.say(t(isGone ? "ladder.noOthers" : "failed.unreachable"));
    }
  }
}
