/** One message of a ladder: its headers, each explained in a line, and offer and answer side by side in plain words. */
import { el, icon } from "./dom.js";
import { headerKey, partsOf } from "./message-parts.js";
import {
  descriptionIn,
  exchangeOf,
  readDescription,
  type StreamWords,
} from "./session-description.js";
import { optional, t } from "./texts.js";
import type { LadderMessage } from "./types.js";

export function messageView(
  message: LadderMessage,
  all: readonly LadderMessage[],
  onClose: () => void,
): HTMLElement {
  const { startLine, headers, body } = partsOf(message.text);
  const close = el(
    "button",
    {
      type: "button",
      class: "red-ui-button sip-icon",
      "aria-label": t("message.close"),
      title: t("message.close"),
    },
    icon("times"),
  );
  close.addEventListener("click", onClose);
  const place = `${message.protocol.toUpperCase()} ${message.remote.address}:${message.remote.port}`;
  const facts = t(`message.${message.direction}`, {
    time: timeOf(message),
    place,
    bytes: message.bytes,
  });
  const table = el("dl", { class: "sip-headers" });
  for (const { name, value } of headers) {
    const what = name ? optional(headerKey(name)) : undefined;
    table.append(
      el("dt", {}, name || "?"),
      el("dd", {}, value, what === undefined ? undefined : el("small", {}, what)),
    );
  }
  const explained = optional(
    message.kind === "request"
      ? `method.${message.method.toUpperCase()}`
      : `status.${message.statusCode ?? 0}`,
  );
  const view = el(
    "section",
    { class: "sip-message", "aria-label": startLine, tabindex: -1 },
    el("header", {}, el("h4", {}, startLine), close),
    el("p", { class: "sip-facts" }, facts),
    explained === undefined ? undefined : el("p", { class: "sip-facts" }, explained),
  );
  const exchange = exchangeOf(all, message);
  if (exchange !== undefined) {
    view.append(
      el(
        "div",
        { class: "sip-sides" },
        side("sdp.offer", exchange.offer, message),
        exchange.answer === undefined
          ? el(
              "div",
              { class: "sip-side" },
              el("h5", {}, t("sdp.answer")),
              el("p", {}, t("sdp.noAnswer")),
            )
          : side("sdp.answer", exchange.answer, message),
      ),
    );
  }
  view.append(table);
  if (body.trim() !== "" && !message.hasSdp)
    view.append(el("pre", { tabindex: 0, "aria-label": t("message.body") }, body));
  return view;
}

/** With milliseconds, which the locale's own form leaves out. */
function timeOf({ time }: LadderMessage): string {
  const when = new Date(time);
  return `${when.toLocaleTimeString()} +${String(when.getMilliseconds()).padStart(3, "0")} ms`;
}

function side(title: string, from: LadderMessage, clicked: LadderMessage): HTMLElement {
  const sdp = descriptionIn(from);
  const streams = readDescription(sdp);
  const who = t(from.direction === "sent" ? "sdp.ours" : "sdp.theirs", {
    message: from.kind === "request" ? from.method : String(from.statusCode ?? ""),
  });
  const isThis = from.index === clicked.index;
  return el(
    "div",
    { class: `sip-side${isThis ? " sip-this" : ""}` },
    el("h5", {}, t(title)),
    el("p", {}, who),
    ...streams.map(streamWords),
    el(
      "details",
      {},
      el("summary", {}, t("sdp.asSent")),
      el("pre", { tabindex: 0, "aria-label": "SDP" }, sdp.trim()),
    ),
  );
}

function streamWords(stream: StreamWords): HTMLElement {
  const list = el("ul", {});
  const add = (text: string) => list.append(el("li", {}, text));
  if (stream.port === 0) add(t("sdp.refused"));
  else {
    add(t("sdp.codecs", { codecs: stream.codecs.join(", ") || "–" }));
    add(t("sdp.place", { place: `${stream.address}:${stream.port}` }));
    add(t(`sdp.${stream.direction}`));
    add(t(stream.encrypted ? "sdp.encrypted" : "sdp.clear"));
    if (stream.kind === "audio") add(t(stream.digits ? "sdp.digits" : "sdp.noDigits"));
    if (stream.candidates > 0) add(t("sdp.candidates", { count: stream.candidates }));
  }
  return el("div", {}, el("strong", {}, optional(`sdp.kind.${stream.kind}`) ?? stream.kind), list);
}
