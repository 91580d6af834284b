/** The live calls: who, state, sound, time; a click goes to the node and opens the call's page. */
import { causeInWords, clock, partner, runningTime } from "./causes.js";
import { button, el, icon, KeyedList, setClass, setText, type Row } from "./dom.js";
import { request } from "./requests.js";
import { optional, t } from "./texts.js";
import type { CallSummary } from "./types.js";
import { nodeLabel } from "./workspace.js";

export interface CallActions {
  open(call: CallSummary): void;
  /** Something was asked of the runtime. */
  changed(): void;
  failed(error: unknown): void;
}

export function stateInWords(call: CallSummary): string {
  if (call.state === "established" && call.hold && call.hold !== "none")
    return t(`hold.${call.hold}`);
  const byDirection = optional(`state.${call.state}.${call.direction}`);
  return byDirection ?? optional(`state.${call.state}`) ?? call.state;
}

/** Codec, loss and jitter, as far as they are known. */
export function soundInWords({ codec, rtp }: CallSummary): string {
  const words = codec ? [codec] : [];
  if (rtp !== undefined) {
    words.push(t("sound.loss", { percent: round(rtp.lossPercent) }));
    words.push(t("sound.jitter", { milliseconds: round(rtp.jitterMs) }));
    if (rtp.roundTripMs !== undefined)
      words.push(t("sound.roundTrip", { milliseconds: Math.round(rtp.roundTripMs) }));
  }
  return words.join(" · ");
}

const round = (value: number): string =>
  Number.isFinite(value) ? value.toFixed(value < 10 ? 1 : 0) : "?";

export function hangUp(call: CallSummary, actions: CallActions): void {
  request(`sip/sessions/${encodeURIComponent(call.session)}`, "DELETE")
    .then(() => actions.changed())
    .catch((error: unknown) => actions.failed(error));
}

function createRow(first: CallSummary, actions: CallActions): Row<CallSummary> & { tick(): void } {
  let call = first;
  const direction = icon("");
  const name = el("span", { class: "sip-name" });
  const time = el("span", { class: "sip-time" });
  const words = el("span", { class: "sip-words" });
  const open = el("button", { type: "button", class: "sip-main" }, direction, name, time, words);
  open.addEventListener("click", () => actions.open(call));
  const end = button("phone", "call.hangUp", () => hangUp(call, actions), { class: "sip-end" });
  const tick = () => setText(time, clock(runningTime(call, Date.now())));
  return {
    element: el("li", { class: "sip-line" }, open, end),
    tick,
    update: (now) => {
      call = now;
      setClass(
        direction,
        `fa fa-arrow-${call.direction === "incoming" ? "left sip-in" : "right sip-out"}`,
      );
      setText(name, partner(call));
      const node = nodeLabel(call.node);
      setText(words, [stateInWords(call), soundInWords(call), node].filter(Boolean).join(" · "));
      open.title = `${t(`direction.${call.direction}`)}: ${call.remote?.uri ?? ""}`;
      end.setAttribute("aria-label", t("call.hangUpWith", { name: partner(call) }));
      tick();
    },
  };
}

export class CallsView {
  readonly element = el("ul", { class: "sip-list", "aria-label": t("calls.title") });
  readonly #ticking = new Map<string, () => void>();
  readonly #list: KeyedList<CallSummary>;

  constructor(actions: CallActions) {
    this.#list = new KeyedList<CallSummary>(
      this.element,
      (call) => call.session,
      (call) => {
        const row = createRow(call, actions);
        this.#ticking.set(call.session, () => row.tick());
        return row;
      },
    );
  }

  show(calls: readonly CallSummary[]): void {
    this.#list.show(calls);
    const live = new Set(calls.map((call) => call.session));
    for (const session of this.#ticking.keys())
      if (!live.has(session)) this.#ticking.delete(session);
  }

  /** Once a second. */
  tick(): void {
    for (const tick of this.#ticking.values()) tick();
  }
}

/** The last calls that have ended, newest first, with a filter. */
export class HistoryView {
  readonly #list: KeyedList<CallSummary>;
  readonly #filter = el("input", {
    type: "search",
    placeholder: t("history.filter"),
    "aria-label": t("history.filter"),
  });
  readonly #rows = el("ul", { class: "sip-list", "aria-label": t("history.title") });
  readonly #empty = el("p", { class: "sip-empty" });
  readonly element = el("div", { class: "sip-part" }, this.#filter, this.#empty, this.#rows);
  #calls: readonly CallSummary[] = [];

  constructor(actions: Pick<CallActions, "open">) {
    this.#list = new KeyedList<CallSummary>(
      this.#rows,
      (call) => call.session,
      (call) => endedRow(call, actions),
    );
    this.#filter.addEventListener("input", () => this.show(this.#calls));
  }

  show(calls: readonly CallSummary[]): void {
    this.#calls = calls;
    const wanted = this.#filter.value.trim().toLowerCase();
    const shown = calls.filter((call) =>
      `${partner(call)} ${call.remote?.uri ?? ""} ${causeInWords(call, t)}`
        .toLowerCase()
        .includes(wanted),
    );
    setText(
      this.#empty,
      shown.length > 0 ? "" : t(calls.length > 0 ? "history.noMatch" : "history.empty"),
    );
    this.#list.show(shown);
  }
}

function endedRow(call: CallSummary, actions: Pick<CallActions, "open">): Row<CallSummary> {
  const failed = call.answerTime === undefined;
  const started = new Date(call.startTime);
  const isToday = started.toDateString() === new Date().toDateString();
  const when = isToday ? started.toLocaleTimeString() : started.toLocaleString();
  const duration = call.answerTime === undefined ? "" : clock(runningTime(call, 0));
  const words = [causeInWords(call, t), duration, when].filter(Boolean).join(" · ");
  const open = el(
    "button",
    { type: "button", class: "sip-main", title: call.remote?.uri ?? "" },
    icon(`arrow-${call.direction === "incoming" ? "left" : "right"} ${failed ? "sip-missed" : ""}`),
    el("span", { class: "sip-name" }, partner(call)),
    el("span", { class: "sip-words" }, words),
  );
  open.addEventListener("click", () => actions.open(call));
  return { element: el("li", { class: "sip-line" }, open), update: () => undefined };
}
