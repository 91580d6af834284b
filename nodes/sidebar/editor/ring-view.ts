/** "Ring my flow": a built-in caller rings a `sip-incoming` node; its state, ladder and what it heard. */
import { button, el, setText, svg } from "./dom.js";
import { LadderPane } from "./ladder-pane.js";
import { file, request } from "./requests.js";
import { optional, t } from "./texts.js";
import { userFor } from "./ring-user.js";
import type { Ring } from "./types.js";
import { waveformPath } from "./waveform.js";
import { findNode, nodeLabel, showNode, workspaceNodes } from "./workspace.js";

const POLL_MS = 500;
/** Of the endpoint. */
const LARGEST_WAV = 1024 * 1024;
const WAVE = { width: 300, height: 60 };

let fields = 0;

function field(key: string, input: HTMLElement): HTMLElement {
  input.id = `sip-ring-${fields++}`;
  return el("div", { class: "sip-field" }, el("label", { for: input.id }, t(key)), input);
}

export class RingView {
  readonly #node = el("select", {});
  readonly #to = el("input", { type: "text", placeholder: "test" });
  readonly #name = el("input", { type: "text", maxlength: 64, placeholder: t("ring.nameHint") });
  readonly #from = el("input", { type: "text", maxlength: 64, placeholder: "100" });
  readonly #digits = el("input", { type: "text", maxlength: 64, placeholder: ",,1,#" });
  readonly #say = el("select", {});
  readonly #wav = el("input", { type: "file", accept: ".wav,audio/wav,audio/x-wav" });
  readonly #wavRow = field("ring.wav", this.#wav);
  readonly #seconds = el("input", { type: "number", min: 1, max: 60, value: 30 });
  readonly #start = button("bell", "ring.start", () => void this.#ring(), {
    words: true,
    class: "primary sip-start",
  });
  readonly #stop = button("phone", "ring.stop", () => this.#hangUp(), {
    words: true,
    class: "sip-end",
  });
  readonly #state = el("p", { class: "sip-state", role: "status", "aria-live": "polite" });
  readonly #log = el("ol", { class: "sip-log" });
  readonly #heard = el("div", { class: "sip-heard" });
  readonly #ladder: LadderPane;
  readonly #result: HTMLElement;
  readonly element: HTMLElement;
  #current: string | undefined;
  #drawn = "";
  #chosen = "";

  constructor(private readonly failed: (error: unknown) => void) {
    this.#ladder = new LadderPane({ failed });
    for (const kind of ["tone", "silence", "wav"])
      this.#say.append(el("option", { value: kind }, t(`ring.say.${kind}`)));
    this.#say.addEventListener("change", () => (this.#wavRow.hidden = this.#say.value !== "wav"));
    this.#wavRow.hidden = true;
    this.#node.addEventListener("change", () => this.#choose());
    const form = el(
      "form",
      { class: "sip-ring" },
      el("p", { class: "sip-facts" }, t("ring.intro")),
      field("ring.node", this.#node),
      field("ring.to", this.#to),
      field("ring.name", this.#name),
      field("ring.from", this.#from),
      field("ring.digits", this.#digits),
      el("p", { class: "sip-hint" }, t("ring.digitsHint")),
      field("ring.sayTitle", this.#say),
      this.#wavRow,
      field("ring.seconds", this.#seconds),
      el("div", { class: "sip-row" }, this.#start, this.#stop),
    );
    form.addEventListener("submit", (event) => event.preventDefault());
    this.#result = el("div", {}, this.#state, this.#heard, this.#log, this.#ladder.element);
    this.#result.hidden = true;
    this.#stop.hidden = true;
    this.element = el("div", { class: "sip-part" }, form, this.#result);
  }

  /** The nodes may have changed since it was last looked at. */
  show(): void {
    const nodes = workspaceNodes().filter((node) => node.type === "sip-incoming" && !node.disabled);
    const now = nodes.map((node) => `${node.id} ${node.label}`).join("\n");
    if (now === this.#chosen) return;
    this.#chosen = now;
    const before = this.#node.value;
    this.#node.replaceChildren(
      ...nodes.map((node) => el("option", { value: node.id }, node.label)),
    );
    if (nodes.some((node) => node.id === before)) this.#node.value = before;
    this.#start.disabled = nodes.length === 0;
    setText(this.#state, nodes.length === 0 ? t("ring.noNode") : "");
    if (nodes.length === 0) this.#result.hidden = false;
    this.#choose();
  }

  #choose(): void {
    const node = workspaceNodes().find((each) => each.id === this.#node.value);
    if (node !== undefined) this.#to.value = userFor(node.properties.match);
  }

  async #ring(): Promise<void> {
    const node = workspaceNodes().find((each) => each.id === this.#node.value);
    if (node === undefined) return;
    this.#start.disabled = true;
    this.#result.hidden = false;
    setText(this.#state, t("ring.state.calling", { name: node.label }));
    this.#state.scrollIntoView({ block: "nearest" });
    this.#heard.replaceChildren();
    this.#log.replaceChildren();
    this.#drawn = "";
    try {
      const text = (value: unknown): string => (typeof value === "string" ? value : "");
      const account = findNode(text(node.properties.account));
      const { ring } = await request<Ring>("sip/rings", "POST", {
        stack: text(account?.stack) || text(node.properties.stack),
        node: node.id,
        to: this.#to.value.trim() || undefined,
        from: this.#from.value.trim() || undefined,
        displayName: this.#name.value.trim() || undefined,
        digits: this.#digits.value.replace(/\s/g, "") || undefined,
        say: this.#say.value,
        wav: this.#say.value === "wav" ? await this.#readWav() : undefined,
        seconds: Number(this.#seconds.value) || undefined,
      });
      this.#current = ring;
      this.#stop.hidden = false;
      showNode(node.id);
      await this.#follow(ring);
    } catch (error) {
      setText(
        this.#state,
        t("failed.ring", { message: error instanceof Error ? error.message : String(error) }),
      );
    }
    this.#stop.hidden = true;
    this.#start.disabled = false;
  }

  async #readWav(): Promise<string> {
    const chosen = this.#wav.files?.[0];
    if (chosen === undefined) throw new Error(t("ring.noWav"));
    if (chosen.size > LARGEST_WAV) throw new Error(t("ring.wavTooLarge"));
    const bytes = new Uint8Array(await chosen.arrayBuffer());
    let text = "";
    for (let start = 0; start < bytes.length; start += 8192)
      text += String.fromCharCode(...bytes.subarray(start, start + 8192));
    return btoa(text);
  }

  async #follow(id: string): Promise<void> {
    for (;;) {
      const ring = await request<Ring>(`sip/rings/${encodeURIComponent(id)}`);
      if (this.#current !== id) return;
      this.#show(ring);
      if (ring.state === "over") {
        await this.#showHeard(id, ring);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  #show(ring: Ring): void {
    const cause =
      ring.cause === undefined
        ? ""
        : (optional(`ring.cause.${ring.cause}`) ?? optional(`cause.${ring.cause}`) ?? ring.cause);
    const code = (ring.statusCode ?? 0) < 300 ? "" : `(${ring.statusCode ?? ""})`;
    const seconds =
      ring.duration === undefined ? "" : t("ring.lasted", { seconds: Math.round(ring.duration) });
    const over = ring.state === "over" ? [cause, code, seconds].filter(Boolean).join(" ") : "";
    const label = nodeLabel(this.#node.value) ?? "";
    setText(
      this.#state,
      [t(`ring.state.${ring.state}`, { name: label }), over].filter(Boolean).join(": "),
    );
    const log = ring.log ?? [];
    if (this.#log.childElementCount !== log.length)
      this.#log.replaceChildren(
        ...log.map(({ time, text }) =>
          el("li", {}, `${new Date(time).toLocaleTimeString()} ${text}`),
        ),
      );
    const messages = ring.messages ?? [];
    const last = messages.at(-1);
    const now = `${messages.length} ${last?.index ?? ""}`;
    if (now === this.#drawn || messages.length === 0) return;
    this.#drawn = now;
    // Seen from the caller's side: who is at the other end is the flow.
    const leg = { direction: "outgoing", own: t("ring.caller"), who: label, messages } as const;
    this.#ladder.show([{ session: ring.ring, ...leg }]);
  }

  async #showHeard(id: string, ring: Ring): Promise<void> {
    const peaks = ring.heard?.peaks ?? [];
    if (peaks.length === 0 || ring.heard === undefined || ring.heard.seconds <= 0) {
      this.#heard.replaceChildren(el("p", { class: "sip-facts" }, t("ring.heardNothing")));
      return;
    }
    const { seconds } = ring.heard;
    const title = t("ring.heard", { seconds: seconds.toFixed(1) });
    const wave = svg(
      "svg",
      {
        viewBox: `0 0 ${WAVE.width} ${WAVE.height}`,
        preserveAspectRatio: "none",
        class: "sip-wave",
        role: "img",
        "aria-label": title,
      },
      svg("path", { d: waveformPath(peaks, WAVE.width, WAVE.height) }),
    );
    this.#heard.replaceChildren(el("p", { class: "sip-facts" }, title), wave);
    try {
      const sound = await file(`sip/rings/${encodeURIComponent(id)}/wav`);
      const player = el("audio", {
        controls: true,
        src: URL.createObjectURL(sound),
        "aria-label": title,
      });
      this.#heard.append(player);
    } catch (error) {
      this.failed(error);
    }
  }

  #hangUp(): void {
    if (this.#current === undefined) return;
    request(`sip/rings/${encodeURIComponent(this.#current)}`, "DELETE").catch((error: unknown) =>
      this.failed(error),
    );
  }
}
