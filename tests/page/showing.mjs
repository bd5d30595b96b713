// Checks: what is shown of a result, of errors, and of output that means no good.
import assert from "node:assert/strict";

export async function table(scene) {
  await scene.open();
  await scene.example("pandas: a table");
  assert.equal(await scene.run(), "Finished");
  assert.deepEqual(await scene.page.locator("#result thead th").allInnerTexts(), ["city", "units", "revenue"]);
  assert.deepEqual(await scene.page.locator("#result tbody tr").first().locator("td").allInnerTexts(), ["Oslo", "38", "173.75"]);
  await scene.picture("table");
  await scene.assertAccessible("with a table");
  await scene.page.getByRole("button", { name: "Tree" }).focus();
  await scene.page.keyboard.press("Enter");
  assert.equal(await scene.page.locator("#result .tree").count(), 1);
  const { name, text } = await scene.saved(scene.page.getByRole("button", { name: "Save JSON" }));
  assert.equal(name, "result.json");
  assert.equal(JSON.parse(text)[0].revenue, 173.75);
  for (const value of ["[[1, 'a'], [2, None]]", "{'x': [1, 2], 'y': ['a', None]}"]) {
    assert.equal(await scene.run(`def main():\n    return ${value}\n`), "Finished");
    assert.deepEqual(await scene.page.locator("#result tbody tr").last().locator("td").allInnerTexts(), ["2", "null"]);
  }
  for (const value of ["[1, [2]]", "{'x': [1], 'y': [1, 2]}", "[]", "{}", "None", "'text'"]) {
    assert.equal(await scene.run(`def main():\n    return ${value}\n`), "Finished");
    assert.equal(await scene.page.locator("#result table").count(), 0, value);
  }
  assert.equal(await scene.run("def main():\n    return [{'n': n} for n in range(250)]\n"), "Finished");
  assert.equal(await scene.page.locator("#result tbody tr").count(), 100);
  await scene.page.getByRole("button", { name: "Show more (150 rows left)" }).click();
  assert.equal(await scene.page.locator("#result tbody tr").count(), 200);
}

export async function tree(scene) {
  await scene.open();
  assert.equal(await scene.run("def main():\n    return {'a': {'b': [True, None, 1.5]}, 'many': list(range(250)), '__proto__': 1}\n"), "Finished");
  const branch = scene.page.locator("#result summary", { hasText: "a:" }).first();
  assert.ok(!(await scene.text("result")).includes("[ 3 items ]"));
  await branch.focus();
  await scene.page.keyboard.press("Enter");
  await scene.page.locator("#result summary", { hasText: "[ 3 items ]" }).click();
  await scene.page.locator("#result .leaf", { hasText: "2: 1.5" }).waitFor();
  assert.match(await scene.text("result"), /0: true\s*1: null\s*2: 1\.5/);
  await branch.focus();
  await scene.page.keyboard.press("Space");
  assert.ok(!(await scene.text("result")).includes("1.5"));
  await scene.page.locator("#result summary", { hasText: "250 items" }).click();
  await scene.page.getByRole("button", { name: "Show more (150 items left)" }).click();
  assert.match(await scene.text("result"), /199: 199/);
  assert.match(await scene.text("result"), /__proto__: 1/);
  await scene.picture("tree");
  await scene.assertAccessible("with a tree");
}

export async function pictures(scene) {
  await scene.open();
  await scene.example("matplotlib: a plot");
  assert.equal(await scene.run(), "Finished");
  const picture = scene.page.getByAltText("Figure 1 that the script drew");
  await picture.evaluate((image) => image.decode());
  assert.ok(await picture.evaluate((image) => image.naturalWidth > 300 && image.width <= innerWidth));
  assert.match(await scene.text("files-out"), /figure-1\.png/);
  await picture.scrollIntoViewIfNeeded();
  await scene.picture("plot");
  await scene.assertAccessible("with a picture");
  const drawn = "import matplotlib.pyplot as plt\ndef main():\n    plt.plot([1, 2])\n    plt.savefig('own.png')\n    open('no.svg', 'w').write('<svg/>')\n";
  assert.equal(await scene.run(drawn), "Finished");
  assert.equal(await scene.page.locator("#files-out img").count(), 2); // the SVG can be saved, and is not shown
}

export async function errors(scene) {
  await scene.open();
  const script = "def main():\n    total = 1\n    print('before')\n    return '😀', totl\n";
  assert.equal(await scene.run(script), "It raised an exception");
  assert.match(await scene.text("problem"), /NameError: name 'totl' is not defined\s*Did you mean: 'total'\?/);
  assert.equal(await scene.text("printed-text"), "before\n");
  await scene.page.locator("#problem summary").click();
  assert.match(await scene.text("problem"), /Traceback \(most recent call last\):\s*File "<string>", line 4, in main/);
  if (scene.setting.editor === "plain") {
    assert.equal(await scene.page.locator(".plain-note").innerText(), "Line 4: NameError: name 'totl' is not defined");
  } else {
    assert.match(await scene.page.locator(".cm-error-line").innerText(), /return '😀', totl/);
    assert.equal(await scene.page.locator(".cm-error-mark").innerText(), "totl");
    assert.equal(await scene.page.locator(".cm-error-note").innerText(), "NameError: name 'totl' is not defined");
  }
  await scene.picture("error");
  await scene.assertAccessible("with an error");
  await scene.page.getByRole("button", { name: "Go to line 4" }).click();
  assert.ok(await scene.page.evaluate(() => document.activeElement.matches(".editor-host, .plain-editor")));
  await scene.page.keyboard.insertText("x");
  await scene.run("def main():\n    return 1\n");
  assert.equal(await scene.page.locator(".cm-error-line, .plain-note:not([hidden])").count(), 0);
}

export async function outcomes(scene) {
  await scene.open();
  const expected = {
    "x = 1\n": "There is no main()",
    "def main(:\n": "It raised an exception",
    "def main():\n    raise ValueError\n": "It raised an exception",
    "import sys\ndef main():\n    sys.exit(1)\n": "It left without a result",
    "import os\ndef main():\n    os.abort()\n": "It was killed",
    "def main():\n    return bytearray(2_000_000_000)\n": "It ran out of memory",
    "def main():\n    return 'x' * 9_000_000\n": "The result is too large",
    "import nothing_of_that_name\n": "It raised an exception",
  };
  for (const [script, outcome] of Object.entries(expected)) assert.equal(await scene.run(script), outcome, script);
  assert.match(await scene.text("problem"), /This service does not have nothing_of_that_name\./);
}

const HOSTILE = String.raw`
import os
HTML = "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script></pre></section>"
CONTROL = "\x1b[31mred\x1b[0m\x00\x07\x9b1m\u202eesrever\u2066\u200b\x7f"

def main():
    print(HTML)
    os.write(2, HTML.encode() + b"\n")
    print(CONTROL)
    print("event: result\ndata: {}\n\n")
    open("<img src=x onerror=pwned=1>.txt", "w").write(HTML)
    open("a.html", "w").write("<script>pwned=1</script>")
    if "raise" in globals():
        raise type(HTML, (Exception,), {})(HTML + CONTROL)
    return {HTML: HTML + CONTROL, "__proto__": {"pwned": 1}, "toString": [HTML]}
`;

export async function hostile_output(scene) {
  await scene.open();
  for (const script of [HOSTILE, HOSTILE.replace('"raise" in globals()', "True"), HOSTILE.replace("return {", "return [{").replace("[HTML]}", "[HTML]}]")]) {
    await scene.run(script);
    const printed = await scene.page.locator("#printed-text").textContent();
    assert.equal(printed.split("<img src=x onerror='window.pwned=1'><script>window.pwned=1</script></pre></section>\n").length, 3);
    assert.ok(printed.includes(String.raw`\x1b[31mred\x1b[0m\x00\x07\x9b1m\u202eesrever\u2066\u200b\x7f`), printed);
    assert.ok(printed.includes("event: result\ndata: {}\n"));
    assert.match(await scene.text("files-out"), /<img src=x onerror=pwned=1>\.txt/);
    const shown = await scene.page.locator("#answer").textContent();
    assert.doesNotMatch(shown, /[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/);
    assert.equal(await scene.page.locator("#answer img, #answer script").count(), 0);
  }
  assert.deepEqual(await scene.page.evaluate(() => [window.pwned, {}.pwned]), [undefined, undefined]);
  await scene.picture("hostile");
  await scene.assertAccessible("with hostile output");
}

const PRINTER = `def main():
    for n in range(0, 90_000, 100):
        print(*(f"line {n + m}" for m in range(100)), sep="\\n")
    return ["x" * 100_000] + list(range(300_000))
`;

export async function large_output(scene) {
  await scene.open();
  assert.equal(await scene.run(PRINTER), "Finished");
  const shown = await scene.page.locator("#printed-text").textContent();
  assert.ok(shown.length <= 220_000 && shown.endsWith("line 89999\n"));
  assert.ok(await scene.isVisible("printed-cut"));
  const { text } = await scene.saved(scene.page.locator("#printed-save"));
  assert.equal(text.split("\n").length, 90_001);
  assert.ok(await scene.page.evaluate(() => document.querySelectorAll("*").length < 2000));
  assert.match(await scene.text("result"), /and 98,000 more characters/);
  assert.equal(await scene.run("def main():\n    print('a line\\n' * 200_000)\n"), "Finished");
  assert.ok(await scene.isVisible("printed-lost"));
}
