// Checks: the request for elsewhere, links, keys, a busy service, a lost one, the look, the keyboard.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";

const SCRIPT = `def main(order):
    """It's "quoted" \\\\ \`and\` \${more}"""
    print(main.__doc__)
    return [order, "é"]`;

export async function snippets(scene) {
  await scene.open();
  await scene.write(SCRIPT);
  await scene.unfold("input-card");
  await scene.page.fill("#input", '{"yes": true, "no": null, "text": "true \'n\' \\"null\\""}');
  await scene.page.setInputFiles("#picker", { name: "it's.txt", mimeType: "text/plain", buffer: Buffer.from("x") });
  await scene.press("snippet-button");
  const programs = { curl: ["bash", "-c"], Python: ["/usr/bin/python3", "-c"], JavaScript: ["node", "--input-type=module", "-e"] };
  for (const [name, [program, ...args]] of Object.entries(programs)) {
    await scene.page.getByRole("button", { name, exact: true }).click();
    const text = await scene.page.locator("#snippet-text").textContent();
    await scene.press("snippet-copy");
    assert.equal(await scene.page.evaluate(() => navigator.clipboard.readText()), text);
    const out = execFileSync(program, [...args, text], { encoding: "utf8" });
    assert.match(out, /It's|It\\'s/, name);
    assert.match(out, /é|u00e9/, name);
    assert.match(out, /(?:"no": null|no: null|'no': None)/, name);
    await scene.picture(`snippet-${name}`);
  }
  await scene.assertAccessible("with code for elsewhere");
  await scene.page.keyboard.press("Escape");
  assert.equal(await scene.page.locator("dialog[open]").count(), 0);
}

export async function sharing(scene) {
  await scene.open();
  await scene.write("def main(n):\n    return n + 1  # geteilt: ß\n");
  await scene.unfold("input-card");
  await scene.page.fill("#input", "41");
  await scene.press("share-button");
  await scene.page.waitForFunction(() => location.hash.startsWith("#run="));
  assert.match(await scene.text("toast"), /^The link is copied/);
  const link = await scene.page.evaluate(() => navigator.clipboard.readText());
  assert.equal(link, scene.page.url());
  await scene.page.goto("about:blank");
  await scene.open(scene.setting.url, new URL(link).hash);
  assert.match(await scene.text("printed-empty"), /^What the script prints comes here/); // nothing ran by itself
  assert.equal(await scene.run(), "Finished");
  assert.match(await scene.text("result"), /42/);
  for (const request of scene.requests) {
    assert.ok(!request.headers().referer && !request.url().replace(/#.*/, "").includes("run="), request.url());
  }
  await scene.page.evaluate(() => (location.hash = "#run=damaged"));
  await scene.page.waitForFunction(() => document.getElementById("toast").textContent === "The link is damaged: there is no script in it.");
}

export async function keys(scene) {
  scene.allowed.push(/status of 401/, /status of 429/);
  await scene.open(scene.setting.keyed);
  assert.match(await scene.text("key-reason"), /^This service runs scripts for those who have a key\.$/);
  assert.ok(await scene.page.locator("#key-field").evaluate((field) => field === document.activeElement));
  await scene.picture("key");
  await scene.assertAccessible("where a key is wanted");
  await scene.page.keyboard.type("pxk_wrong");
  await scene.page.keyboard.press("Enter");
  await scene.page.waitForFunction(() => document.getElementById("key-reason").textContent === "The service does not know this key.");
  await scene.page.keyboard.type(scene.setting.key);
  await scene.page.keyboard.press("Enter");
  await scene.page.waitForFunction(() => document.getElementById("facts").textContent.startsWith("Python"));
  assert.equal(await scene.run(), "Finished");
  await scene.press("snippet-button");
  const code = await scene.text("snippet-text");
  assert.ok(code.includes("Bearer $PYTHON_EXECUTOR_KEY") && !code.includes(scene.setting.key));
  await scene.page.keyboard.press("Escape");
  const kept = await scene.page.evaluate(() => [Object.values(sessionStorage), Object.values(localStorage), document.cookie, location.href]);
  assert.deepEqual(kept, [[scene.setting.key], [], "", `${scene.setting.keyed}/`]);
  assert.ok(scene.requests.every((request) => !request.url().includes("pxk_")));
  await scene.page.reload();
  await scene.page.waitForFunction(() => document.getElementById("facts").textContent.startsWith("Python"));
  assert.equal(await scene.run(), "Finished");
  await scene.press("key-button");
  await scene.press("key-forget");
  await scene.press("run");
  assert.match(await scene.text("key-reason"), /those who have a key/);
}

/** A key that may do little: the answers are 429, and say when. */
export async function rate(scene) {
  scene.allowed.push(/status of 401/, /status of 429/);
  await scene.open(scene.setting.keyed);
  await scene.page.keyboard.type(scene.setting.slow);
  await scene.page.keyboard.press("Enter");
  await scene.page.waitForFunction(() => !document.querySelector("dialog[open]"));
  for (let tries = 0; tries < 4 && (await scene.text("outcome")) !== "This key has used what it may"; tries++) await scene.run();
  assert.equal(await scene.text("outcome"), "This key has used what it may");
  assert.match(await scene.text("problem"), /Try again in \d+ seconds?\./);
}

/** One place, taken by another, and no queue. */
export async function busy(scene) {
  scene.allowed.push(/status of 503/);
  await scene.open(scene.setting.busy);
  const stop = new AbortController();
  const body = JSON.stringify({ script: "import time\ndef main(): time.sleep(4)", stream: true });
  const holding = await fetch(`${scene.setting.busy}/execute`, { method: "POST", body, signal: stop.signal });
  assert.equal(holding.status, 200);
  assert.equal(await scene.run(), "The service is busy");
  assert.match(await scene.text("problem"), /Try again in \d+ seconds?\./);
  stop.abort();
}

export async function lost(scene) {
  scene.allowed.push(/ERR_/, /status of 503/);
  await scene.open(scene.setting.busy);
  await scene.write("import time\ndef main():\n    print('on', flush=True)\n    time.sleep(4)\n");
  await scene.page.keyboard.press("Control+Enter");
  await scene.page.waitForFunction(() => document.getElementById("printed-text").textContent === "on\n");
  const [server] = execFileSync("pgrep", ["-P", String(scene.setting.pid), "-f", "python-executor-server"], { encoding: "utf8" }).split("\n");
  process.kill(Number(server), "SIGKILL");
  await scene.finished();
  assert.equal(await scene.text("outcome"), "No connection");
  assert.match(await scene.text("problem"), /The connection was lost before the result came\./);
  for (let tries = 0; tries < 50 && (await scene.run("def main():\n    return 1\n")) !== "Finished"; tries++) await scene.page.waitForTimeout(200);
  assert.equal(await scene.text("outcome"), "Finished");
}

export async function isolation(scene) {
  await scene.open();
  await scene.page.locator("#isolation summary").focus();
  await scene.page.keyboard.press("Enter");
  const { layers } = await (await fetch(`${scene.setting.url}/isolation`)).json();
  const rows = await scene.page.locator("#isolation-rows tr").evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent)));
  assert.deepEqual(rows.map(([name, , detail]) => [name, detail]), layers.map(({ name, detail }) => [name, detail]));
  await scene.page.locator("#isolation").scrollIntoViewIfNeeded();
  await scene.picture("isolation");
  await scene.assertAccessible("with the layers");
}

export async function theme(scene) {
  await scene.open();
  await scene.assertAccessible("at the start");
  const ground = () => scene.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const inEditor = () => scene.editor().evaluate((node) => getComputedStyle(node.closest(".cm-editor") ?? node).backgroundColor);
  const before = [await ground(), await inEditor()];
  const button = scene.page.getByRole("button", { name: "Dark" });
  assert.equal(await button.getAttribute("aria-pressed"), String(scene.setting.scheme === "dark"));
  await button.focus();
  await scene.page.keyboard.press("Enter");
  const after = [await ground(), await inEditor()];
  assert.notEqual(before[0], after[0]);
  assert.notEqual(before[1], after[1]);
  await scene.page.reload();
  await scene.page.waitForSelector("html[data-ready]");
  assert.equal(await ground(), after[0]);
  await scene.page.getByRole("button", { name: "Dark" }).click();
  assert.equal(await ground(), before[0]);
}

export async function keyboard(scene) {
  await scene.open();
  const focused = () => scene.page.evaluate(() => {
    const inner = document.activeElement;
    return inner.id || inner.textContent.trim() || inner.className;
  });
  const order = [];
  for (let presses = 0; presses < 8; presses++) {
    await scene.page.keyboard.press("Tab");
    order.push(await focused());
    const ring = await scene.page.evaluate(() => {
      const inEditor = document.activeElement.matches(".editor-host");
      return inEditor ? getComputedStyle(document.getElementById("editor")).boxShadow : getComputedStyle(document.activeElement).outlineStyle;
    });
    assert.match(ring, /solid|inset/, order.at(-1));
  }
  const editor = scene.setting.editor === "plain" ? "plain-editor" : "editor-host";
  assert.deepEqual(order.slice(0, 7), ["Skip to the script", "Skip to the answer", "API", "snippet-button", "share-button", "theme-button", "example"]);
  assert.ok(await scene.page.locator(`.${editor}`).evaluate((node) => node === document.activeElement));
  await scene.page.locator(".skip").first().focus();
  await scene.page.keyboard.press("Enter");
  assert.equal(await focused(), "script");
  await scene.editor().focus();
  if (scene.setting.editor === "codemirror") {
    await scene.page.keyboard.press("Escape");
  }
  await scene.page.keyboard.press("Tab");
  assert.equal(await focused(), "run");
}

export async function reduced_motion(scene) {
  await scene.page.emulateMedia({ reducedMotion: "reduce" });
  await scene.open();
  await scene.run();
  assert.equal(await scene.page.locator("#outcome").evaluate((node) => getComputedStyle(node).animationName), "none");
  await scene.page.emulateMedia({ reducedMotion: "no-preference" });
  assert.equal(await scene.page.locator("#outcome").evaluate((node) => getComputedStyle(node).animationName), "appear");
}

/** Links of the page lead somewhere. */
export async function links(scene) {
  await scene.open();
  for (const link of await scene.page.locator("a:not(.skip)").evaluateAll((all) => all.map((one) => one.href))) {
    assert.equal((await fetch(link)).status, 200, link);
  }
}

/** The reference at /docs, which is a document without a script. */
export async function reference(scene) {
  await scene.open();
  await scene.page.goto(`${scene.setting.url}/docs`);
  assert.match(await scene.page.title(), /API/);
  await scene.assertAccessible("the reference");
  await scene.picture("reference");
  assert.equal(await scene.page.locator("script").count(), 0);
}
