/** The tab itself: four views, the page of a call over them, and what wakes them. */
import { CallPage } from "./call-page.js";
import { CallsView, hangUp, HistoryView, type CallActions } from "./calls-view.js";
import { el, setText } from "./dom.js";
import { importFirstCall } from "./first-call.js";
import { IssuesView } from "./issues-view.js";
import { findIssues } from "./issues.js";
import { LinesView } from "./lines-view.js";
import { request, RequestError } from "./requests.js";
import { RingView } from "./ring-view.js";
import { Store } from "./store.js";
import { StackPage } from "./stack-page.js";
import { t } from "./texts.js";
import type { CallSummary, StackSummary } from "./types.js";
import { showNode, workspaceNodes } from "./workspace.js";

const VIEWS = ["calls", "history", "issues", "ring"] as const;
type ViewName = (typeof VIEWS)[number];

export class Sidebar {
  readonly element = el("div", { class: "sip-sidebar" });
  readonly #store = new Store({
    fetch: (url) => request<unknown>(url),
    isVisible: () => this.#isVisible(),
    now: () => Date.now(),
    setTimer: (milliseconds, callback) => setTimeout(callback, milliseconds),
    clearTimer: (timer) => clearTimeout(timer as number),
  });
  readonly #actions: CallActions = {
    open: (call) => this.#open(call),
    changed: () => this.#store.changed(),
    failed: (error) => this.#tell(error),
  };
  readonly #lines = new LinesView((stack) => this.#openStack(stack));
  readonly #calls = new CallsView(this.#actions);
  readonly #history = new HistoryView(this.#actions);
  readonly #issues = new IssuesView((count) => this.#badge("issues", count));
  readonly #ring = new RingView((error) => this.#tell(error));
  readonly #problem = el("p", { class: "sip-problem", role: "alert" });
  readonly #noCalls = el("p", { class: "sip-empty" });
  /** For whom nothing is set up yet. */
  readonly #firstCall = el("button", { type: "button", class: "red-ui-button" }, t("calls.first"));
  readonly #tabs = new Map<
    ViewName,
    { tab: HTMLButtonElement; badge: HTMLElement; panel: HTMLElement }
  >();
  readonly #frame: HTMLElement;
  readonly #pageFrame = el("div", { class: "sip-scroll" });
  #page: CallPage | StackPage | undefined;
  #current: ViewName = "calls";
  /** Where the focus goes when a page closes. */
  #opener: Element | null = null;

  constructor() {
    const bar = el("div", { class: "sip-tabs", role: "tablist", "aria-label": t("title") });
    const calls = el(
      "div",
      { class: "sip-part" },
      this.#lines.element,
      this.#noCalls,
      this.#firstCall,
      this.#calls.element,
    );
    const contents: Record<ViewName, HTMLElement> = {
      calls,
      history: this.#history.element,
      issues: this.#issues.element,
      ring: this.#ring.element,
    };
    const panels = VIEWS.map((name) => {
      const badge = el("span", { class: "sip-badge" });
      const tab = el(
        "button",
        {
          type: "button",
          role: "tab",
          id: `sip-tab-${name}`,
          "aria-controls": `sip-panel-${name}`,
        },
        t(`tab.${name}`),
        badge,
      );
      tab.addEventListener("click", () => this.show(name));
      tab.addEventListener("keydown", (event) => this.#moveTab(event, name));
      const panel = el(
        "div",
        {
          role: "tabpanel",
          id: `sip-panel-${name}`,
          "aria-labelledby": `sip-tab-${name}`,
          class: "sip-scroll",
          tabindex: 0,
        },
        contents[name],
      );
      bar.append(tab);
      this.#tabs.set(name, { tab, badge, panel });
      return panel;
    });
    this.#frame = el("div", { class: "sip-frame" }, bar, this.#problem, ...panels);
    this.#firstCall.hidden = true;
    this.#firstCall.addEventListener("click", () => void this.#importFirstCall());
    this.#pageFrame.hidden = true;
    this.element.append(this.#frame, this.#pageFrame);
    this.#store.onChange(() => this.#update());
    this.show("calls");
    this.#watch();
  }

  /** Chooses one of the views. */
  show(name: ViewName): void {
    this.#current = name;
    for (const [each, { tab, panel }] of this.#tabs) {
      tab.setAttribute("aria-selected", String(each === name));
      tab.tabIndex = each === name ? 0 : -1;
      panel.hidden = each !== name;
    }
    this.#update();
    this.#store.changed();
  }

  /** Every live call of every stack. */
  async hangUpAll(): Promise<void> {
    try {
      const calls = await request<CallSummary[]>("sip/sessions");
      if (calls.length === 0) this.#notify(t("calls.none"), "success");
      else this.#confirmHangUp(calls);
    } catch (error) {
      this.#tell(error);
    }
  }

  /** A shortcut is pressed by mistake more easily than a button. */
  #confirmHangUp(calls: readonly CallSummary[]): void {
    const question = t("call.hangUpAll", { count: calls.length });
    const notification = RED.notify(document.createTextNode(question), {
      type: "warning",
      modal: true,
      fixed: true,
      buttons: [
        { text: RED._("common.label.cancel"), click: () => notification.close() },
        {
          text: t("call.hangUp"),
          class: "primary",
          click: () => {
            notification.close();
            for (const call of calls) hangUp(call, this.#actions);
            this.#notify(t("call.hungUpAll", { count: calls.length }), "success");
          },
        },
      ],
    });
  }

  async #importFirstCall(): Promise<void> {
    this.#firstCall.hidden = true;
    try {
      await importFirstCall(t("calls.first"));
      this.#update();
    } catch (error) {
      this.#firstCall.hidden = false;
      this.#tell(error);
    }
  }

  #watch(): void {
    RED.comms.subscribe("sip/changed", () => this.#store.changed());
    for (const event of ["deploy", "flows:loaded"])
      RED.events.on(event, () => this.#store.changed());
    for (const event of ["nodes:change", "nodes:remove", "links:add", "links:remove"])
      RED.events.on(event, () => this.#flowsChanged());
    document.addEventListener("visibilitychange", () => this.#store.wake());
    // Becomes larger than nothing when its tab is chosen.
    new ResizeObserver(() => this.#store.wake()).observe(this.element);
    setInterval(() => {
      if (!this.#isVisible()) return;
      this.#calls.tick();
      this.#page?.tick();
    }, 1000);
  }

  /** Many events at once are one. */
  #plannedCheck = false;
  #flowsChanged(): void {
    if (this.#plannedCheck) return;
    this.#plannedCheck = true;
    setTimeout(() => {
      this.#plannedCheck = false;
      if (this.#isVisible()) this.#check();
    }, 500);
  }

  #isVisible(): boolean {
    return document.visibilityState === "visible" && this.element.offsetParent !== null;
  }

  #update(): void {
    const store = this.#store;
    const { problem } = store;
    setText(this.#problem, problem === undefined ? "" : this.#words(problem));
    this.#badge("calls", store.calls.length);
    this.#lines.show(store.stacks);
    this.#calls.show(store.calls);
    const isIdle = store.loaded && store.calls.length === 0;
    const isNew = store.stacks.length === 0 && workspaceNodes().length === 0;
    const words = store.stacks.length > 0 ? "calls.none" : isNew ? "calls.noStack" : "calls.deploy";
    setText(this.#noCalls, isIdle ? t(words) : "");
    this.#firstCall.hidden = !isIdle || !isNew;
    if (this.#current === "history") this.#history.show(store.ended);
    if (this.#current === "ring") this.#ring.show();
    this.#check();
    if (this.#page instanceof CallPage) {
      const call = store.call(this.#page.session);
      if (call) this.#page.show(call);
    }
  }

  #check(): void {
    const { stacks, calls } = this.#store;
    this.#issues.show(findIssues({ stacks, calls, nodes: workspaceNodes(), now: Date.now() }));
    if (this.#current === "ring") this.#ring.show();
  }

  #open(call: CallSummary): void {
    showNode(call.node);
    const page = new CallPage(
      call,
      (session) => this.#store.call(session),
      this.#actions,
      () => this.#closePage(),
    );
    this.#showPage(page);
  }

  #openStack(stack: StackSummary): void {
    const tell = (error: unknown) => this.#tell(error);
    this.#showPage(new StackPage(stack, tell, () => this.#closePage()));
  }

  #showPage(page: CallPage | StackPage): void {
    this.#opener = document.activeElement;
    this.#page = page;
    this.#pageFrame.replaceChildren(page.element);
    this.#pageFrame.hidden = false;
    this.#frame.hidden = true;
  }

  #closePage(): void {
    this.#page = undefined;
    this.#pageFrame.replaceChildren();
    this.#pageFrame.hidden = true;
    this.#frame.hidden = false;
    if (this.#opener instanceof HTMLElement && this.#opener.isConnected) this.#opener.focus();
    else this.#tabs.get(this.#current)?.tab.focus();
  }

  #moveTab(event: KeyboardEvent, from: ViewName): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = VIEWS[(VIEWS.indexOf(from) + step + VIEWS.length) % VIEWS.length] ?? from;
    this.show(next);
    this.#tabs.get(next)?.tab.focus();
  }

  #badge(name: ViewName, count: number): void {
    const badge = this.#tabs.get(name)?.badge;
    if (badge !== undefined) setText(badge, count > 0 ? String(count) : "");
  }

  #words(error: unknown): string {
    if (!(error instanceof RequestError)) return t("failed.fetch", { message: String(error) });
    if (error.status === 0) return t("failed.unreachable");
    if (error.status === 401 || error.status === 403) return t("failed.forbidden");
    return t("failed.fetch", { message: error.message });
  }

  #tell(error: unknown): void {
    this.#notify(this.#words(error), "error");
  }

  /** As a text node: Node-RED would read a string as markup. */
  #notify(text: string, type: string): void {
    RED.notify(document.createTextNode(text), { type, timeout: 4000 });
  }
}
