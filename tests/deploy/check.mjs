// Holds manifests to the schemas that Kubernetes and Knative publish, as packages of npm have them. Standard input is a list
// of {name, manifest}; what is wrong is printed, a line each.
//
// Twice: the schema's own check (what must be there, of which type), and the TypeScript compiler, which also knows every
// field there is, so that a misspelt one is found.
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const folder = dirname(fileURLToPath(import.meta.url));

function moduleOf({ apiVersion, kind }) {
  const owner = apiVersion.includes(".knative.dev/") ? "@kubernetes-models/knative" : "kubernetes-models";
  return `${owner}/${apiVersion}/${kind}`;
}

async function bySchema({ manifest }) {
  try {
    new (await import(moduleOf(manifest)))[manifest.kind](manifest).validate();
    return [];
  } catch (error) {
    return [error.message];
  }
}

function byTypes({ manifest }) {
  const file = join(folder, "manifest.ts");
  writeFileSync(file, `import type { I${manifest.kind} as Kind } from "${moduleOf(manifest)}";\n` +
    `export const manifest: Kind = ${JSON.stringify(manifest, null, 1)};\n`);
  const program = ts.createProgram([file], {
    noEmit: true, strict: true, skipLibCheck: true, types: [],
    target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
  });
  return ts.getPreEmitDiagnostics(program).map((found) => ts.flattenDiagnosticMessageText(found.messageText, " "));
}

for (const entry of JSON.parse(await text(process.stdin)))
  for (const wrong of [...(await bySchema(entry)), ...byTypes(entry)]) console.log(`${entry.name}: ${wrong}`);
