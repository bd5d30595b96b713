// What this service has and allows, found out as any client could: by a small script of our own.
import { call } from "./execute.js";

// The names come as input: a script that mentions a module waits until the service has preloaded it.
const SCRIPT = `import importlib.util, sys
def main(names):
    return {"python": sys.version.split()[0], "modules": [name for name in names if importlib.util.find_spec(name)]}
`;

/** {python, modules, limits} */
export async function serviceFacts(names, key) {
  const { result, limits } = await call({ script: SCRIPT, input: names, details: true }, key);
  return { ...result, limits };
}
