// Figures and tables.

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

/** A number as text, with `digits` after the point; a dash when there is none. */
export function figure(value, digits = 0) {
  if (value === undefined || !Number.isFinite(value)) return "–";
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** A table in Markdown. Cells are texts or numbers. */
export function table(heads, rows) {
  const line = (cells) =>
    `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n");
}

/**
 * One goal and what was measured.
 *
 * @param {string} what - what is measured
 * @param {string} goal - the goal in words
 * @param {number} value - the measured figure; NaN when it could not be measured
 * @param {(value: number) => boolean} isMet - whether that is good enough
 * @param {string} shown - the measured figure in words
 */
export function goal(what, wanted, value, isMet, shown = figure(value, 2)) {
  const measured = Number.isFinite(value);
  return {
    what,
    goal: wanted,
    measured: measured ? shown : "not measured",
    met: measured ? isMet(value) : undefined,
  };
}
