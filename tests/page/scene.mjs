// One visit to the page, as a person makes it, and what must hold of every visit: an empty console, an unbroken policy, and no
// request to anybody else.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export class Scene {
  constructor(page, setting) {
    Object.assign(this, { page, setting, said: [], requests: [], transferred: 0, allowed: [] });
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && this.said.push(message.text()));
    page.on("pageerror", (error) => this.said.push(String(error.stack)));
    page.on("request", (request) => this.requests.push(request));
  }

  /** The page with its script running, once it has asked the service what it has. */
  async open(url = this.setting.url, fragment = "") {
    await this.page.addInitScript(() => {
      window.violations = [];
      document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    });
    await this.page.goto(`${url}/${fragment}`);
    await this.page.waitForSelector(`html[data-ready="${this.setting.editor}"]`);
    await this.page.waitForFunction(() => !document.getElementById("isolation-table").hidden || document.querySelector("dialog[open]"));
  }

  text = (id) => this.page.locator(`#${id}`).innerText();
  isVisible = (id) => this.page.locator(`#${id}`).isVisible();
  editor = () => this.page.locator(this.setting.editor === "plain" ? ".plain-editor" : ".cm-content");

  async unfold(id) {
    const card = this.page.locator(`#${id}`);
    if (!(await card.getAttribute("open").then((open) => open !== null))) await card.locator("summary").click();
  }

  /** Pastes it over what is there. */
  async write(script) {
    await this.editor().focus();
    await this.page.evaluate((text) => navigator.clipboard.writeText(text), script);
    await this.page.keyboard.press("Control+a");
    await this.page.keyboard.press("Control+v");
  }

  async example(name) {
    await this.page.selectOption("#example", { label: name });
  }

  async press(id) {
    await this.page.click(`#${id}`);
  }

  async finished() {
    await this.page.waitForFunction(() => document.getElementById("cancel").disabled && document.getElementById("outcome").textContent !== "Running");
  }

  /** Writes the script where there is one, runs what is there, and gives the outcome that is shown. */
  async run(script) {
    if (script !== undefined) await this.write(script);
    await this.press("run");
    await this.finished();
    return this.text("outcome");
  }

  /** A file that the page has the browser save by this click, as text. */
  async saved(locator) {
    const [download] = await Promise.all([this.page.waitForEvent("download"), locator.click()]);
    return { name: download.suggestedFilename(), text: readFileSync(await download.path(), "utf8") };
  }

  async picture(name) {
    await this.page.screenshot({ path: `${this.setting.screenshots}/${this.setting.variant}-${name}.png` });
  }

  /** No rule of axe is broken, and nothing is wider than the screen. */
  async assertAccessible(state) {
    await this.page.waitForFunction(() => document.getAnimations().every((one) => one.playState !== "running"));
    // As a debugger does, past the policy of the page.
    const client = await this.page.context().newCDPSession(this.page);
    await client.send("Runtime.evaluate", { expression: AXE });
    const { violations } = await this.page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const found = violations.map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`);
    assert.deepEqual(found, [], state);
    const [wide, screen] = await this.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= screen, `${state}: ${wide} px of content on a screen of ${screen}`);
  }

  /** `allowed`: what a check has provoked the browser to say by itself, as of an answer 401. */
  async assertClean() {
    const left = this.said.filter((text) => !this.allowed.some((pattern) => pattern.test(text)));
    assert.deepEqual(left, []);
    assert.deepEqual(await this.page.evaluate(() => window.violations), []);
    const origins = [this.setting.url, this.setting.keyed, this.setting.busy, "data:", "blob:"];
    const foreign = this.requests.map((request) => request.url()).filter((url) => !origins.some((origin) => url.startsWith(origin)));
    assert.deepEqual(foreign, []);
  }
}
