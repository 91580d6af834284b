/**
 * The sidebar in headless Chromium, with calls that really run: registrations, calls, ladder, message, digits, pcap, hang up, history,
 * issues and the built-in caller; light and dark, narrow, without a mouse, with a caller whose name is markup.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed, PASSWORD } from "../support/node-red.js";
import { needs } from "../support/peers/process.js";
import { freePort } from "../support/ports.js";
import { callSummary, incomingStory, outgoingStory, START } from "../support/sidebar-data.js";
import { wavOfTone } from "../support/rtp-phone.js";

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) =>
  existsSync(path),
);
/** Set to a folder to look at what the tests saw. */
const pictures = process.env.SCREENSHOTS;
const HOSTILE = `<img src=x onerror="window.hacked=1">{name}$t(title)__name__`;

interface AxeResult {
  violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
}

/** Two stacks that call each other, one that finds its port taken, and nodes that answer, refuse, pass on or do nothing. */
async function storyFlows() {
  const flow = new FlowBuilder();
  const port = await freePort();
  const stack = (name: string, own: number, trace = true) => {
    const transports = [{ protocol: "udp", address: "127.0.0.1", port: own }];
    return flow.config("sip-stack", { name, transports, trace, media: "rtp" });
  };
  const house = stack("house", await freePort());
  const door = stack("door", port);
  stack("too late", port, false);
  const account = flow.config("sip-account", {
    name: "caller",
    stack: house,
    uri: "sip:alice@example.com",
    displayName: HOSTILE,
    register: false,
  });
  const own = { session: "sip.session", sessionType: "msg" };
  const accept = flow.node("sip-accept", own);
  const reject = flow.node("sip-reject", { ...own, statusCode: 486 });
  const incoming = (name: string, wires: string[], at = door) =>
    flow.node(
      "sip-incoming",
      { name, stack: at, match: name, ring: true, answerTimeout: 180 },
      [wires, []],
      `the-${name}`,
    );
  incoming("bell", [accept]);
  incoming("busy", [reject]);
  incoming("alone", []);
  const dial = flow.node("sip-play", { ...own, source: "dial", sourceType: "tone" }, [[], []]);
  incoming("sound", [flow.node("sip-accept", own, [[dial], []])]);
  const invite = { stack: house, timeout: 30, linked: true };
  const call = flow.node(
    "sip-invite",
    { name: "call the bell", ...invite, account, to: "payload", toType: "msg" },
    [[], [], [flow.capture("failed")], []],
  );
  flow.entry("call", [call]);
  // Whoever calls the gate is joined with the bell.
  const peer = { peer: "sip.peer", peerType: "msg" };
  const join = flow.node("sip-bridge", { ...own, ...peer, mode: "media", hangup: true }, [[], []]);
  const answer = flow.node("sip-accept", { session: "sip.peer", sessionType: "msg" }, [[join], []]);
  const through = flow.node(
    "sip-invite",
    { name: "pass on", ...invite, to: `sip:bell@127.0.0.1:${port}`, toType: "str" },
    [[answer], [], [], []],
  );
  incoming("gate", [through], house);
  return { flows: flow.build(), address: (user: string) => `sip:${user}@127.0.0.1:${port}` };
}

describe("the sidebar", function () {
  this.timeout(60_000);
  let nodeRed: NodeRed;
  let browser: Browser;
  let page: Page;
  /** The flow calls a user of the other stack. */
  let ring: (user: string) => Promise<void>;
  const problems: string[] = [];

  before(async function () {
    needs(this, "chromium");
    const story = await storyFlows();
    nodeRed = await NodeRed.start({ flows: story.flows });
    browser = await chromium.launch({
      executablePath,
      headless: true,
      args: "--no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required".split(
        " ",
      ),
    });
    page = await open({});
    ring = (user) => nodeRed.inject("call", { payload: story.address(user) });
  });

  after(async () => {
    await browser?.close();
    await nodeRed?.stop();
  });

  /** An editor with the tab in front. */
  async function open(options: {
    dark?: boolean;
    width?: number;
    language?: string;
    at?: NodeRed;
    user?: "admin" | "reader";
  }): Promise<Page> {
    const { dark = false, width = 1300, language = "en-US", at = nodeRed, user } = options;
    const context = await browser.newContext({
      viewport: { width, height: 900 },
      locale: language,
      acceptDownloads: true,
    });
    const made = await context.newPage();
    made.setDefaultTimeout(10_000);
    made.on("pageerror", (error) => problems.push(`${error.message}\n${error.stack ?? ""}`));
    made.on("console", (message) => {
      if (message.type() === "error" && !/favicon|net::ERR|40[14]/.test(message.text()))
        problems.push(message.text());
    });
    if (dark) await made.addInitScript(`localStorage.setItem("view-dark-theme", "dark")`);
    await made.goto(at.adminUrl);
    if (user !== undefined) {
      await made.fill("#node-dialog-login-username", user);
      await made.fill("#node-dialog-login-password", PASSWORD);
      await made.click("#node-dialog-login-submit");
    }
    await made.waitForFunction(
      'window.RED && RED.settings && RED.settings.version && getComputedStyle(document.querySelector("#red-ui-loading-progress")).display === "none" && RED.nodes.node("the-bell")',
    );
    await made.evaluate('RED.actions.invoke("sip:show-calls")');
    await made.waitForSelector(".sip-sidebar .sip-line");
    return made;
  }

  const picture = async (name: string, of = page) => {
    if (!pictures) return;
    mkdirSync(pictures, { recursive: true });
    await of.screenshot({ path: join(pictures, `sidebar-${name}.png`) });
  };
  const calls = () => page.locator('ul[aria-label="Calls now"] > li');
  const tab = (name: string, of = page) => of.click(`#sip-tab-${name}`);

  async function accessible(of = page): Promise<void> {
    if (!(await of.evaluate<boolean>('"axe" in window')))
      await of.addScriptTag({
        content: readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"),
      });
    const { violations } = await of.evaluate<AxeResult>(
      'axe.run(document.querySelector(".sip-sidebar"), { resultTypes: ["violations"] })',
    );
    const bad = violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(
        ({ id, nodes }) => `${id}: ${nodes.map((n) => `${n.html} ${n.failureSummary}`).join("\n")}`,
      );
    assert.deepEqual(bad, []);
  }

  it("lists stacks with their ports, and what is wrong with one", async () => {
    const lines = page.locator('ul[aria-label="Stacks and accounts"]');
    await lines
      .getByText(/UDP 127\.0\.0\.1:\d+/)
      .first()
      .waitFor();
    await lines.getByText(/already in use/).waitFor();
    await lines.getByText("sip:alice@example.com").waitFor();
    await page.getByText("No call at the moment.").waitFor();
    await accessible();
  });

  it("shows a call of both stacks while it runs, and reveals the node that holds it", async () => {
    await ring("bell");
    await calls().nth(1).waitFor();
    await calls()
      .getByText(/talking/)
      .nth(1)
      .waitFor();
    await picture("calls");
    await accessible();
    await calls()
      .filter({ hasText: "bell" })
      .filter({ hasNotText: "img" })
      .locator(".sip-main")
      .click();
    await page.locator(".sip-arrow").first().waitFor();
    await page.waitForFunction(
      'document.querySelector(".red-ui-flow-node-highlighted, .red-ui-flow-node.red-ui-flow-node-highlighted, [class*=highlighted]") !== null',
    );
  });

  it("draws its ladder, explains a message, and puts offer and answer side by side", async () => {
    const labels = await page.locator(".sip-label").allTextContents();
    assert.match(labels.join(" "), /INVITE.*200 OK.*ACK/);
    await accessible();
    // With the keyboard alone.
    await page.locator(".sip-arrow").first().focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Home");
    await page.keyboard.press("Enter");
    const message = page.locator(".sip-message");
    await message.getByText("Name of the call; the same in all its messages.").waitFor();
    assert.equal(await message.locator(".sip-side").count(), 2);
    assert.match(await message.locator(".sip-side").nth(1).innerText(), /codecs: opus/);
    await picture("message");
    await accessible();
    await page.keyboard.press("Escape");
    await message.waitFor({ state: "detached" });
    assert.equal(await page.evaluate('document.activeElement.getAttribute("role")'), "button");
  });

  it("filters, copies without secrets, and saves a pcap", async () => {
    await page.locator(".sip-page").getByLabel("only requests").check();
    const requests = (await page.locator(".sip-label").allTextContents()).join(" ");
    assert.match(requests, /INVITE.*ACK/);
    assert.doesNotMatch(requests, /\d\d\d/);
    await page.locator(".sip-page").getByLabel("only requests").uncheck();
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.locator(".sip-page").getByLabel("Copy for a bug report").click();
    await page.getByText("Copied.").first().waitFor();
    const shared = await page.evaluate<string>("navigator.clipboard.readText()");
    assert.match(shared, /INVITE sip:user\d+@/);
    assert.doesNotMatch(shared, /alice|onerror|bell@/);
    const download = page.waitForEvent("download");
    await page.locator(".sip-page").getByLabel("Save as pcap").click();
    const file = readFileSync(await (await download).path());
    assert.match((await download).suggestedFilename(), /^call-.*\.pcap$/);
    assert.ok(
      ["a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1"].includes(
        file.subarray(0, 4).toString("hex"),
      ),
    );
  });

  it("sends digits, hangs up, and tells in the history how it ended", async () => {
    await page.getByLabel("Digits to send").fill("1 2 #");
    const sent = page.waitForResponse((response) => response.url().endsWith("/digits"));
    await page.keyboard.press("Enter");
    assert.equal((await sent).status(), 204);
    await page.locator(".sip-page .sip-end").click();
    await page.locator(".sip-label", { hasText: "BYE" }).waitFor();
    await page
      .locator(".sip-page")
      .getByText(/this flow hung up/)
      .waitFor();
    await picture("ended");
    await page.getByLabel("Back to the list").click();
    await page.getByText("No call at the moment.").waitFor();
    await ring("busy");
    await nodeRed.waitFor("failed");
    await tab("history");
    await page
      .getByText(/^busy \(486\)/)
      .first()
      .waitFor();
    await page
      .getByText(/the caller hung up/)
      .first()
      .waitFor();
    await picture("history");
    await accessible();
    await page.getByPlaceholder("Name, address or cause").fill("bell");
    await page.waitForFunction(
      `document.querySelectorAll('ul[aria-label="Calls that are over"] > li').length === 1`,
    );
  });

  it("shows a name that is markup as what it is: text", async () => {
    await page.getByPlaceholder("Name, address or cause").fill("onerror");
    const row = page.locator('ul[aria-label="Calls that are over"] > li').first();
    await row.waitFor();
    assert.ok((await row.innerText()).includes(HOSTILE));
    await row.locator(".sip-main").click();
    await page.locator(".sip-arrow").first().click();
    assert.match(await page.locator(".sip-message").innerText(), /<img src=x/);
    assert.equal(await page.evaluate("window.hacked"), undefined);
    assert.equal(await page.locator(".sip-sidebar img").count(), 0);
    await page.getByLabel("Back to the list").click();
  });

  it("lists issues that lead to their node and can be hidden", async () => {
    await tab("issues");
    const issues = page.locator('ul[aria-label="Issues"] > li');
    await issues.getByText(/alone: no wire leaves it/).waitFor();
    await issues.getByText(/already in use/).waitFor();
    await issues.getByText(/both want UDP port/).waitFor();
    await issues.getByText(/“sip:alice@example\.com” is an address for examples/).waitFor();
    await picture("issues");
    await accessible();
    const count = await issues.count();
    const lonely = issues.filter({ hasText: "alone: no wire" });
    await lonely.getByLabel("Hide this issue").click();
    assert.equal(await issues.count(), count - 1);
    await page.getByText("Show the hidden ones").click();
    assert.equal(await issues.count(), count);
    await issues.filter({ hasText: "example.com" }).locator(".sip-main").click();
    await page.locator("#node-config-dialog-cancel").click();
    await page.waitForFunction('!document.querySelector("#node-config-dialog-cancel")');
  });

  it("rings a flow, shows its ladder, and plays what the caller heard", async () => {
    await tab("ring");
    await page.getByLabel("Node", { exact: true }).selectOption({ label: "bell" });
    assert.equal(await page.getByLabel("Called user").inputValue(), "bell");
    await page.getByLabel("Caller's name").fill("Tester");
    await page.getByLabel("Seconds").fill("2");
    await accessible();
    await page.locator(".sip-start").click();
    await page.getByText("talking with bell").waitFor();
    await page.locator("#sip-panel-ring .sip-label", { hasText: "200 OK" }).first().waitFor();
    await page.locator(".sip-state", { hasText: /^over/ }).waitFor();
    await page.locator("#sip-panel-ring audio, #sip-panel-ring .sip-heard p").first().waitFor();
    await picture("ring");
    await accessible();
    await page.locator("#sip-tab-ring").press("ArrowRight");
    assert.equal(await page.locator("#sip-tab-calls").getAttribute("aria-selected"), "true");
  });

  it("says an uploaded sound, draws what the flow played, and can play that", async () => {
    const panel = page.locator("#sip-panel-ring");
    await tab("ring");
    await page.getByLabel("Node", { exact: true }).selectOption({ label: "sound" });
    await page.getByLabel("Says").selectOption({ label: "a WAV file" });
    const buffer = wavOfTone(440, 500, { amplitude: 8000 });
    await panel
      .locator('input[type="file"]')
      .setInputFiles({ name: "hello.wav", mimeType: "audio/wav", buffer });
    await page.getByLabel("Seconds").fill("2");
    const posted = page.waitForRequest(
      (request) => request.method() === "POST" && request.url().endsWith("/sip/rings"),
    );
    await page.locator(".sip-start").click();
    const { wav } = (await posted).postDataJSON() as { wav?: string };
    assert.deepEqual(Buffer.from(wav ?? "", "base64"), buffer);
    await page.getByText("talking with sound").waitFor();
    await page.locator(".sip-state", { hasText: /^over/ }).waitFor();
    await panel.locator("audio").waitFor();
    const heard = await page.evaluate<{ height: number; seconds: number }>(`(async () => {
      const panel = document.querySelector("#sip-panel-ring");
      const audio = panel.querySelector("audio");
      audio.preload = "metadata";
      audio.load();
      if (audio.readyState < 1) await new Promise((resolve) => (audio.onloadedmetadata = resolve));
      return { height: panel.querySelector(".sip-wave path").getBBox().height, seconds: audio.duration };
    })()`);
    assert.ok(heard.height > 5, JSON.stringify(heard));
    assert.ok(heard.seconds > 1 && heard.seconds < 4, JSON.stringify(heard));
    await picture("ring-heard");
  });

  it("shows both legs of a bridge side by side", async () => {
    await page.evaluate(`new Promise((success, error) => $.ajax({ url: "sip/rings", type: "POST", contentType: "application/json",
      data: JSON.stringify({ node: "the-gate", displayName: "Visitor", say: "silence" }), success, error }))`);
    await tab("calls");
    await calls().nth(2).waitFor();
    await calls().filter({ hasText: "Visitor" }).locator(".sip-main").first().click();
    await page.waitForFunction('document.querySelectorAll(".sip-page .sip-head").length === 3');
    await page.locator(".sip-page .sip-label", { hasText: "ACK" }).nth(1).waitFor();
    const heads = await page.locator(".sip-page .sip-head").allTextContents();
    assert.deepEqual(heads, ["Visitor", "Node-RED", "bell"]);
    await picture("bridge");
    await page.locator(".sip-page .sip-end").click();
    await page.getByLabel("Back to the list").click();
    await page.getByText("No call at the moment.").waitFor();
  });

  it("hangs up all calls by its action", async () => {
    await ring("bell");
    await calls()
      .getByText(/talking/)
      .nth(1)
      .waitFor();
    const question = page.locator(".red-ui-notification", { hasText: "Hang up all calls (2)?" });
    await page.evaluate('RED.actions.invoke("sip:hangup-all")');
    await question.getByText("Cancel").click();
    await question.waitFor({ state: "detached" });
    assert.equal(await calls().count(), 2);
    await page.evaluate('RED.actions.invoke("sip:hangup-all")');
    await question.locator("button.primary").click();
    await page.getByText("No call at the moment.").waitFor();
    assert.deepEqual(problems, []);
  });

  it("takes 200 calls and two legs of 200 messages without lag, at 320 pixels, in the dark", async () => {
    const dark = await open({ dark: true });
    await accessible(dark);
    const now = new Date().toISOString();
    const list = Array.from({ length: 200 }, (_, index) =>
      callSummary(`s${index}`, {
        startTime: now,
        answerTime: now,
        peer: index === 0 ? "s1" : undefined,
      }),
    );
    const story = (messages: ReturnType<typeof incomingStory>) =>
      Array.from({ length: 200 }, (_, index) => ({
        ...(messages[index % 6] ?? messages[0]),
        time: new Date(START + 10 * index).toISOString(),
        index,
      }));
    await dark.route("**/sip/calls*", (route) =>
      route.fulfill({ json: { revision: 1, calls: list, ended: [] } }),
    );
    await dark.route("**/sip/sessions/s0*", (route) =>
      route.fulfill({ json: { ...list[0], messages: story(incomingStory()) } }),
    );
    await dark.route("**/sip/sessions/s1*", (route) =>
      route.fulfill({
        json: { ...list[1], direction: "outgoing", messages: story(outgoingStory()) },
      }),
    );
    // As narrow as the tab may be.
    await dark.evaluate(
      `(() => { const frame = document.querySelector(".sip-sidebar"); frame.style.width = "320px"; })()`,
    );
    // The list is asked for again.
    await tab("history", dark);
    await tab("calls", dark);
    const rows = dark.locator('ul[aria-label="Calls now"] > li');
    await rows.nth(199).waitFor();
    const wide = await dark.evaluate<number>(
      '(() => { const list = document.querySelector("#sip-panel-calls"); return list.scrollWidth - list.clientWidth; })()',
    );
    assert.ok(wide <= 0, `${wide} pixels of the list stick out`);
    await picture("many-dark", dark);
    const slowest = await dark.evaluate<number>(`new Promise((resolve) => {
      let slowest = 0, last = performance.now(), left = 90;
      const frame = () => { const now = performance.now(); slowest = Math.max(slowest, now - last); last = now;
        if (--left > 0) requestAnimationFrame(frame); else resolve(slowest); };
      requestAnimationFrame(frame);
    })`);
    console.log(`      200 calls: the slowest of 90 frames took ${Math.round(slowest)} ms`);
    await dark.route("**/sip/sessions/s2*", (route) =>
      route.fulfill({ json: { ...list[2], messages: incomingStory() } }),
    );
    await rows.nth(2).locator(".sip-main").click();
    await dark.locator(".sip-page .sip-arrow").first().click();
    await dark.locator(".sip-page .sip-side").first().waitFor();
    await accessible(dark);
    await picture("ladder-dark", dark);
    await dark.locator(".sip-message").press("Escape");
    await dark.locator(".sip-page").press("Escape");
    const begun = Date.now();
    await rows.first().locator(".sip-main").click();
    await dark.waitForFunction('document.querySelectorAll(".sip-arrow").length === 400');
    console.log(`      400 arrows: there after ${Date.now() - begun} ms`);
    const overflow = await dark.evaluate<number>(
      '(() => { const page = document.querySelector(".sip-page"); return page.scrollWidth - page.clientWidth; })()',
    );
    assert.ok(overflow <= 0, `${overflow} pixels stick out`);
    await dark.locator('[aria-label="Show large"]:visible').click();
    await dark.locator("dialog .sip-arrow").nth(2).click();
    await picture("large-dark", dark);
    await dark.keyboard.press("Escape");
    await dark.locator('[aria-label="Show in the sidebar"]').click();
    await dark.context().close();
    assert.deepEqual(problems, []);
  });

  it("works below /admin, behind a login and in German; who may only read can change nothing", async () => {
    const story = await storyFlows();
    const guarded = await NodeRed.start({
      flows: story.flows,
      withLogin: true,
      settings: { httpAdminRoot: "/admin" },
    });
    try {
      const reader = await open({ at: guarded, user: "reader" });
      await guarded.inject("call", { payload: story.address("bell") });
      const rows = reader.locator('ul[aria-label="Calls now"] > li');
      await rows
        .getByText(/talking/)
        .nth(1)
        .waitFor();
      await rows.first().locator(".sip-end").click();
      await reader.getByText("You may not do this here.").first().waitFor();
      assert.equal(await rows.count(), 2);
      await rows.first().locator(".sip-main").click();
      await reader.locator(".sip-page .sip-arrow").first().waitFor();
      const download = reader.waitForEvent("download");
      await reader.locator(".sip-page").getByLabel("Save as pcap").click();
      assert.ok(readFileSync(await (await download).path()).length > 500);
      await reader.context().close();
      const admin = await open({ at: guarded, user: "admin", language: "de" });
      const own = admin.locator('ul[aria-label="Anrufe jetzt"] > li');
      await own.first().locator(".sip-end").click();
      await admin.locator("#sip-tab-history", { hasText: "Verlauf" }).click();
      await admin.getByText("dieser Flow hat aufgelegt").first().waitFor();
      await picture("german", admin);
      await admin.context().close();
    } finally {
      await guarded.stop();
    }
    assert.deepEqual(problems, []);
  });
});
