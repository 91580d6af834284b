/** docs/reference: one page for each node, made from its template, its catalogue and its help. */
import { definitions, read, shownProperties, type NodeDefinition } from "./node-definitions.js";
import { helpSource, parseHelp, plain, type Entry } from "./help.js";

const LANGUAGE = "en-US";
const DOCS = "https://github.com/sipflow/node-red-sip/blob/main/docs/";

/** HTML of a help as Markdown on one line. */
const markdown = (text: string): string =>
  text
    .replace(/<code>([\s\S]*?)<\/code>/g, (_whole, code: string) => `\`${plain(code)}\``)
    .replace(/<b>([\s\S]*?)<\/b>/g, "**$1**")
    .replace(/<i>([\s\S]*?)<\/i>/g, "*$1*")
    .replace(/&lt;/g, "<")
    .replace(/&gt;/g, ">")
    .replace(/&amp;/g, "&")
    .replace(/\s+/g, " ")
    .trim();

const cell = (text: string): string => text.replace(/\|/g, "\\|") || " ";
const row = (...cells: string[]): string => `| ${cells.map(cell).join(" | ")} |`;
const table = (head: string[], rows: string[][]): string[] => [
  row(...head),
  `|${head.map(() => "---").join("|")}|`,
  ...rows.map((cells) => row(...cells)),
  "",
];

/** The default of a property as a flow holds it; where a typed one looks, with the type before it. */
function defaultOf(definition: NodeDefinition, name: string): string {
  const { value } = definition.defaults[name] ?? {};
  const type = definition.defaults[`${name}Type`]?.value;
  if (value === "" || value === undefined) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return type === "msg" ? `\`msg.${text}\`` : `\`${text}\``;
}

function properties(definition: NodeDefinition, entries: readonly Entry[]): string[][] {
  return entries.flatMap((entry) =>
    entry.name.split(", ").map((name) => {
      // The default stands in a column of its own, the label of the dialog, too.
      const label =
        definition.text(LANGUAGE, `label.${name}`) ??
        definition.text(LANGUAGE, `common.${name}`) ??
        "";
      return [
        `\`${name}\``,
        label,
        entry.kind.replace(/, default .*$/, ""),
        defaultOf(definition, name),
        markdown(entry.text.replace(/^<b>.*?<\/b>: /, "")),
      ];
    }),
  );
}

const fields = (entries: readonly Entry[]): string[][] =>
  entries.map((entry) => [
    entry.name
      .split(", ")
      .map((name) => `\`msg.${name}\``)
      .join(", ") + (entry.optional ? " (optional)" : ""),
    entry.kind,
    markdown(entry.text),
  ]);

/** The page of one node. */
function page(definition: NodeDefinition): string {
  const help = parseHelp(LANGUAGE, helpSource(LANGUAGE, definition.type));
  const lines = [
    `# ${definition.type}`,
    "",
    "<!-- Generated: node --import tsx test/support/write-reference.ts -->",
    "",
    markdown(help.tooltip),
    "",
    "## Properties",
    "",
    ...table(
      ["property", "in the dialog", "type, unit", "default", "meaning"],
      properties(definition, help.properties),
    ),
  ];
  if (help.inputs.length > 0)
    lines.push("## Inputs", "", ...table(["field", "type", "meaning"], fields(help.inputs)));
  if (help.outputs.length > 0) {
    lines.push("## Outputs", "");
    help.outputs.forEach((output, index) => {
      const number =
        definition.type === "sip-menu" ? ["1 … n", "n + 1", "n + 2", "n + 3"][index] : index + 1;
      lines.push(`### ${number} · ${output.name}: ${output.when}`, "");
      lines.push(...table(["field", "type", "value"], fields(output.fields)));
    });
  }
  const details = [...help.details.matchAll(/<(p|li)>([\s\S]*?)<\/\1>/g)];
  if (details.length > 0) {
    lines.push("## Details", "");
    details.forEach(([, tag, text = ""], index) => {
      lines.push(tag === "li" ? `- ${markdown(text)}` : markdown(text));
      if (tag === "p" || details[index + 1]?.[1] !== "li") lines.push("");
    });
  }
  lines.push("## See also", "");
  for (const { href, text } of help.references) {
    if (href.endsWith(`/reference/${definition.type}.md`)) continue;
    lines.push(`- [${text}](${href.startsWith(DOCS) ? `../${href.slice(DOCS.length)}` : href})`);
  }
  return `${lines.join("\n")}\n`;
}

function index(all: readonly NodeDefinition[]): string {
  const rows = all.map((definition) => {
    const help = parseHelp(LANGUAGE, helpSource(LANGUAGE, definition.type));
    return [
      `[\`${definition.type}\`](${definition.type}.md)`,
      markdown(help.tooltip),
      help.outputs.map((output) => output.name).join(" · "),
      `${shownProperties(definition).length}`,
    ];
  });
  return [
    "# Reference",
    "",
    "<!-- Generated: node --import tsx test/support/write-reference.ts -->",
    "",
    "One page for each node, made from what the editor itself shows: properties with defaults and units, inputs, outputs. What",
    "all messages have in common is in [messages.md](../messages.md), the words are in the [glossary](../glossary.md).",
    "",
    ...table(["node", "what it does", "outputs", "properties"], rows),
    "Every property can be set for one message by `msg.options`, by its name here. Seconds and milliseconds may have fractions,",
    "`${NAME}` is replaced by an environment variable in every text, and a typed property has a second one, its name and `Type`.",
    "",
  ].join("\n");
}

/** All pages by their name in docs/reference. */
export function referencePages(): Map<string, string> {
  const all = definitions();
  return new Map([
    ["README.md", index(all)],
    ...all.map((definition): [string, string] => [`${definition.type}.md`, page(definition)]),
  ]);
}

/** The page as it is kept; empty where there is none. */
export function keptPage(name: string): string {
  try {
    return read("docs/reference", name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
