/** The page of one call: what is known of it, hang up, digits, and its ladder with the other leg beside it. */
import { hangUp, soundInWords, stateInWords, type CallActions } from "./calls-view.js";
import { causeInWords, clock, partner, runningTime } from "./causes.js";
import { button, el, setText } from "./dom.js";
import { LadderPane } from "./ladder-pane.js";
import type { Leg } from "./ladder-layout.js";
import { file, request, RequestError, save } from "./requests.js";
import { t } from "./texts.js";
import type { CallDetails, CallSummary } from "./types.js";
import { findNode, nodeLabel, showNode } from "./workspace.js";

const path = (session: string): string => `sip/sessions/${encodeURIComponent(session)}`;

export class CallPage {
  readonly #title = el("h3", {});
  readonly #facts = el("p", { class: "sip-facts" });
  readonly #sound = el("p", { class: "sip-facts" });
  readonly #node = button("crosshairs", "call.showNode", () => showNode(this.#call.node), {
    words: true,
  });
  readonly #end = button("phone", "call.hangUp", () => hangUp(this.#call, this.actions), {
    words: true,
    class: "sip-end",
  });
  readonly #digits = el("input", {
    type: "text",
    class: "sip-digits",
    maxlength: 32,
    placeholder: "1 2 #",
    "aria-label": t("call.digits"),
  });
  readonly #send = el(
    "form",
    { class: "sip-row" },
    this.#digits,
    button("th", "call.sendDigits", () => undefined),
  );
  readonly #ladder: LadderPane;
  readonly element: HTMLElement;
  #call: CallSummary;
  /** What was fetched last: the same again needs no request. */
  #seen = "";
  #isFetching = false;

  constructor(
    call: CallSummary,
    private readonly lookup: (session: string) => CallSummary | undefined,
    private readonly actions: CallActions,
    onBack: () => void,
  ) {
    this.#call = call;
    this.#ladder = new LadderPane({
      pcap: () => this.#pcap(),
      failed: (error) => actions.failed(error),
    });
    const back = button("chevron-left", "call.back", onBack);
    back.classList.add("sip-back");
    this.#send.querySelector("button")?.setAttribute("type", "submit");
    this.#send.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#sendDigits();
    });
    this.element = el(
      "div",
      { class: "sip-page" },
      el("header", { class: "sip-row" }, back, this.#title),
      this.#facts,
      this.#sound,
      el("div", { class: "sip-row" }, this.#node, this.#end, this.#send),
      this.#ladder.element,
    );
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      event.stopPropagation();
      onBack();
    });
    this.show(call);
    queueMicrotask(() => back.focus());
  }

  get session(): string {
    return this.#call.session;
  }

  /** News of the call; the ladder is fetched again when there are more messages or another leg. */
  show(call: CallSummary): void {
    this.#call = call;
    const isLive = call.endTime === undefined && call.state !== "terminated";
    setText(this.#title, partner(call));
    this.tick();
    setText(this.#sound, soundInWords(call));
    this.#node.hidden = findNode(call.node) === undefined;
    this.#node.title = nodeLabel(call.node) ?? "";
    this.#end.hidden = !isLive;
    this.#send.hidden = call.state !== "established";
    const peer = call.peer === undefined ? undefined : this.lookup(call.peer);
    const now = [call.messages, call.state, call.peer, peer?.messages, peer?.state].join(" ");
    if (now === this.#seen || this.#isFetching) return;
    this.#seen = now;
    void this.#fetch();
  }

  tick(): void {
    const call = this.#call;
    const over = call.cause !== undefined || call.endTime !== undefined;
    const state = over ? causeInWords(call, t) : stateInWords(call);
    const time = over && call.answerTime === undefined ? "" : clock(runningTime(call, Date.now()));
    const uri = call.remote?.uri ?? "";
    setText(
      this.#facts,
      [t(`direction.${call.direction}`), uri, state, time].filter(Boolean).join(" · "),
    );
  }

  async #fetch(): Promise<void> {
    this.#isFetching = true;
    try {
      const details = await request<CallDetails>(path(this.session));
      const legs = [legOf(details)];
      if (details.peer !== undefined) {
        const other = await request<CallDetails>(path(details.peer)).catch(() => undefined);
        if (other !== undefined) legs.push(legOf(other));
      }
      // The one who called stands at the left.
      if (legs[0]?.direction === "outgoing" && legs[1]?.direction === "incoming") legs.reverse();
      this.#ladder.show(legs);
    } catch (error) {
      const isGone = error instanceof RequestError && error.status === 404;
      this.#ladder.say(isGone ? t("ladder.gone") : t("failed.fetch", { message: String(error) }));
    }
    this.#isFetching = false;
    const newest = this.lookup(this.session);
    if (newest !== undefined) this.show(newest);
  }

  #sendDigits(): void {
    const digits = this.#digits.value.replace(/[\s-]/g, "").toUpperCase();
    if (!/^[0-9A-D*#,]+$/.test(digits)) {
      this.#digits.setAttribute("aria-invalid", "true");
      this.#digits.focus();
      return;
    }
    this.#digits.removeAttribute("aria-invalid");
    request(`${path(this.session)}/digits`, "POST", { digits })
      .then(() => (this.#digits.value = ""))
      .catch((error: unknown) => this.actions.failed(error));
  }

  #pcap(): void {
    const both = this.#call.peer === undefined ? "" : "?peer=1";
    file(`${path(this.session)}/pcap${both}`)
      .then((content) => save(`call-${this.session.replace(/\W/g, "").slice(0, 12)}.pcap`, content))
      .catch((error: unknown) => this.actions.failed(error));
  }
}

function legOf(details: CallDetails): Leg {
  return {
    session: details.session,
    direction: details.direction,
    who: details.remote?.displayName || details.remote?.user || "",
    messages: details.messages,
  };
}
