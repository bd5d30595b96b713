// Files that a run brought back: pictures to look at, and all of them to save.
import { button, make, save } from "./dom.js";
import { bytes, visible } from "./text.js";

const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]); // none in which a script could be

function toBlob({ base64, media_type }) {
  const data = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Blob([data], { type: media_type });
}

function artefact(file) {
  const name = visible(file.name);
  if (file.base64 === undefined) {
    return make("li", {}, make("b", {}, name), ` ${bytes(file.size)}, not taken: too large, or it could not be read`);
  }
  const saving = button("Save", () => save(toBlob(file), file.name.split("/").pop()), { "aria-label": `Save ${name}`, className: "quiet" });
  const line = make("div", { className: "artefact" }, make("b", {}, name), make("span", {}, bytes(file.size)), saving);
  if (!PICTURES.has(file.media_type)) return make("li", {}, line);
  const picture = make("img", { src: `data:${file.media_type};base64,${file.base64}` });
  picture.alt = file.figure ? `Figure ${file.figure} that the script drew` : `The picture ${name}`;
  return make("li", {}, make("div", { className: "picture" }, picture), line);
}

/** Without what the script was given and left as it was. */
export function changed(outputs, given) {
  return outputs.filter((one) => !given.some((file) => file.name === one.name && file.base64 === one.base64));
}

export const artefacts = (files) => make("ul", { className: "artefacts" }, ...files.map(artefact));
