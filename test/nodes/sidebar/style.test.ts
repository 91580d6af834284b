/** What the sidebar may not do in an editor that it shares: colours and styles of its own, absolute addresses, markup. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const editor = resolve(__dirname, "../../../nodes/sidebar/editor");
const read = (file: string) => readFileSync(join(editor, file), "utf8");
const sources = readdirSync(editor).filter((file) => file.endsWith(".ts"));

describe("sidebar: manners", () => {
  it("styles only what stands below its own class, in colours of the theme", () => {
    const css = read("sidebar.css").replace(/\/\*[\s\S]*?\*\//g, "");
    const foreign = [...css.matchAll(/([^{}]+)\{/g)]
      .flatMap(([, selectors = ""]) => selectors.split(/,\s*\n/))
      .map((selector) => selector.trim())
      .filter((selector) => !/^\.sip-sidebar(?![\w-])/.test(selector));
    assert.deepEqual(foreign, []);
    const fixed = [
      ...css.matchAll(/#[0-9a-f]{3,8}\b|\b(?:rgb|hsl)a?\([^)]*\)|url\(|@import/gi),
    ].map(String);
    assert.deepEqual(fixed, []);
  });

  it("asks only relative addresses, so that any root of the editor and its login work", () => {
    for (const file of sources) {
      const text = read(file);
      assert.doesNotMatch(text, /(?:request|file)(?:<[^>]*>)?\(\s*[`"](?:\/|https?:|\.)/, file);
      assert.doesNotMatch(text, /(?<![.\w])fetch\(\s*[`"]|XMLHttpRequest|new WebSocket/, file);
    }
  });

  it("never makes markup of a text", () => {
    for (const file of sources)
      assert.doesNotMatch(
        read(file),
        /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\.html\(|DOMParser|RED\.notify\(\s*[`"t]/,
        file,
      );
  });
});
