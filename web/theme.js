// Light and dark: the system's, until somebody says otherwise here.
const KEY = "python-executor-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // a browser that keeps nothing
  }
}

/** `button` is pressed where it is dark; onChange(dark) is called at once and with each change. */
export function startTheme(button, onChange) {
  let choice = stored();
  const show = () => {
    const dark = choice ? choice === "dark" : system.matches;
    if (choice) document.documentElement.dataset.theme = choice;
    button.setAttribute("aria-pressed", String(dark));
    onChange(dark);
  };
  button.onclick = () => {
    choice = button.getAttribute("aria-pressed") === "true" ? "light" : "dark";
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // it holds for this visit
    }
    show();
  };
  system.addEventListener("change", show);
  show();
}
