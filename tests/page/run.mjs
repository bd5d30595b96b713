// The page in Chromium: node run.mjs SETTING, where SETTING is JSON: url, keyed, key, slow, busy, pid, editor, plain, scheme, width,
// height, variant, screenshots. Prints a line of JSON for each check: {check, error}, or {check, note}.
// tests/integration/test_page.py starts it, once for each variant.
import { chromium } from "playwright-core";
import { Scene } from "./scene.mjs";
import * as running from "./running.mjs";
import * as showing from "./showing.mjs";
import * as using from "./using.mjs";

const setting = JSON.parse(process.argv[2]);
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args });

for (const [check, perform] of Object.entries({ ...running, ...showing, ...using })) {
  if (setting.only && setting.only !== check) continue;
  const context = await browser.newContext({
    colorScheme: setting.scheme, viewport: { width: setting.width, height: setting.height }, hasTouch: setting.width < 500,
    permissions: ["clipboard-read", "clipboard-write"],
  });
  context.setDefaultTimeout(30_000);
  const scene = new Scene(await context.newPage(), setting);
  if (setting.plain) await scene.page.route("**/page/editor.js", (route) => route.fulfill({ path: setting.plain, contentType: "text/javascript" }));
  let error, note;
  try {
    note = await perform(scene);
    await scene.assertClean();
  } catch (failure) {
    error = String(failure.stack);
    await scene.picture(`failed-${check}`).catch(() => {});
  }
  console.log(JSON.stringify({ check, error, note }));
  await context.close();
}
await browser.close();
