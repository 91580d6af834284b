/** The help of a node taken apart, for its picture, the generated reference and the tests of all three. */
import { languages, read, type NodeDefinition } from "./node-definitions.js";

/** One field of a message or one property: what it is called, its kind and default, and what it does (HTML). */
export interface Entry {
  readonly name: string;
  readonly optional: boolean;
  readonly kind: string;
  readonly text: string;
}

/** One output: its name and when it fires, with the fields of its messages. */
export interface Output {
  readonly name: string;
  readonly when: string;
  readonly fields: readonly Entry[];
}

/** The help of a node in one language. */
export interface Help {
  readonly tooltip: string;
  readonly inputs: readonly Entry[];
  readonly properties: readonly Entry[];
  readonly outputs: readonly Output[];
  /** HTML of the details. */
  readonly details: string;
  readonly references: readonly { readonly href: string; readonly text: string }[];
}

/** The headings of a language, in the order of the sections. */
export const HEADINGS: Readonly<Record<string, readonly string[]>> = {
  "en-US": ["Inputs", "Outputs", "Properties", "Details", "References"],
  de: ["Eingaben", "Ausgaben", "Eigenschaften", "Details", "Verweise"],
};

const line = (text = ""): string => text.replace(/\s+/g, " ").trim();

const ENTITIES: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  quot: '"',
  "#x27": "'",
  amp: "&",
};

/** HTML without its tags, on one line. */
export const plain = (text: string): string =>
  line(text.replace(/<[^>]*>/g, "")).replace(
    /&(lt|gt|quot|#x27|amp);/g,
    (whole, name: string) => ENTITIES[name] ?? whole,
  );

function entries(text = ""): Entry[] {
  return [...text.matchAll(/<dt([^>]*)>([\s\S]*?)<\/dt>\s*<dd>([\s\S]*?)<\/dd>/g)].map(
    ([, attributes = "", head = "", meaning]) => {
      const [, name = "", kind = ""] =
        /^([\s\S]*?)(?:<span class="property-type">([\s\S]*?)<\/span>)?\s*$/.exec(head) ?? [];
      return {
        name: plain(name),
        optional: attributes.includes("optional"),
        kind: plain(kind),
        text: line(meaning),
      };
    },
  );
}

/** Source of a help file. */
export const helpSource = (language: string, type: string): string =>
  read("nodes/locales", language, `${type}.html`);

/** Takes a help file apart; a section that is not there is empty. */
export function parseHelp(language: string, source: string): Help {
  const [first = "", ...rest] = source.split(/<h3>(.*?)<\/h3>/);
  const section = (index: number): string => {
    const at = rest.indexOf(HEADINGS[language]?.[index] ?? "");
    return at < 0 ? "" : (rest[at + 1] ?? "").replace(/<\/script>\s*$/, "");
  };
  return {
    tooltip: line(/<p>([\s\S]*?)<\/p>/.exec(first)?.[1]),
    inputs: entries(section(0)),
    properties: entries(section(2)),
    outputs: [...section(1).matchAll(/<li>\s*([^<]*)<dl[^>]*>([\s\S]*?)<\/dl>/g)].map(
      ([, head = "", fields]) => {
        const [name = "", ...when] = line(head).split(": ");
        return { name, when: when.join(": "), fields: entries(fields) };
      },
    ),
    details: section(3),
    references: [...section(4).matchAll(/<a href="([^"]+)"[^>]*>([\s\S]*?)<\/a>/g)].map(
      ([, href = "", text = ""]) => ({ href, text: plain(text) }),
    ),
  };
}

const escaped = (text: string): string =>
  text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");

/**
 * The picture at the head of the outputs: the node with a wire from each output, saying when it fires and what
 * `msg.topic` and `msg.payload` then are. It takes its colours from the text around it, and screen readers skip it: the list
 * that follows says the same.
 */
export function picture(definition: NodeDefinition, outputs: readonly Output[]): string {
  const step = 44;
  const height = outputs.length * step + 8;
  const title = definition.type.replace("sip-", "");
  const field = (output: Output, name: string) =>
    output.fields.find((entry) => entry.name === name);
  const rows = outputs.map((output, index) => {
    const y = 22 + index * step;
    const topics = plain(field(output, "topic")?.text ?? "").split(", ");
    const topic = topics.length > 2 ? `${topics.slice(0, 2).join(", ")}, …` : topics.join(", ");
    const payload = field(output, "payload")?.kind;
    return [
      `<path d="M62 ${y}h22"/><rect x="58" y="${y - 4}" width="8" height="8" rx="2"/>`,
      `<text x="90" y="${y - 4}" font-weight="bold">${escaped(output.name)}</text>`,
      `<text x="90" y="${y + 10}">${escaped(output.when)}</text>`,
      `<text x="90" y="${y + 23}" opacity=".7">${escaped(payload ? `${topic} → ${payload}` : topic)}</text>`,
    ];
  });
  return [
    `<svg viewBox="0 0 340 ${height}" width="100%" aria-hidden="true" font-size="11" fill="currentColor">`,
    `  <g fill="none" stroke="currentColor"><rect x="1" y="4" width="61" height="${height - 8}" rx="5"/>${rows.map(([wire]) => wire).join("")}</g>`,
    `  <text x="31" y="${height / 2 + 4}" text-anchor="middle">${title}</text>`,
    ...rows.map(([, ...texts]) => `  ${texts.join("")}`),
    "</svg>",
  ].join("\n");
}

/** A help file with its picture drawn anew. */
export function withPicture(definition: NodeDefinition, language: string): string {
  const source = helpSource(language, definition.type);
  const { outputs } = parseHelp(language, source);
  const bare = source.replace(/ *<svg [\s\S]*?<\/svg>\n/, "");
  if (outputs.length === 0) return bare;
  const drawn = picture(definition, outputs).replace(/^/gm, "  ");
  return bare.replace('  <ol class="node-ports">', () => `${drawn}\n  <ol class="node-ports">`);
}

/** Languages that have help. */
export const helpLanguages = languages.filter((language) => language in HEADINGS);
