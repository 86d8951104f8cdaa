// @ts-check
// Asked for by the page once a release serves that has it, and as it is here: the page's own script stays small.

/** The release's own colours: in a hall one sees from afar who is served by it. */
const GREEN = { "--accent": ["#0d6b4a", "#5fe3a1"], "--on-accent": ["#ffffff", "#06281a"], "--accent-ground": ["#dff5ea", "#12362a"] };

/**
 * Shows what the release has that serves now, or takes it away again: each move may be one to another release.
 *
 * @param {import("./page.js").Page} page
 * @param {boolean} isThere
 */
export function show(page, isThere) {
  const { body, documentElement: { style } } = document;
  body.dataset.claps = isThere ? "on" : "off";
  for (const [name, [light, dark]] of Object.entries(GREEN)) {
    if (isThere) style.setProperty(name, `light-dark(${light}, ${dark})`);
    else style.removeProperty(name);
  }
  const known = document.getElementById("clap");
  if (known) known.hidden = !isThere;
  else if (isThere) document.getElementById("send")?.before(button(page));
}

/** @param {import("./page.js").Page} page */
function button({ composer }) {
  const made = document.createElement("button");
  Object.assign(made, { id: "clap", type: "button", className: "quiet-button", title: "Applaud", textContent: "👏" });
  made.setAttribute("aria-label", "Applaud");
  made.addEventListener("click", () => !composer.isClosed && composer.on.send("👏", null));
  return made;
}
