/** The ladder as text: lines with arrows for a mail, or a Mermaid diagram for a page that draws it. */
import type { Ladder, MessageRow } from "./ladder-layout.js";

const columnName = (ladder: Ladder, index: number): string => {
  const column = ladder.columns[index];
  if (column === undefined) return "?";
  if (column.own) return column.who || "Node-RED";
  return column.who ? `${column.who} (${column.place})` : column.place;
};

const seconds = (value: number): string => value.toFixed(3).padStart(9);

/** One line per message: time, who, arrow, whom, what. */
export function ladderAsText(ladder: Ladder): string {
  const messages = ladder.rows.filter((row): row is MessageRow => row.kind === "message");
  const width = Math.max(0, ...messages.map((row) => columnName(ladder, row.from).length));
  return ladder.rows
    .map((row) => {
      if (row.kind === "gap") return `          … ${row.seconds.toFixed(1)} s`;
      if (row.kind === "missing") return `          … ${row.count} messages were not kept`;
      const names = `${columnName(ladder, row.from).padEnd(width)} → ${columnName(ladder, row.to)}`;
      const sdp = row.message.hasSdp ? " (SDP)" : "";
      const again = row.nth > 1 ? ` (×${row.nth})` : "";
      return `${seconds(row.seconds)}  ${names}: ${row.label}${sdp}${again}`;
    })
    .join("\n");
}

/** https://mermaid.js.org/syntax/sequenceDiagram.html: `#` and `;` have a meaning there. */
export function ladderAsMermaid(ladder: Ladder): string {
  const safe = (text: string) => text.replace(/[#;\r\n]/g, " ").trim();
  const lines = ["sequenceDiagram"];
  ladder.columns.forEach((_, index) =>
    lines.push(`  participant c${index} as ${safe(columnName(ladder, index))}`),
  );
  const last = ladder.columns.length - 1;
  for (const row of ladder.rows) {
    if (row.kind === "message") {
      const arrow = row.nth > 1 ? "-->>" : "->>";
      const sdp = row.message.hasSdp ? " (SDP)" : "";
      const again = row.nth > 1 ? ` ×${row.nth}` : "";
      lines.push(`  c${row.from}${arrow}c${row.to}: ${safe(row.label)}${sdp}${again}`);
    } else {
      const text =
        row.kind === "gap" ? `${row.seconds.toFixed(1)} s` : `${row.count} messages were not kept`;
      lines.push(`  Note over c0,c${last}: ${text}`);
    }
  }
  return lines.join("\n");
}
