// The same request for other programs: curl, Python with nothing installed, JavaScript.
import { orderText } from "./order.js";

const LONG = 2000; // of a file's base64, which is for programs and not for reading

/** Long files are named and not written out. */
function shortened(keys) {
  if (!keys.files || keys.files.length <= LONG) return { keys, note: "" };
  const files = Object.keys(JSON.parse(keys.files)).map((name) => [name, { base64: "" }]);
  return {
    keys: { ...keys, files: JSON.stringify(Object.fromEntries(files)) },
    note: "The files are too long to be shown here: put their base64 where it is empty.",
  };
}

function curl(script, keys, address, needsKey) {
  const body = orderText(script, keys).replaceAll("'", "'\\''");
  const key = needsKey ? ` \\\n  -H "Authorization: Bearer $PYTHON_EXECUTOR_KEY"` : "";
  return `curl -s ${address}${key} \\\n  -d '${body}'\n`;
}

/** JSON's three words in Python's spelling; strings and numbers are the same in both. */
function pythonValue(json) {
  const words = { true: "True", false: "False", null: "None" };
  return json.replace(/"(?:[^"\\]|\\.)*"|true|false|null/gs, (token) => words[token] ?? token);
}

function python(script, keys, address, needsKey) {
  const text = script.replaceAll("\\", "\\\\").replaceAll('"""', '\\"\\"\\"').replace(/"$/, '\\"');
  const lines = Object.entries(keys).map(([key, json]) => `    "${key}": ${pythonValue(json)},\n`);
  const key = needsKey ? `, "Authorization": "Bearer " + os.environ["PYTHON_EXECUTOR_KEY"]` : "";
  return `import json
${needsKey ? "import os\n" : ""}import urllib.error
import urllib.request

script = """\\
${text}"""
order = {
    "script": script,
${lines.join("")}}
headers = {"Content-Type": "application/json"${key}}
request = urllib.request.Request("${address}", json.dumps(order).encode(), headers)
try:
    answer = urllib.request.urlopen(request)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, json.load(answer))
`;
}

function javascript(script, keys, address, needsKey) {
  const text = script.replaceAll("\\", "\\\\").replaceAll("`", "\\`").replaceAll("${", "\\${");
  const lines = Object.entries(keys).map(([key, json]) => `  ${key}: ${json},\n`);
  const key = needsKey ? `, Authorization: \`Bearer \${process.env.PYTHON_EXECUTOR_KEY}\`` : "";
  return `const script = \`${text}\`;
const order = {
  script,
${lines.join("")}};
const response = await fetch("${address}", {
  method: "POST",
  headers: { "Content-Type": "application/json"${key} },
  body: JSON.stringify(order),
});
console.log(response.status, await response.json());
`;
}

const LANGUAGES = { curl, python, javascript };

/** {text, note} in one of the languages. */
export function snippet(language, script, keys, address, needsKey) {
  const short = shortened(keys);
  return { text: LANGUAGES[language](script, short.keys, address, needsKey), note: short.note };
}
