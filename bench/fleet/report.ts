/** What was checked, and what was seen: on the screen at once, in the document at the end. */
export class Report {
  readonly #lines: string[] = [];
  failures = 0;

  title(text: string): void {
    console.log(`\n== ${text}`);
    this.#lines.push("", `## ${text}`, "");
  }

  check(what: string, held: boolean, seen: string): void {
    if (!held) this.failures += 1;
    console.log(`  ${held ? "held  " : "BROKEN"} ${what}: ${seen}`);
    this.#lines.push(`- ${held ? "" : "**not held** "}${what}: ${seen}`);
  }

  tell(text: string): void {
    console.log(text.replace(/^/gm, "  "));
    this.#lines.push("", text, "");
  }

  table(heads: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
    const line = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
    this.tell([line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n"));
  }

  get text(): string {
    return this.#lines
      .join("\n")
      .replace(/\n{3,}/g, "\n\n")
      .trim();
  }
}

export function figure(value: number, digits = 0): string {
  if (!Number.isFinite(value)) return "–";
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}
