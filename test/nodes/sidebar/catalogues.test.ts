/** The words of the sidebar: every key that is used exists, none is left over, and all languages have the same. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const sidebar = resolve(__dirname, "../../../nodes/sidebar");
const read = (...parts: string[]) => readFileSync(join(sidebar, ...parts), "utf8");
const keysOf = (value: object, prefix = ""): [string, string][] =>
  Object.entries(value).flatMap(([name, child]) =>
    typeof child === "string"
      ? [[prefix + name, child] as [string, string]]
      : keysOf(child as object, `${prefix}${name}.`),
  );
const languages = readdirSync(join(sidebar, "locales"));
const catalogue = (language: string) =>
  new Map(keysOf(JSON.parse(read("locales", language, "sip-sidebar.json")) as object));
const source = readdirSync(join(sidebar, "editor"))
  .filter((file) => file.endsWith(".ts"))
  .map((file) => read("editor", file))
  .join("\n");
/** Made from a value: `t(`hold.${…}`)`. */
const groups = new Set(
  [...source.matchAll(/`([a-z][\w.]*)\.\$\{/g)].map(([, group]) => group ?? ""),
);
groups.add("header");

describe("sidebar: catalogues", () => {
  const english = catalogue("en-US");

  it("have every key that the sources name, and no other", () => {
    const literal = [...source.matchAll(/"([a-z][\w-]*(?:\.[\w-]+)+|title)"/g)].map(
      ([, key]) => key ?? "",
    );
    const used = new Set(literal.filter((key) => english.has(key)));
    for (const [, key = ""] of source.matchAll(/\bt\(\s*"([^"]+)"/g))
      assert.ok(english.has(key), `nobody says ${key}`);
    for (const group of groups)
      assert.ok(
        [...english.keys()].some((key) => key.startsWith(`${group}.`)),
        `nobody says ${group}`,
      );
    const unused = [...english.keys()].filter(
      (key) => !used.has(key) && ![...groups].some((group) => key.startsWith(`${group}.`)),
    );
    assert.deepEqual(unused, []);
  });

  for (const language of languages) {
    it(`say the same in ${language}, with the same values`, () => {
      const own = catalogue(language);
      assert.deepEqual([...own.keys()].sort(), [...english.keys()].sort());
      const values = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
      for (const [key, text] of own) {
        assert.ok(text.trim().length > 0, key);
        assert.deepEqual(values(text), values(english.get(key) ?? ""), `${language} ${key}`);
      }
    });
  }
});
