/**
 * The first minute: from an empty Node-RED to a call that rings on this machine, as somebody with a mouse does it; each click is
 * counted.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { NodeRed } from "../support/node-red.js";
import { needs } from "../support/peers/process.js";

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) =>
  existsSync(path),
);
/** Set to a folder to look at what the test saw. */
const pictures = process.env.SCREENSHOTS;
const MOST_CLICKS = 6;

describe("the first minute", function () {
  this.timeout(60_000);
  let nodeRed: NodeRed;
  let browser: Browser;
  let page: Page;
  const problems: string[] = [];

  before(async function () {
    needs(this, "chromium");
    nodeRed = await NodeRed.start();
    browser = await chromium.launch({
      executablePath,
      headless: true,
      args: "--no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split(
        " ",
      ),
    });
    page = await browser.newPage({ viewport: { width: 1300, height: 900 }, locale: "en-US" });
    page.setDefaultTimeout(15_000);
    page.on("pageerror", (error) => problems.push(`${error.message}\n${error.stack ?? ""}`));
    await page.goto(nodeRed.url);
    await page.waitForFunction(
      'window.RED && RED.settings && RED.settings.version && getComputedStyle(document.querySelector("#red-ui-loading-progress")).display === "none"',
    );
  });

  afterEach(() => picture("end"));
  after(async () => {
    await browser?.close();
    await nodeRed?.stop();
  });

  const picture = async (name: string) => {
    if (!pictures) return;
    mkdirSync(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `first-minute-${name}.png`) });
  };

  it(`leads to a ringing call in at most ${MOST_CLICKS} clicks`, async () => {
    const clicks: string[] = [];
    const click = async (what: string, selector: string) => {
      await page.locator(selector).first().click();
      clicks.push(what);
      await picture(`${clicks.length} ${what}`);
    };
    assert.equal(await page.evaluate("RED.nodes.filterNodes({}).length"), 0);
    await picture("0 empty");
    await openSidebar(click);
    await click("a call on this machine", '.sip-sidebar button:text("A call on this machine")');
    await page.waitForFunction('RED.nodes.filterNodes({type: "sip-invite"}).length > 0');
    // Nothing hangs at the mouse, and the new tab is in front.
    assert.equal(await page.evaluate("RED.view.state()"), 0);
    const inject = await page.evaluate<{ id: string; z: string }>(
      '(({id, z}) => ({id, z}))(RED.nodes.filterNodes({type: "inject"})[0])',
    );
    assert.equal(await page.evaluate("RED.workspaces.active()"), inject.z);
    await click("Deploy", "#red-ui-header-button-deploy");
    await page.waitForFunction("!RED.nodes.dirty()");
    await page
      .locator(".red-ui-flow-node-status-label", { hasText: /listening/i })
      .first()
      .waitFor();
    await click("the button of “call”", `[id="${inject.id}"] .red-ui-flow-node-button-button`);
    await page
      .locator(".red-ui-flow-node-status-label", { hasText: /ringing/i })
      .first()
      .waitFor();
    await page.locator('ul[aria-label="Calls now"] > li').first().waitFor();
    await picture(`${clicks.length + 1} rings`);
    assert.ok(clicks.length <= MOST_CLICKS, clicks.join(", "));
    assert.deepEqual(problems, []);
  });

  /** By its icon, or where the window has no room for that, by the menu of the sidebar. */
  async function openSidebar(
    click: (what: string, selector: string) => Promise<void>,
  ): Promise<void> {
    const icon =
      '#red-ui-sidebar .red-ui-tab-link-button[href="#sip-sidebar"]:visible, .red-ui-sidebar-tab-bar button[data-tab-id="sip-sidebar"]:visible';
    if ((await page.locator(icon).count()) > 0) {
      await click("the SIP tab", icon);
    } else {
      await click(
        "the sidebar’s menu",
        "#red-ui-sidebar .red-ui-tab-link-button-menu:visible, .red-ui-sidebar-tab-bar-overflow-button:visible",
      );
      await click("SIP", "#red-ui-tabs-menu-option-sip-sidebar");
    }
    await page.locator(".sip-sidebar").waitFor({ state: "visible" });
  }
});
