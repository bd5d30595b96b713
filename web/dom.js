// The page's elements: found by id, made with their properties. What comes from scripts gets in as text only.
export const byId = (id) => document.getElementById(id);

/** make("p", {className: "note"}, "text", node): a name that is no property of the element becomes an attribute. */
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function button(text, onclick, properties = {}) {
  return make("button", { type: "button", ...properties, onclick }, text);
}

/** Has the browser save a Blob. */
export function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Where the browser has no clipboard for us, as over plain HTTP from elsewhere, its old way is left. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const parent = document.querySelector("dialog[open]") ?? document.body;
    const area = make("textarea", { value: text, className: "aside", "aria-label": "To copy" });
    const focused = document.activeElement;
    parent.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return copied;
  }
}
