// Bundles nodes/sidebar/editor/ into the one file that the editor loads: style and script of the tab "SIP".
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));

/** @param folder of the built package for the plugin: dist/nodes/sidebar */
export function buildSidebar(folder) {
  const common = { bundle: true, minify: true, write: false, charset: "utf8", logLevel: "error" };
  const script = buildSync({
    ...common,
    entryPoints: [join(here, "editor/main.ts")],
    format: "iife",
    target: "es2020",
    tsconfigRaw: {},
  });
  // As they stand: colours that are made from those of the theme must not be rewritten for older browsers.
  const style = readFileSync(join(here, "editor/sidebar.css"), "utf8").replace(/\s*\n\s*/g, "\n");
  // A closing tag within a text of the script would end it.
  const code = script.outputFiles[0].text.replaceAll("</script", "<\\/script").trim();
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "sip-sidebar.html"),
    `<style>\n${style}</style>\n<script type="text/javascript">\n${code}\n</script>\n`,
  );
  buildSync({
    entryPoints: [join(here, "sip-sidebar.ts")],
    outfile: join(folder, "sip-sidebar.js"),
    platform: "node",
    format: "cjs",
    target: "node20",
    tsconfigRaw: {},
    logLevel: "error",
  });
  cpSync(join(here, "locales"), join(folder, "locales"), { recursive: true });
}
