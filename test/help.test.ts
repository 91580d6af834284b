/** Help and catalogues: every property, default and output is told, in every language, and the languages have the same texts. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import {
  HEADINGS,
  helpLanguages,
  helpSource,
  parseHelp,
  plain,
  withPicture,
} from "./support/help.js";
import {
  catalogue,
  definitions,
  languages,
  read,
  root,
  shownProperties,
} from "./support/node-definitions.js";
import { keptPage, referencePages } from "./support/reference.js";

const all = definitions();
const REFERENCE_LANGUAGE = "en-US";

/** Every place of every node and language, as `type (language)`, that a check finds wrong. */
const wrong = (
  check: (help: ReturnType<typeof parseHelp>, type: string, language: string) => string[],
): string[] =>
  all.flatMap(({ type }) =>
    helpLanguages.flatMap((language) =>
      check(parseHelp(language, helpSource(language, type)), type, language).map(
        (what) => `${type} (${language}): ${what}`,
      ),
    ),
  );

const definitionOf = (type: string) => {
  const found = all.find((definition) => definition.type === type);
  assert.ok(found);
  return found;
};

/** Texts of a catalogue by their dotted names. */
function texts(value: object, prefix = ""): [string, string][] {
  return Object.entries(value).flatMap(([name, child]) =>
    typeof child === "string"
      ? [[prefix + name, child] as [string, string]]
      : texts(child as object, `${prefix}${name}.`),
  );
}

const sets = readdirSync(join(root, "nodes/locales", REFERENCE_LANGUAGE))
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.replace(/\.json$/, ""));

describe("help", () => {
  it("is there for every node in every language, with the headings of that language", () => {
    assert.deepEqual(languages, helpLanguages);
    for (const { type, category, inputs } of all) {
      for (const language of helpLanguages) {
        const source = helpSource(language, type);
        assert.match(source, new RegExp(`^<script type="text/html" data-help-name="${type}">`));
        const [inputsHeading, outputs, properties, details, references] = HEADINGS[language] ?? [];
        const expected = [
          ...(inputs > 0 ? [inputsHeading] : []),
          ...(category === "config" ? [] : [outputs]),
          properties,
          details,
          references,
        ];
        const found = [...source.matchAll(/<h3>(.*?)<\/h3>/g)].map(([, heading]) => heading);
        // What needs no further word may have no details.
        assert.deepEqual(
          found,
          found.includes(details) ? expected : expected.filter((heading) => heading !== details),
          `${type} ${language}`,
        );
        assert.ok(parseHelp(language, source).tooltip.length > 40, `${type} ${language}`);
        assert.doesNotMatch(source, /style=|<img|\[!|<script(?! type="text\/html")/);
      }
    }
  });

  it("names every property of the node, and no other", () => {
    assert.deepEqual(
      wrong((help, type) => {
        const definition = definitionOf(type);
        const expected = [...shownProperties(definition), ...definition.credentials];
        const named = help.properties.flatMap(({ name }) => name.split(", "));
        // A part of each transport, and no property of its own.
        const parts = type === "sip-stack" ? ["advertise"] : [];
        return [
          ...expected.filter((name) => !named.includes(name)).map((name) => `no word on ${name}`),
          ...named
            .filter((name) => !expected.includes(name) && !parts.includes(name))
            .map((name) => `there is no ${name}`),
        ];
      }),
      [],
    );
  });

  it("tells each property by the name that the dialog gives it, with its default", () => {
    assert.deepEqual(
      wrong((help, type, language) => {
        const definition = definitionOf(type);
        return help.properties.flatMap(({ name, kind, text }) => {
          const label = definition.text(language, `label.${name}`);
          const { value } = definition.defaults[name] ?? {};
          const plainDefault = ["number", "boolean"].includes(typeof value) ? String(value) : "";
          return [
            ...(label && !plain(text).startsWith(label) ? [`${name} is “${label}”`] : []),
            ...(kind.endsWith(plainDefault) || name.includes(", ")
              ? []
              : [`${name} is ${plainDefault} by default, not ${kind}`]),
          ];
        });
      }),
      [],
    );
  });

  it("names every output as its port does, with when it fires, its topic and its payload", () => {
    assert.deepEqual(
      wrong((help, type, language) => {
        const definition = definitionOf(type);
        if (definition.category === "config") return [];
        const ports = definition.outputs(language);
        // A menu has one port per choice, told together.
        const names = help.outputs.map(({ name }) => name);
        const fixed = type === "sip-menu" ? names.slice(1) : names;
        const expected = ports.slice(ports.length - fixed.length);
        const told = help.outputs.flatMap(({ name, when, fields }) =>
          ["topic", "payload"]
            .filter(
              (field) =>
                !fields.some((each) => each.name === field) &&
                !(field === "topic" && fields.some((each) => each.name === "sip")),
            )
            .map((field) => `${name} has no ${field}`)
            // The picture has room for so much.
            .concat(when && when.length <= 45 ? [] : [`${name} says “${when}”`]),
        );
        return [
          ...told,
          ...expected
            .filter((label, index) => label.split(": ")[0] !== fixed[index])
            .map((label) => `output “${label}” is not told`),
        ];
      }),
      [],
    );
  });

  it("shows a picture of the outputs that is up to date (test/support/write-reference.ts)", () => {
    const old = all.flatMap((definition) =>
      helpLanguages
        .filter(
          (language) => withPicture(definition, language) !== helpSource(language, definition.type),
        )
        .map((language) => `${definition.type} (${language})`),
    );
    assert.deepEqual(old, []);
  });

  it("names every event that sip-event lets one choose", () => {
    const [, list = ""] =
      /choose\("events", \[([\s\S]*?)\]/.exec(read("nodes/sip-event.html")) ?? [];
    const events = list.match(/[a-z][a-z-]+/g) ?? [];
    assert.ok(events.length > 30);
    for (const language of helpLanguages)
      for (const event of events)
        assert.ok(
          helpSource(language, "sip-event").includes(`<code>${event}</code>`),
          `${event} (${language})`,
        );
  });

  it("links to the documents of the package, which exist", () => {
    const base = "https://github.com/sipflow/node-red-sip/blob/main/";
    assert.deepEqual(
      wrong((help) =>
        help.references
          .filter(({ href }) => href.startsWith(base))
          .filter(({ href }) => !existsSync(join(root, href.slice(base.length))))
          .map(({ href }) => href),
      ),
      [],
    );
  });

  it("says the same in every language, node by node: fields, properties, outputs", () => {
    const shape = (language: string, type: string) => {
      const help = parseHelp(language, helpSource(language, type));
      return {
        inputs: help.inputs.map(({ name }) => name),
        properties: help.properties.map(({ name }) => name),
        outputs: help.outputs.map(({ fields }) => fields.map(({ name }) => name)),
        references: help.references.map(({ href }) => href),
      };
    };
    for (const { type } of all)
      for (const language of helpLanguages)
        assert.deepEqual(shape(language, type), shape(REFERENCE_LANGUAGE, type), type);
  });
});

describe("catalogues", () => {
  it("have the same texts in every language, with the same gaps to fill", () => {
    const gaps = (text: string) => [...text.matchAll(/__\w+__/g)].map(String).sort().join(" ");
    const different = languages.flatMap((language) =>
      sets.flatMap((set) => {
        const here = catalogue(language, set);
        if (!here) return [`${language} has no catalogue for ${set}`];
        const theirs = new Map(texts(here));
        const ours = texts(catalogue(REFERENCE_LANGUAGE, set) ?? {});
        const known = new Set(ours.map(([key]) => key));
        return [
          ...ours.flatMap(([key, text]) => {
            const translated = theirs.get(key);
            if (!translated) return [`${set} ${key} is missing in ${language}`];
            return gaps(text) === gaps(translated) ? [] : [`${set} ${key}: gaps in ${language}`];
          }),
          ...[...theirs.keys()]
            .filter((key) => !known.has(key))
            .map((key) => `${set} ${key} is in ${language} only`),
        ];
      }),
    );
    assert.deepEqual(different, []);
  });
});

describe("reference", () => {
  it("is what the definitions and the help say now (test/support/write-reference.ts)", () => {
    const pages = referencePages();
    assert.deepEqual(
      [...pages].filter(([name, text]) => keptPage(name) !== text).map(([name]) => name),
      [],
    );
    assert.deepEqual(readdirSync(join(root, "docs/reference")).sort(), [...pages.keys()].sort());
    assert.match(read("docs/reference/README.md"), /sip-invite/);
  });
});
