// Checks: how scripts are run, followed, cancelled, and what they are given.
import assert from "node:assert/strict";

/** What a visit transfers is printed, and is less than 200 KB. */
export async function first_visit(scene) {
  const client = await scene.page.context().newCDPSession(scene.page);
  let transferred = 0;
  await client.send("Network.enable");
  client.on("Network.loadingFinished", ({ encodedDataLength }) => (transferred += encodedDataLength));
  await scene.open();
  assert.match(await scene.text("facts"), /^Python 3\.\d+\.\d+.* · numpy · pandas · .*5 s · 256 MiB$/);
  assert.match(await scene.text("isolation-summary"), /, \d+ layers on$/);
  assert.equal(await scene.page.title(), "python-executor");
  await scene.picture("start");
  assert.ok(transferred < 200_000, `${transferred} bytes`);
  return `a visit transfers ${transferred} bytes in ${scene.requests.length} requests`;
}

export async function hello_by_click(scene) {
  await scene.open();
  assert.equal(await scene.run(), "Finished");
  assert.equal(await scene.text("printed-text"), "Hello, world!\n");
  assert.match(await scene.text("result"), /hello:\s*"world"\s*answer:\s*42/);
  assert.match(await scene.text("usage"), /Time\s.*ms of 5\.00 s[\s\S]*Memory\s.* of 256 MiB/);
  assert.match(await scene.text("status"), /^Finished\. 1 line printed$/);
  await scene.picture("hello");
}

export async function hello_by_key(scene) {
  await scene.open();
  for (const place of [scene.editor(), scene.page.locator("#input"), scene.page.locator("#example")]) {
    await place.focus();
    await scene.page.keyboard.press("Control+Enter");
    await scene.finished();
    assert.equal(await scene.text("outcome"), "Finished");
    await scene.page.evaluate(() => (document.getElementById("outcome").textContent = ""));
  }
  await scene.page.locator("#run").focus();
  await scene.page.keyboard.press("Enter");
  await scene.finished();
  assert.equal(await scene.text("outcome"), "Finished");
}

export async function typing(scene) {
  await scene.open();
  await scene.editor().click();
  await scene.page.keyboard.press("Control+a");
  await scene.page.keyboard.type("def main():\n");
  if (scene.setting.editor === "plain") await scene.page.keyboard.type("    "); // the other one indents
  await scene.page.keyboard.type("return [1, 'typed']");
  await scene.page.keyboard.press("Control+Enter");
  await scene.finished();
  assert.match(await scene.text("result"), /0: 1\s*1: "typed"/);
}

export async function examples(scene) {
  await scene.open();
  const offered = await scene.page.locator("#example option:not([hidden])").allInnerTexts();
  assert.equal(offered.length, 9);
  await scene.example("With input");
  assert.equal(await scene.run(), "Finished");
  assert.match(await scene.text("result"), /greeting: "Hello, Ada"/);
  assert.equal(await scene.run("def main():\n    return 1\n"), "It raised an exception");
  assert.match(await scene.text("problem"), /There is something under Input/);
  await scene.example("numpy: a walk");
  assert.equal(await scene.run(), "Finished");
  assert.match(await scene.text("result"), /farthest: \d+\.\d+/);
  await scene.example("Files in and out");
  assert.equal(await scene.run(), "Finished");
  assert.match(await scene.text("files-out"), /listing\.csv/);
  await scene.example("An attempt to escape");
  assert.equal(await scene.run(), "Finished");
  const rows = await scene.page.locator("#result tbody tr").allInnerTexts();
  assert.equal(rows.length, 9);
  for (const row of rows.slice(0, 8)) assert.match(row, /(?:PermissionError|FileNotFoundError|OSError|BlockingIOError)/);
  await scene.picture("escape");
}

export async function live_output(scene) {
  await scene.open();
  await scene.example("Printing live");
  await scene.press("run");
  await scene.page.waitForFunction(() => document.getElementById("printed-text").textContent.includes("step 2 of 10"));
  assert.equal(await scene.text("outcome"), "Running");
  assert.ok(!(await scene.text("printed-text")).includes("step 10"));
  assert.ok(await scene.page.locator("#progress").evaluate((bar) => bar.value > 0 && bar.value < 1));
  assert.match(await scene.text("elapsed"), /^\d\.\d s$/);
  assert.ok(await scene.page.locator("#run").isDisabled());
  await scene.picture("live");
  await scene.assertAccessible("while it runs");
  await scene.finished();
  assert.match(await scene.text("printed-text"), /step 4 of 10\nthis one went to stderr\nstep 5 of 10\n[^]*step 10 of 10\n$/);
  assert.equal(await scene.page.locator("#printed-text .stderr").first().innerText(), "this one went to stderr\n");
  const { name, text } = await scene.saved(scene.page.locator("#printed-save"));
  assert.equal(name, "output.txt");
  assert.match(text, /^step 1 of 10\n[^]*step 10 of 10\n$/);
}

const FOREVER = "def main():\n    print('on', flush=True)\n    while True: pass\n";

export async function cancelling(scene) {
  await scene.open();
  const end = { click: () => scene.press("cancel"), key: () => scene.page.keyboard.press("Escape") };
  for (const [way, cancel] of Object.entries(end)) {
    await scene.write(FOREVER);
    await scene.page.keyboard.press("Control+Enter");
    await scene.page.waitForFunction(() => document.getElementById("printed-text").textContent === "on\n");
    await cancel();
    await scene.finished();
    assert.equal(await scene.text("outcome"), "Cancelled", way);
  }
  assert.equal(await scene.run("def main():\n    return 1\n"), "Finished");
}

export async function deadline(scene) {
  await scene.open();
  await scene.example("An infinite loop");
  await scene.unfold("options-card");
  await scene.page.fill("#wall", "400");
  assert.equal(await scene.run(), "Its time was over");
  assert.match(await scene.text("problem"), /A script may run for 400 milliseconds here\./);
  assert.match(await scene.text("printed-text"), /counting to infinity/);
  await scene.page.fill("#wall", "99999");
  assert.equal(await scene.run(), "The service refused it");
  assert.match(await scene.text("problem"), /limits\.wall_ms is 99999, the most is 5000\./);
  scene.allowed.push(/status of 400/);
}

export async function input(scene) {
  await scene.open();
  await scene.unfold("input-card");
  await scene.page.fill("#input", '{"n": 1180591620717411303424, "x": 1.0}');
  await scene.page.fill("#stdin", "a line\n");
  assert.equal(await scene.run("def main(order):\n    return [order['n'] * 2, order['x'], input()]\n"), "Finished");
  assert.match(await scene.text("result"), /0: 2361183241434822606848\s*1: 1\.0\s*2: "a line"/);
  const before = scene.requests.length;
  await scene.page.fill("#input", "{not JSON");
  await scene.press("run");
  assert.match(await scene.text("input-error"), /^The input is not JSON: /);
  assert.ok(await scene.page.locator("#input").evaluate((field) => field === document.activeElement && field.ariaInvalid === "true"));
  assert.equal(scene.requests.length, before);
  await scene.assertAccessible("with wrong input");
}

export async function files(scene) {
  await scene.open();
  await scene.unfold("files-card");
  await scene.page.setInputFiles("#picker", [
    { name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("picked") },
    { name: "<b>.bin", mimeType: "application/octet-stream", buffer: Buffer.from([0, 255, 10]) },
  ]);
  await scene.page.waitForFunction(() => document.querySelectorAll("#chips li").length === 2);
  const dropped = await scene.page.evaluateHandle(() => {
    const data = new DataTransfer();
    data.items.add(new File(["dropped"], "c.txt"));
    return data;
  });
  for (const type of ["dragover", "drop"]) await scene.page.dispatchEvent("main", type, { dataTransfer: dropped });
  await scene.page.waitForFunction(() => document.querySelectorAll("#chips li").length === 3);
  assert.match(await scene.text("chips"), /a\.txt 6 bytes[^]*<b>\.bin 3 bytes[^]*c\.txt 7 bytes/);
  await scene.picture("files");
  await scene.assertAccessible("with files");
  const script = "import os\ndef main():\n    open('up.txt', 'w').write(open('a.txt').read().upper())\n"
    + "    return [list(open('<b>.bin', 'rb').read()), open('c.txt').read(), sorted(os.listdir())]\n";
  assert.equal(await scene.run(script), "Finished");
  assert.match(await scene.text("result"), /1: "dropped"/);
  assert.deepEqual(await scene.page.locator("#files-out b").allInnerTexts(), ["up.txt"]); // and none that it was given
  const { name, text } = await scene.saved(scene.page.getByRole("button", { name: "Save up.txt" }));
  assert.deepEqual([name, text], ["up.txt", "PICKED"]);
  await scene.page.getByRole("button", { name: "Remove a.txt" }).focus();
  await scene.page.keyboard.press("Enter");
  assert.equal(await scene.page.locator("#chips li").count(), 2);
  assert.equal(await scene.run("import os\ndef main():\n    return sorted(os.listdir())\n"), "Finished");
  assert.ok(!(await scene.text("result")).includes("a.txt"));
}

export async function options(scene) {
  await scene.open();
  await scene.unfold("options-card");
  await scene.page.fill("#seed", "7");
  assert.equal(await scene.run("import random\ndef main():\n    return random.randint(1, 1000)\n"), "Finished");
  assert.match(await scene.text("result"), /332/);
  await scene.page.locator("#convert").focus();
  await scene.page.keyboard.press("Space");
  assert.equal(await scene.run("def main():\n    return {1}\n"), "The result is not JSON");
  assert.match(await scene.text("problem"), /Result is not JSON-serializable: set/);
  await scene.page.click("#convert");
  assert.equal(await scene.run("def main():\n    return {1}\n"), "Finished");
  await scene.picture("options");
  await scene.assertAccessible("with options");
}
