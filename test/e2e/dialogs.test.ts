/**
 * The dialogs in headless Chromium, under a login and another root of the editor: presets, test buttons, what would be
 * bound, two stacks on one port, whom to call, help of each field, and what axe-core finds, in light and dark.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed, projectRoot } from "../support/node-red.js";
import { Kamailio } from "../support/peers/kamailio.js";
import { needs } from "../support/peers/process.js";
import { freePort } from "../support/ports.js";

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) =>
  existsSync(path),
);
/** Set to a folder to look at what the tests saw. */
const pictures = process.env.SCREENSHOTS;
const axe = readFileSync(createRequire(__filename).resolve("axe-core/axe.min.js"), "utf8");
const types = Object.keys(
  (
    JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as {
      "node-red": { nodes: Record<string, string> };
    }
  )["node-red"].nodes,
);
const HOSTILE = "<img src=x onerror=window.pwned=1>";

describe("the dialogs", function () {
  this.timeout(60_000);
  let kamailio: Kamailio;
  let nodeRed: NodeRed;
  let browser: Browser;
  let page: Page;
  let stack: string;
  let account: string;
  let port: number;
  const problems: string[] = [];

  before(async function () {
    needs(this, "chromium", "kamailio", "openssl");
    kamailio = new Kamailio({ address: "127.0.64.1" });
    await kamailio.start();
    port = await freePort();
    const flow = new FlowBuilder();
    const udp = (at: number) => [{ protocol: "udp", address: "127.0.0.1", port: at }];
    stack = flow.config("sip-stack", { name: "line", version: 1, transports: udp(port) });
    flow.config("sip-stack", { name: "door", version: 1, transports: udp(await freePort()) });
    account = flow.config("sip-account", {
      stack,
      version: 1,
      uri: "sip:nodered@sip.test",
      registrar: "sip:127.0.64.1:5060",
      register: true,
      displayName: HOSTILE,
    });
    flow.node("sip-invite", { account, to: "", toType: "str", timeout: 60 }, [[], [], [], []]);
    nodeRed = await NodeRed.start({
      flows: flow.build(),
      credentials: { [account]: { password: "noderedpw" } },
      withLogin: true,
      settings: { httpAdminRoot: "/admin" },
    });
    browser = await chromium.launch({
      executablePath,
      headless: true,
      args: "--no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split(
        " ",
      ),
    });
    page = await open("admin");
  });

  after(async () => {
    await browser?.close();
    await nodeRed?.stop();
    await kamailio?.dispose();
  });

  afterEach(async () => {
    for (let i = 0; i < 3 && (await page.locator(".red-ui-tray .sip-form").count()) > 0; i++)
      await close().catch(() => undefined);
  });

  async function open(user: "admin" | "reader"): Promise<Page> {
    const tokens = JSON.stringify({
      access_token: await nodeRed.token(user),
      expires_in: 3600,
      token_type: "Bearer",
    });
    const context = await browser.newContext({
      viewport: { width: 1400, height: 900 },
      locale: "en-US",
    });
    await context.addInitScript(
      `for (const name of ["auth-tokens", "auth-tokens-admin", "auth-tokens-admin-"]) localStorage.setItem(name, ${JSON.stringify(tokens)})`,
    );
    const opened = await context.newPage();
    opened.setDefaultTimeout(10_000);
    opened.on("pageerror", (error) => problems.push(`${error.message}\n${error.stack ?? ""}`));
    await opened.goto(nodeRed.adminUrl);
    await opened.waitForFunction(
      `window.RED && RED.settings && RED.settings.version && getComputedStyle(document.querySelector("#red-ui-loading-progress")).display === "none" && RED.nodes.node(${JSON.stringify(stack)})`,
    );
    return opened;
  }

  const picture = async (name: string, from = page) => {
    if (!pictures) return;
    mkdirSync(pictures, { recursive: true });
    await from.waitForTimeout(400);
    await from.screenshot({ path: join(pictures, `${name}.png`) });
  };

  async function config(type: string, id: string, from = page): Promise<void> {
    await from.evaluate(
      `RED.editor.editConfig("", ${JSON.stringify(type)}, ${JSON.stringify(id)})`,
    );
    await from.waitForSelector("#node-config-dialog-cancel");
    await from.waitForSelector(".sip-test button");
  }

  async function close(from = page): Promise<void> {
    await from.locator("#node-config-dialog-cancel, #node-dialog-cancel").last().click();
    await from.waitForFunction('!document.querySelector(".red-ui-tray .sip-form")');
  }

  /** Presses the button; @returns the verdict and the steps. */
  async function test(from = page): Promise<{ verdict: string; steps: string[] }> {
    await from.click(".sip-test button");
    await from.waitForFunction('document.querySelector(".sip-verdict").textContent !== ""');
    const verdict = (await from.textContent(".sip-verdict")) ?? "";
    return { verdict, steps: await from.locator(".sip-steps li").allTextContents() };
  }

  it("test an account: good with the saved password, wrong password, closed port", async () => {
    await config("sip-account", account);
    const good = await test();
    assert.equal(good.verdict, "It works.");
    assert.match(good.steps.join("\n"), /DNS.*\n.*Network.*\n.*REGISTER200 OK/);
    assert.match(good.steps[0] ?? "", /\d+ ms$/);
    await picture("account-good");
    await page.fill("#node-config-input-password", "not-the-password");
    const wrong = await test();
    assert.match(wrong.verdict, /^401: the password or the user name “nodered” is wrong/);
    await picture("account-wrong");
    await page.evaluate(
      `$("#node-config-input-registrar").val("sip:127.0.64.1:5999").trigger("change")`,
    );
    const closed = await test();
    assert.match(closed.verdict, /nothing listens at that UDP port/);
    assert.equal(await page.locator(".sip-steps .fa-times").count(), 1);
    await close();
  });

  it("fill in what a provider needs, keep what was typed, and say both", async () => {
    await config("sip-account", "_ADD_");
    await page.selectOption("#node-config-input-stack", stack);
    const values = () =>
      page.evaluate<Record<string, unknown>>(
        `({ uri: $("#node-config-input-uri").val(), transport: $("#node-config-input-transport").val(), register: $("#node-config-input-register").prop("checked") })`,
      );
    const note = () => page.textContent("#sip-preset-note");
    await page.selectOption("#sip-preset", "telekom");
    assert.deepEqual(await values(), {
      uri: "sip:+49NUMBER@tel.t-online.de",
      transport: "tcp",
      register: true,
    });
    assert.match((await note()) ?? "", /Filled in: Transport, Address\..*no TCP transport yet/);
    await picture("account-telekom");
    await page.selectOption("#sip-preset", "twilio");
    assert.deepEqual(await values(), {
      uri: "sip:NUMBER@NAME.pstn.twilio.com",
      transport: "auto",
      register: false,
    });
    await page.fill("#node-config-input-uri", "sip:620@fritz.box");
    await page.selectOption("#sip-preset", "fritzbox");
    assert.deepEqual(await values(), {
      uri: "sip:620@fritz.box",
      transport: "auto",
      register: true,
    });
    assert.match((await note()) ?? "", /LAN\/WLAN.*Left as you have it: Address/);
    for (const preset of await page
      .locator("#sip-preset option")
      .evaluateAll((options) => options.map((option) => (option as HTMLOptionElement).value))) {
      await page.selectOption("#sip-preset", preset);
      assert.equal((await note()) === "", preset === "none", preset);
    }
    await close();
  });

  it("say what a stack would bind, whose a port is already, and mark the tab that holds a wrong value", async () => {
    await config("sip-stack", "_ADD_");
    const words = () => page.textContent("#sip-bound");
    await page.waitForFunction('/Contact will say/.test($("#sip-bound").text())');
    assert.match(
      (await words()) ?? "",
      /^UDP on every IPv4 address, port 5060; Contact will say [\d.]+:5060$/,
    );
    await page.fill(".sip-port", String(port));
    await page.waitForFunction('/belongs to “line” already/.test($("#sip-bound").text())');
    assert.equal(await page.locator(".sip-port.input-error").count(), 1);
    await page.waitForSelector(".sip-tabs .sip-tab-wrong");
    await picture("stack-taken");
    const answer = await test();
    assert.match(answer.verdict, /is taken by the stack “line”/);
    await page.fill(".sip-port", "5066");
    await page.fill(".sip-address", "192.0.2.99");
    await page.waitForFunction('/has no address 192.0.2.99/.test($("#sip-bound").text())');
    await page.fill(".sip-address", "${SIP_HOST}");
    await page.waitForFunction('/UDP on \\$\\{SIP_HOST\\}/.test($("#sip-bound").text())');
    await page.fill(".sip-address", "300.1.1.1");
    await page.waitForSelector(".sip-address.input-error");
    for (const tab of ["media", "security", "advanced"]) {
      await page.locator(`.sip-tabs a[href="#sip-tab-${tab}"]`).focus();
      await page.keyboard.press("Enter");
      await page.waitForSelector(`#sip-tab-${tab}`, { state: "visible" });
      await picture(`stack-${tab}`);
    }
    await close();
  });

  it("offer whom to call, a hostile name as mere text, and F1 opens the help at the field", async () => {
    await page.evaluate(`RED.editor.edit(RED.nodes.filterNodes({ type: "sip-invite" })[0])`);
    await page.waitForSelector("#node-dialog-ok");
    const field = page.locator(".sip-form .red-ui-typedInput-input").first();
    await field.click();
    await field.pressSequentially("no");
    await page.waitForFunction('document.body.innerText.includes("sip:nodered@sip.test")');
    assert.ok((await page.innerText("body")).includes(HOSTILE));
    assert.equal(await page.evaluate("window.pwned"), undefined);
    await picture("invite-targets");
    await page.keyboard.press("Escape");
    await page.focus("#node-input-timeout");
    await page.keyboard.press("F1");
    await page.waitForSelector(".sip-help-found");
    assert.match((await page.textContent(".sip-help-found")) ?? "", /timeout/);
    await close();
  });

  it("let a reader read and test nothing, and nobody without a login in", async () => {
    const posts = ["stacks/test", "accounts/test"].map((path) => `${nodeRed.adminUrl}/sip/${path}`);
    const gets = ["addresses", "targets"].map((path) => `${nodeRed.adminUrl}/sip/${path}`);
    const reader = { authorization: `Bearer ${await nodeRed.token("reader")}` };
    for (const url of posts) {
      const init = { method: "POST", body: '{"id":"x"}' };
      const type = { "content-type": "application/json" };
      assert.equal((await fetch(url, { ...init, headers: type })).status, 401, url);
      const asReader = await fetch(url, { ...init, headers: { ...type, ...reader } });
      assert.ok([401, 403].includes(asReader.status), `${url} ${asReader.status}`);
    }
    for (const url of gets) {
      assert.equal((await fetch(url)).status, 401, url);
      assert.equal((await fetch(url, { headers: reader })).status, 200, url);
    }
  });

  it("hold nothing that axe-core calls serious, light or dark", async function () {
    this.timeout(120_000);
    await page.evaluate(axe);
    // Sliding in and out is not what is looked at.
    await page.evaluate("$.fx.off = true");
    await page.addStyleTag({
      content: "* { transition: none !important; animation: none !important; }",
    });
    const found: string[] = [];
    const look = async (type: string): Promise<void> => {
      // All dialogs have the same colours.
      const isColourful = ["sip-stack", "sip-account", "sip-menu"].includes(type);
      // Opened sections are looked at, too.
      const violations = await page.evaluate<
        { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[]
      >(`(async () => {
        $(".sip-form details").prop("open", true);
        $(".sip-form .sip-tab").show();
        const run = (rules) => axe.run(".sip-form", { resultTypes: ["violations"], ...rules });
        const all = (await run({})).violations;
        if (${!isColourful}) return JSON.parse(JSON.stringify(all));
        const root = document.documentElement;
        const was = root.classList.contains("nr-theme-dark");
        root.classList.toggle("nr-theme-dark", !was);
        const dark = (await run({ runOnly: ["color-contrast"] })).violations;
        root.classList.toggle("nr-theme-dark", was);
        return JSON.parse(JSON.stringify(all.concat(dark)));
      })()`);
      for (const { id, impact, nodes } of violations)
        if (["serious", "critical"].includes(impact))
          found.push(
            ...nodes.map(
              (node) =>
                `${type}: ${id} ${node.html.slice(0, 150)} ${node.failureSummary.slice(0, 160)}`,
            ),
          );
    };
    for (const type of types) {
      const isConfig = type === "sip-stack" || type === "sip-account";
      if (isConfig) await config(type, type === "sip-stack" ? stack : account);
      else {
        await page.evaluate(`(() => {
          const type = ${JSON.stringify(type)};
          RED.nodes.import([{ id: "axe-" + type, type, z: RED.workspaces.active(), x: 100, y: 100, wires: [] }], { generateIds: false });
          RED.editor.edit(RED.nodes.node("axe-" + type));
        })()`);
        await page.waitForSelector("#node-dialog-ok");
      }
      await look(type);
      await close();
    }
    assert.deepEqual([...new Set(found)], []);
    assert.deepEqual(problems, []);
  });
});
