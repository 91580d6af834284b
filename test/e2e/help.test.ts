/** The editor in each of its languages: every node's help is shown with its picture, every dialog speaks that language. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chromium, type Browser } from "playwright-core";
import { HEADINGS, helpLanguages } from "../support/help.js";
import { definitions } from "../support/node-definitions.js";
import { NodeRed } from "../support/node-red.js";
import { needs } from "../support/peers/process.js";

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) =>
  existsSync(path),
);
const all = definitions();

interface Shown {
  type: string;
  headings: string[];
  picture: boolean;
  terms: number;
  /** Labels of the dialog that are still keys, or are empty. */
  bare: string[];
}

describe("the editor's help", function () {
  this.timeout(120_000);
  let nodeRed: NodeRed;
  let browser: Browser;

  before(async function () {
    needs(this, "chromium");
    nodeRed = await NodeRed.start();
    browser = await chromium.launch({
      ...(executablePath && { executablePath }),
      headless: true,
      args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    });
  });

  after(async () => {
    await browser?.close();
    await nodeRed?.stop();
  });

  for (const language of helpLanguages) {
    it(`shows all nodes in ${language}, each with a picture of its outputs and a dialog in words`, async () => {
      const page = await browser.newPage({
        viewport: { width: 1400, height: 900 },
        locale: language,
      });
      const problems: string[] = [];
      page.on("pageerror", (error) => problems.push(error.message));
      await page.goto(nodeRed.url);
      await page.waitForFunction(
        'window.RED && RED.settings && RED.settings.version && getComputedStyle(document.querySelector("#red-ui-loading-progress")).display === "none"',
      );
      const types = all.map(({ type }) => type);
      const shown = await page.evaluate<Shown[]>(`(() => {
        const shown = [];
        for (const type of ${JSON.stringify(types)}) {
          const help = document.createElement("div");
          help.innerHTML = RED.nodes.getNodeHelp(type);
          const form = document.createElement("div");
          form.innerHTML = document.querySelector('script[data-template-name="' + type + '"]').innerHTML;
          // As the editor does before it shows a dialog.
          for (const element of form.querySelectorAll("[data-i18n]"))
            if (!element.dataset.i18n.includes(":"))
              element.dataset.i18n = element.dataset.i18n.replace(/^(\\[[\\w-]+\\])?/, "$1@sipflow/node-red-sip/" + type + ":");
          $(form).i18n();
          const bare = [...form.querySelectorAll("[data-i18n]")]
            .filter((element) => !element.dataset.i18n.startsWith("["))
            .map((element) => element.textContent.trim())
            .filter((text) => text === "" || /^[\\w@/.-]+:[\\w.]+$|^(label|option|common|hint)\\./.test(text));
          shown.push({
            type,
            headings: [...help.querySelectorAll("h3")].map((heading) => heading.textContent.trim()),
            picture: [...help.querySelectorAll("svg text")].some((text) => text.textContent.length > 2),
            terms: help.querySelectorAll("dt").length,
            bare,
          });
        }
        return shown;
      })()`);
      for (const { type, headings, picture, terms, bare } of shown) {
        const config = all.find((each) => each.type === type)?.category === "config";
        assert.ok(
          headings.includes(HEADINGS[language]?.[2] ?? ""),
          `${type}: ${headings.join(", ")}`,
        );
        assert.equal(picture, !config, `${type} has ${config ? "a" : "no"} picture`);
        assert.ok(terms > 0, type);
        assert.deepEqual(bare, [], type);
      }
      await page.evaluate('RED.sidebar.help.show("sip-invite")');
      await page.locator(".red-ui-help svg text").first().waitFor();
      assert.deepEqual(problems, []);
      await page.close();
    });
  }
});
