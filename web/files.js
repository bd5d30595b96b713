// Files for the script: picked or dropped, shown as chips, kept as base64 as the request has them.
import { button, make } from "./dom.js";
import { bytes } from "./text.js";

const LARGEST = 48_000_000; // bytes in all; the service takes less unless it is told otherwise, and says so itself

const read = (file) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error(`${file.name} cannot be read.`));
    reader.readAsDataURL(file);
  });

/** {list()}: the files that are there. `say(text)` tells what happened. */
export function startFiles({ chips, picker, drop, note, say }) {
  const files = new Map();

  function show() {
    const items = [...files.values()].map((file) =>
      make("li", {}, make("span", {}, make("b", {}, file.name), ` ${bytes(file.size)}`),
        button("×", () => remove(file.name), { "aria-label": `Remove ${file.name}` })));
    chips.replaceChildren(...items);
    note.textContent = files.size ? `${files.size}` : "";
  }

  function remove(name) {
    files.delete(name);
    show();
    picker.focus();
    say(`${name} is removed.`);
  }

  async function add(list) {
    for (const file of list) {
      const others = [...files.values()].reduce((sum, one) => sum + (one.name === file.name ? 0 : one.size), 0);
      if (others + file.size > LARGEST) {
        say(`${file.name} is too large: ${bytes(LARGEST)} is the most for all files.`);
        return;
      }
      try {
        files.set(file.name, { name: file.name, size: file.size, base64: await read(file) });
      } catch (error) {
        say(error.message);
        return;
      }
    }
    show();
    say(`${[...list].map((file) => file.name).join(", ")} added.`);
  }

  picker.onchange = async () => {
    await add([...picker.files]);
    picker.value = "";
  };
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    drop.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && drop.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    drop.classList.remove("dropping");
    if (!hasFiles(event)) return;
    event.preventDefault();
    drop.open = true;
    add([...event.dataTransfer.files]);
  });
  return { list: () => [...files.values()] };
}
