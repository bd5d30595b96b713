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

// All at once, since to read the packages takes longest.
function byTypes(entries) {
  const files = entries.map(({ manifest }, i) => {
    const file = join(folder, `manifest-${i}.ts`);
    writeFileSync(file, `import type { I${manifest.kind} as Kind } from "${moduleOf(manifest)}";\n` +
      `export const manifest: Kind = ${JSON.stringify(manifest, null, 1)};\n`);
    return file;
  });
  const program = ts.createProgram(files, {
    noEmit: true, strict: true, skipLibCheck: true, types: [],
    target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
  });
  return files.map((file) => [...program.getSyntacticDiagnostics(program.getSourceFile(file)), ...program.getSemanticDiagnostics(program.getSourceFile(file))]
    .map((found) => ts.flattenDiagnosticMessageText(found.messageText, " ")));
}

const entries = JSON.parse(await text(process.stdin));
const typed = byTypes(entries);
for (const [i, entry] of entries.entries())
  for (const wrong of [...(await bySchema(entry)), ...typed[i]]) console.log(`${entry.name}: ${wrong}`);
