/**
 * The editor in headless Chromium as a new user meets it: import an example from the menu, deploy, run it, statuses change;
 * drag every node, open its dialog, press Done; no error on the page.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { NodeRed, projectRoot } from "../support/node-red.js";
import { needs } from "../support/peers/process.js";

const manifest = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as {
  name: string;
  "node-red": { nodes: Record<string, string> };
};
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) =>
  existsSync(path),
);
/** Set to a folder to look at what the tests saw. */
const pictures = process.env.SCREENSHOTS;

interface EditorNode {
  id: string;
  type: string;
}

describe("the editor", function () {
  this.timeout(180_000);
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
    page = await browser.newPage({ viewport: { width: 1500, height: 900 }, locale: "en-US" });
    page.on("pageerror", (error) => problems.push(`${error.message}\n${error.stack ?? ""}`));
    page.on("console", (message) => {
      if (message.type() === "error" && !/favicon|net::ERR/.test(message.text()))
        problems.push(message.text());
    });
    await page.goto(nodeRed.url);
    await page.waitForSelector('.red-ui-palette-node[data-palette-type="sip-invite"]', {
      state: "attached",
    });
    await page.waitForFunction(
      'window.RED && RED.settings && RED.settings.version && getComputedStyle(document.querySelector("#red-ui-loading-progress")).display === "none"',
    );
    await page.waitForTimeout(500);
  });

  after(async () => {
    await browser?.close();
    await nodeRed?.stop();
  });

  const picture = async (name: string) => {
    if (!pictures) return;
    mkdirSync(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `${name}.png`) });
  };

  /** Notifications float over the canvas and eat clicks. */
  const quiet = async () => {
    for (const note of await page.locator(".red-ui-notification").all())
      await note.click({ timeout: 1000 }).catch(() => undefined);
    await page.waitForFunction('!document.querySelector(".red-ui-notification")', undefined, {
      timeout: 10_000,
    });
  };

  async function deploy(): Promise<void> {
    await page.click("#red-ui-header-button-deploy");
    await page.waitForTimeout(400);
    const confirm = page.locator(".red-ui-notification button.primary");
    if ((await confirm.count()) > 0 && (await confirm.first().isVisible())) {
      const text = await page.locator(".red-ui-notification").first().innerText();
      assert.fail(`the editor asks before deploying: ${text}`);
    }
    await page.waitForFunction("!RED.nodes.dirty()");
  }

  const nodesOfType = (type: string) =>
    page.evaluate<EditorNode[]>(
      `RED.nodes.filterNodes({type: ${JSON.stringify(type)}}).map((n) => ({id: n.id, type: n.type}))`,
    );

  it("imports the loopback example from the menu, deploys and runs it; statuses tell the story", async () => {
    await page.keyboard.press("Control+i");
    await page.click("#red-ui-tab-red-ui-clipboard-dialog-import-tab-examples");
    const tree = page.locator(".red-ui-clipboard-dialog-tab-library:visible").first();
    await tree.getByText(manifest.name).click();
    await tree.getByText("calls", { exact: true }).click();
    await tree.getByText("Loopback", { exact: true }).click();
    await picture("1-import");
    await page.locator("#red-ui-clipboard-dialog-ok").click();
    // The imported nodes hang at the mouse until it is clicked on the canvas.
    await page.waitForTimeout(500);
    const chart = await page.locator("#red-ui-workspace-chart").boundingBox();
    assert.ok(chart);
    if (await page.evaluate("RED.view.state && RED.view.state() !== 0")) {
      await page.mouse.move(chart.x + 400, chart.y + 250);
      await page.mouse.down();
      await page.mouse.up();
    }
    await page.waitForFunction('RED.nodes.filterNodes({type: "sip-invite"}).length > 0');
    const [invite] = await nodesOfType("sip-invite");
    assert.ok(invite);
    await page.evaluate(`RED.workspaces.show(RED.nodes.node(${JSON.stringify(invite.id)}).z)`);
    await deploy();
    await quiet();
    await picture("2-deployed");
    const [inject] = await nodesOfType("inject");
    assert.ok(inject);
    const statuses = new Set<string>();
    await page.locator(`[id="${inject.id}"] .red-ui-flow-node-button-button`).click();
    for (let i = 0; i < 60; i++) {
      for (const text of await page.locator(".red-ui-flow-node-status-label").allTextContents())
        if (text) statuses.add(text);
      await page.waitForTimeout(100);
    }
    await picture("3-run");
    const story = [...statuses].join(" | ");
    assert.match(story, /ringing/i, story);
    assert.match(story, /talking|\d\d:\d\d/i, story);
    assert.deepEqual(problems, []);
  });

  for (const type of Object.keys(manifest["node-red"].nodes).filter(
    (name) => !["sip-stack", "sip-account"].includes(name),
  )) {
    it(`drags ${type} onto the canvas, opens its dialog and closes it with Done`, async () => {
      await quiet();
      const before = (await nodesOfType(type)).length;
      const source = page.locator(`.red-ui-palette-node[data-palette-type="${type}"]`);
      await source.scrollIntoViewIfNeeded();
      const from = await source.boundingBox();
      const chart = await page.locator("#red-ui-workspace-chart").boundingBox();
      assert.ok(from && chart);
      await page.mouse.move(from.x + 20, from.y + 10);
      await page.mouse.down();
      await page.mouse.move(chart.x + 650, chart.y + 560, { steps: 10 });
      await page.mouse.up();
      await page.waitForFunction(
        `RED.nodes.filterNodes({type: ${JSON.stringify(type)}}).length === ${before + 1}`,
      );
      const id = await page.evaluate<string>(
        `RED.nodes.filterNodes({type: ${JSON.stringify(type)}}).pop().id`,
      );
      await page.evaluate(`RED.editor.edit(RED.nodes.node(${JSON.stringify(id)}))`);
      await page.waitForSelector("#node-dialog-ok");
      await page.waitForTimeout(450);
      await picture(`node-${type}`);
      // A key of the catalogue on the screen is a forgotten label.
      const text = await page.locator(".red-ui-tray-body").last().innerText();
      assert.doesNotMatch(text, /sip-[a-z]+\.(label|placeholder|option)|\blabel\.[a-z]/, text);
      await page.click("#node-dialog-ok");
      await page.waitForTimeout(400);
      assert.equal(await page.locator("#node-dialog-ok").count(), 0, "the dialog stayed open");
      await page.evaluate(
        `(() => { const node = RED.nodes.node(${JSON.stringify(id)}); RED.nodes.remove(node.id); RED.view.redraw(true); })()`,
      );
      assert.deepEqual(problems, []);
    });
  }

  it("wires one node to the next with the mouse; what is deployed has the wire", async () => {
    await quiet();
    await page.evaluate(`(() => {
      const z = RED.workspaces.active();
      const node = (id, type, x) => {
        const { defaults } = RED.nodes.getType(type);
        const values = Object.keys(defaults).map((name) => [name, defaults[name].value]);
        return { ...Object.fromEntries(values), id, type, z, x, y: 560, wires: [] };
      };
      RED.nodes.import([node("wire-from", "sip-accept", 300), node("wire-to", "sip-bye", 620)], { generateIds: false });
      RED.view.redraw(true);
    })()`);
    const middle = async (id: string, side: "input" | "output") => {
      const port = page.locator(`[id="${id}"] .red-ui-flow-port-${side} .red-ui-flow-port`).first();
      const box = await port.boundingBox();
      assert.ok(box, `${id} has no ${side}`);
      return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    };
    const [from, to] = [await middle("wire-from", "output"), await middle("wire-to", "input")];
    await page.mouse.move(from.x, from.y);
    await page.mouse.down();
    await page.mouse.move(to.x, to.y, { steps: 12 });
    await page.mouse.up();
    await page.waitForFunction(
      'RED.nodes.filterLinks({ source: RED.nodes.node("wire-from") }).some((link) => link.target.id === "wire-to" && link.sourcePort === 0)',
    );
    await picture("wired");
    await deploy();
    const flows = (await (await fetch(`${nodeRed.url}/flows`)).json()) as {
      id: string;
      wires?: string[][];
    }[];
    assert.deepEqual(flows.find(({ id }) => id === "wire-from")?.wires?.[0], ["wire-to"]);
    await page.evaluate(
      '(() => { for (const id of ["wire-from", "wire-to"]) RED.nodes.remove(id); RED.nodes.dirty(true); RED.view.redraw(true); })()',
    );
    await quiet();
    assert.deepEqual(problems, []);
  });

  it("keeps the wires of a menu's choices when rows are moved, added and removed", async () => {
    await quiet();
    // Outputs: 1, 2, 3, timeout, invalid, ended; a debug node of its own on each.
    await page.evaluate(`(() => {
      const z = RED.workspaces.active();
      const sink = (index) => ({ id: "menu-sink-" + index, type: "debug", z, x: 900, y: 60 + 40 * index, wires: [], name: "sink " + index });
      const menu = { id: "menu-under-test", type: "sip-menu", z, x: 600, y: 100, name: "", outputs: 6,
        choices: ["1", "2", "3"].map((digits) => ({ digits, label: "choice " + digits })),
        wires: [0, 1, 2, 3, 4, 5].map((index) => ["menu-sink-" + index]) };
      RED.nodes.import([menu, ...[0, 1, 2, 3, 4, 5].map(sink)], { generateIds: false });
      RED.view.redraw(true);
      RED.editor.edit(RED.nodes.node("menu-under-test"));
    })()`);
    await page.waitForSelector("#node-dialog-ok");
    await page.waitForTimeout(450);
    await picture("menu-before");
    // The first row goes, a new one comes, and the last of the old ones is dragged to the top.
    await page.evaluate(`(() => {
      const list = $("#node-input-choices-list");
      list.editableList("removeItem", list.editableList("items").toArray()[0].data("data"));
      list.editableList("addItem", { digits: "0", label: "operator" });
      const items = list.editableList("items").toArray();
      items[1].closest("li").insertBefore(items[0].closest("li"));
      list.editableList("addItem", {});
    })()`);
    await page.waitForTimeout(100);
    await picture("menu-after");
    await page.click("#node-dialog-ok");
    await page.waitForTimeout(400);
    const saved = await page.evaluate<unknown>(`(() => {
      const node = RED.nodes.node("menu-under-test");
      const wires = RED.nodes.filterLinks({ source: node }).map((link) => [Number(link.sourcePort), link.target.name]);
      const labels = Array.from({ length: node.outputs }, (_, index) => node._def.outputLabels.call(node, index));
      return { outputs: node.outputs, choices: node.choices, wires: wires.sort((a, b) => a[0] - b[0]), labels };
    })()`);
    await page.evaluate(
      `(() => { for (const id of ["menu-under-test", ...[0, 1, 2, 3, 4, 5].map((index) => "menu-sink-" + index)]) RED.nodes.remove(id); RED.view.redraw(true); })()`,
    );
    assert.deepEqual(saved, {
      outputs: 6,
      choices: [
        { digits: "3", label: "choice 3" },
        { digits: "2", label: "choice 2" },
        { digits: "0", label: "operator" },
      ],
      wires: [
        [0, "sink 2"],
        [1, "sink 1"],
        [3, "sink 3"],
        [4, "sink 4"],
        [5, "sink 5"],
      ],
      labels: ["3: choice 3", "2: choice 2", "0: operator", "timeout", "invalid", "ended"],
    });
    assert.deepEqual(problems, []);
  });

  for (const type of ["sip-stack", "sip-account"]) {
    it(`opens the dialog of the config node ${type}, marks a wrong value and closes it with Cancel`, async () => {
      await quiet();
      await page.evaluate(`RED.editor.editConfig("", ${JSON.stringify(type)}, "_ADD_")`);
      await page.waitForSelector("#node-config-dialog-ok");
      await page.waitForTimeout(450);
      await picture(`config-${type}`);
      const field =
        type === "sip-stack" ? "#node-config-input-unhandledStatus" : "#node-config-input-uri";
      await page.fill(field, "not valid !", { timeout: 1500 }).catch(async () => {
        // A field in a section that is folded away is filled in without being seen.
        await page.evaluate(`$(${JSON.stringify(field)}).val("not valid !").trigger("change")`);
      });
      await page.evaluate(`$(${JSON.stringify(field)}).trigger("change")`);
      await page.waitForTimeout(400);
      const classes = await page.evaluate<string>(
        `document.querySelector(${JSON.stringify(field)}).className`,
      );
      assert.match(classes, /input-error/, `${field}: ${classes}`);
      await page.click("#node-config-dialog-cancel");
      await page.waitForTimeout(400);
      assert.deepEqual(problems, []);
    });
  }
});
