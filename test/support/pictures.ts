/**
 * Takes the pictures of docs/pictures anew, of flows that ran and of dialogs:
 * `node build.mjs && node --import tsx test/support/pictures.ts`.
 * PICTURES_LANGUAGE, PICTURES_SCHEME=dark, NODE_RED_HOME and PICTURES_FOLDER take others elsewhere, to look at them.
 */
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";
import type { FlowNode } from "./flow-builder.js";
import { NodeRed, projectRoot } from "./node-red.js";

const folder = process.env.PICTURES_FOLDER ?? join(projectRoot, "docs/pictures");
const language = process.env.PICTURES_LANGUAGE ?? "en-US";
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) =>
  existsSync(path),
);
/** No picture of the documents may be larger. */
const LARGEST = 60_000;

const example = (path: string) =>
  JSON.parse(readFileSync(join(projectRoot, "examples", `${path}.json`), "utf8")) as (FlowNode & {
    x?: number;
    y?: number;
    z?: string;
    name?: string;
  })[];

/** An example on a tab of its own. */
function tab(id: string, path: string): FlowNode[] {
  const nodes = example(path).filter(({ type }) => type !== "tab");
  return [
    { id, type: "tab", label: path.split("/")[1] ?? path },
    ...nodes.map((node) =>
      node.type === "sip-stack"
        ? { ...node, trace: true }
        : node.x === undefined
          ? node
          : { ...node, z: id },
    ),
  ];
}

const flows = [
  // Without the test phones below them, whose nodes are there only so that the example rings.
  {
    id: "pictures01",
    path: "calls/Alarm call with acknowledgement",
    name: "flow-alarm-call",
    height: 215,
  },
  {
    id: "pictures02",
    path: "calls/Door station to the family",
    name: "flow-door-station",
    height: 400,
  },
  { id: "pictures03", path: "sound/Voicemail", name: "flow-voicemail", height: 190 },
];

async function main(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const nodeRed = await NodeRed.start({
    flows: [
      ...flows.flatMap(({ id, path }) => tab(id, path)),
      {
        id: "pictures10",
        type: "sip-account",
        name: "",
        stack: example("calls/Alarm call with acknowledgement").find(
          ({ type }) => type === "sip-stack",
        )?.id,
        uri: "sip:node-red@fritz.box",
        register: false,
      },
    ],
  });
  const browser = await chromium.launch({
    ...(executablePath && { executablePath }),
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  try {
    const page = await browser.newPage({
      viewport: { width: 1500, height: 900 },
      locale: language,
    });
    if (process.env.PICTURES_SCHEME === "dark")
      await page.addInitScript('localStorage.setItem("view-dark-theme", "dark")');
    await page.goto(nodeRed.url);
    await page.waitForFunction(
      'window.RED && RED.settings && RED.settings.version && getComputedStyle(document.querySelector("#red-ui-loading-progress")).display === "none"',
    );
    await page.evaluate(
      'RED.actions.invoke("core:toggle-sidebar"), RED.actions.invoke("core:toggle-palette"), RED.actions.invoke("core:toggle-show-grid")',
    );
    for (const flow of flows) await pictureOfFlow(page, flow.id, flow.name, flow.height);
    await page.evaluate('RED.actions.invoke("core:toggle-sidebar")');
    await pictureOfLadder(page);
    await pictureOfDialogs(page);
  } finally {
    await browser.close();
    await nodeRed.stop();
  }
}

async function save(
  page: Page,
  name: string,
  clip: { x: number; y: number; width: number; height: number },
): Promise<void> {
  const path = join(folder, `${name}.png`);
  await page.screenshot({ path, clip });
  const { size } = statSync(path);
  if (size > LARGEST) throw new Error(`${name}.png has ${size} bytes`);
  console.log(`${name}.png ${size}`);
}

/** The flow of a tab while its call is up: the nodes with their statuses, nothing around. */
async function pictureOfFlow(
  page: Page,
  tabId: string,
  name: string,
  height: number,
): Promise<void> {
  await page.evaluate(`RED.workspaces.show(${JSON.stringify(tabId)})`);
  await page.waitForFunction(
    `document.querySelectorAll("#red-ui-workspace-chart .red-ui-flow-node").length > 3`,
  );
  await page.evaluate(
    `$.post("inject/" + RED.nodes.filterNodes({ type: "inject", z: ${JSON.stringify(tabId)} })[0].id)`,
  );
  await page
    .locator(".red-ui-flow-node-status-label", { hasText: /\d s|\d\d:\d\d/ })
    .first()
    .waitFor();
  await page.waitForTimeout(1500);
  const box = await page.evaluate<{ x: number; y: number; width: number; height: number }>(`(() => {
    const boxes = [...document.querySelectorAll("#red-ui-workspace-chart .red-ui-flow-node-group, #red-ui-workspace-chart .red-ui-flow-node")].map((node) => node.getBoundingClientRect());
    const left = Math.min(...boxes.map((box) => box.left)), top = Math.min(...boxes.map((box) => box.top));
    const right = Math.max(...boxes.map((box) => box.right)), bottom = Math.max(...boxes.map((box) => box.bottom));
    const chart = document.querySelector("#red-ui-workspace-chart").getBoundingClientRect();
    return { x: Math.max(left - 25, chart.left), y: Math.max(top - 12, chart.top), width: right - left + 50, height: bottom - top + 40 };
  })()`);
  const width = Math.min(box.width, 1500 - box.x);
  await save(page, name, { ...box, width, height: Math.min(box.height, height) });
}

/** The tray at the right, as wide as it is and as high as its form. */
async function pictureOfTray(page: Page, name: string): Promise<void> {
  await page.waitForTimeout(600);
  const box = await page.locator(".red-ui-tray").last().boundingBox();
  if (box) await save(page, name, { ...box, height: Math.min(box.height, 640) });
}

/** The tab of the sidebar with the ladder of a call that is over. */
async function pictureOfLadder(page: Page): Promise<void> {
  await page.evaluate('RED.sidebar.show("sip-sidebar")');
  await page.locator("#sip-tab-history").click();
  await page.locator("#sip-panel-history .sip-main").last().click({ timeout: 60_000 });
  await page.locator(".sip-drawing svg").first().waitFor();
  await page.waitForTimeout(600);
  const box = await page.locator(".sip-sidebar").first().boundingBox();
  if (box) await save(page, "sidebar-ladder", { ...box, height: Math.min(box.height, 640) });
}

async function pictureOfDialogs(page: Page): Promise<void> {
  await page.evaluate(
    `RED.editor.edit(RED.nodes.filterNodes({ type: "sip-invite", z: "pictures01" })[0])`,
  );
  await pictureOfTray(page, "dialog-invite");
  await page.locator("#node-dialog-cancel").click();
  for (const type of ["sip-stack", "sip-account"]) {
    await page.evaluate(`(() => {
      let config;
      RED.nodes.eachConfig((node) => { if (node.type === "${type}") config ??= node; });
      RED.editor.editConfig("", "${type}", config.id);
    })()`);
    await pictureOfTray(page, `dialog-${type.replace("sip-", "")}`);
    await page.locator("#node-config-dialog-cancel").click();
    await page.waitForTimeout(600);
  }
  await page.evaluate('RED.sidebar.help.show("sip-invite")');
  const drawing = page.locator('svg[viewBox^="0 0 340"]');
  await drawing.scrollIntoViewIfNeeded();
  await page.waitForTimeout(600);
  const box = await drawing.boundingBox();
  if (box)
    await save(page, "help-outputs", {
      x: box.x - 10,
      y: box.y - 10,
      width: box.width + 20,
      height: box.height + 20,
    });
}

void main();
