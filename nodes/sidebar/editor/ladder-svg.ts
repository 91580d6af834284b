/** Draws a ladder as SVG: heads that stay in sight, an arrow per message, reached by Tab once and then by the arrow keys. */
import { el, svg } from "./dom.js";
import type { Column, Ladder, MessageRow } from "./ladder-layout.js";
import { t } from "./texts.js";

const ROW_HEIGHT = 34;
const GAP_HEIGHT = 22;
const HEAD_HEIGHT = 34;
/** Room for the time at the left. */
const GUTTER = 46;
const LETTER = 6.3;
export const COLORS = 8;

const cut = (text: string, width: number, letter = LETTER): string => {
  const letters = Math.max(3, Math.floor(width / letter));
  return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`;
};

const columnWords = (column: Column): string =>
  column.own ? column.who || t("ladder.own") : [column.who, column.place].filter(Boolean).join(" ");

/** What a screen reader says for an arrow. */
function spoken(ladder: Ladder, row: MessageRow): string {
  const name = (index: number): string => {
    const column = ladder.columns[index];
    return column === undefined ? "?" : columnWords(column);
  };
  const again = row.nth > 1 ? `, ${t("ladder.again", { nth: row.nth })}` : "";
  const values = { label: row.label, from: name(row.from), to: name(row.to) };
  return `${t("ladder.arrow", values)}, ${row.seconds.toFixed(3)} s${again}`;
}

export interface LadderPicture {
  readonly element: HTMLElement;
  /** Marks one arrow. */
  select(key: string | undefined): void;
}

export function drawLadder(
  ladder: Ladder,
  width: number,
  onOpen: (row: MessageRow) => void,
): LadderPicture {
  const count = ladder.columns.length;
  const inner = Math.max(width - GUTTER, 120);
  const spacing = count > 1 ? Math.min(260, (inner - 76) / (count - 1)) : 0;
  const x = (index: number): number => GUTTER + 38 + index * spacing;
  const total = Math.max(width, x(count - 1) + 40);

  const heads = svg("svg", {
    width: total,
    height: HEAD_HEIGHT,
    "aria-hidden": "true",
    class: "sip-heads",
  });
  ladder.columns.forEach((column, index) => {
    const room = Math.max(70, spacing - 6);
    const [first, second] = column.own
      ? [columnWords(column), ""]
      : column.who
        ? [column.who, column.place]
        : [column.place, ""];
    heads.append(
      svg("text", { x: x(index), y: 14, class: "sip-head" }, cut(first, room)),
      svg("text", { x: x(index), y: 28, class: "sip-place" }, cut(second, room, 5.6)),
      svg("title", {}, columnWords(column)),
    );
  });

  const arrows = new Map<string, SVGGElement>();
  const picture = svg("svg", {
    width: total,
    class: "sip-arrows",
    role: "list",
    "aria-label": t("ladder.title"),
  });
  const lifelines = svg("g", { "aria-hidden": "true" });
  picture.append(lifelines);
  let y = 0;
  for (const row of ladder.rows) {
    if (row.kind === "message") {
      const arrow = drawArrow(ladder, row, x, y, spacing);
      arrow.addEventListener("click", () => open(row, arrow));
      arrow.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          open(row, arrow);
        }
      });
      arrows.set(row.key, arrow);
      picture.append(svg("g", { role: "listitem" }, arrow));
      y += ROW_HEIGHT;
    } else {
      const text =
        row.kind === "gap"
          ? t("ladder.gap", {
              seconds: row.seconds < 10 ? row.seconds.toFixed(1) : Math.round(row.seconds),
            })
          : t("ladder.missing", { count: row.count });
      picture.append(
        svg(
          "g",
          { role: "listitem", class: "sip-gap" },
          svg("line", { x1: GUTTER, x2: total, y1: y + GAP_HEIGHT / 2, y2: y + GAP_HEIGHT / 2 }),
          svg("text", { x: 2, y: y + GAP_HEIGHT / 2 - 4, class: "sip-gap-text" }, text),
        ),
      );
      y += GAP_HEIGHT;
    }
  }
  picture.setAttribute("height", String(y + 6));
  ladder.columns.forEach((column, index) =>
    lifelines.append(
      svg("line", {
        x1: x(index),
        x2: x(index),
        y1: 0,
        y2: y + 6,
        class: column.own ? "sip-life sip-own" : "sip-life",
      }),
    ),
  );
  rove([...arrows.values()]);
  const element = el("div", { class: "sip-ladder" }, heads, picture);

  function open(row: MessageRow, arrow: SVGGElement): void {
    for (const each of arrows.values()) each.setAttribute("tabindex", "-1");
    arrow.setAttribute("tabindex", "0");
    onOpen(row);
  }
  return {
    element,
    select: (key) => {
      for (const [each, arrow] of arrows) arrow.classList.toggle("sip-selected", each === key);
    },
  };
}

function drawArrow(
  ladder: Ladder,
  row: MessageRow,
  x: (index: number) => number,
  y: number,
  spacing: number,
): SVGGElement {
  const [from, to] = [x(row.from), x(row.to)];
  const line = y + 22;
  const tip = to > from ? -1 : 1;
  const again = row.nth > 1;
  const badge = again ? ` ×${row.nth}` : row.times > 1 ? ` ×${row.times}` : "";
  const words = `${row.label}${row.message.hasSdp ? " ♪" : ""}`;
  const room = Math.abs(to - from) - 10 - badge.length * LETTER;
  const time = row.seconds < 100 ? row.seconds.toFixed(3) : row.seconds.toFixed(1);
  return svg(
    "g",
    {
      class: `sip-arrow sip-t${row.color % COLORS}${again ? " sip-again" : ""}`,
      role: "button",
      tabindex: -1,
      "aria-label": spoken(ladder, row),
      "data-key": row.key,
    },
    svg("title", {}, spoken(ladder, row)),
    svg("rect", {
      x: 0,
      y,
      width: Math.max(from, to, x(0) + spacing) + 36,
      height: ROW_HEIGHT,
      class: "sip-hit",
    }),
    svg("text", { x: 2, y: line + 4, class: "sip-at" }, time),
    svg("line", { x1: from, x2: to + 5 * tip, y1: line, y2: line, class: "sip-shaft" }),
    svg("path", { d: `M${to} ${line}l${9 * tip} -4.5v9z`, class: "sip-tip" }),
    svg(
      "text",
      { x: (from + to) / 2, y: line - 6, class: "sip-label" },
      cut(words, Math.max(room, 60)) + badge,
    ),
  );
}

/** One stop for Tab; up, down, Home and End move among the arrows. */
function rove(arrows: readonly SVGGElement[]): void {
  arrows[0]?.setAttribute("tabindex", "0");
  arrows.forEach((arrow, index) =>
    arrow.addEventListener("keydown", (event) => {
      const next = {
        ArrowDown: index + 1,
        ArrowUp: index - 1,
        Home: 0,
        End: arrows.length - 1,
      }[event.key];
      const target = next === undefined ? undefined : arrows[next];
      if (target === undefined) return;
      event.preventDefault();
      arrow.setAttribute("tabindex", "-1");
      target.setAttribute("tabindex", "0");
      target.focus();
    }),
  );
}
