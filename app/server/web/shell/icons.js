// @ts-check
import { make } from "../element.js";

const SVG = "http://www.w3.org/2000/svg";

/** Lines on a ground of 24 × 24. @type {Record<string, string>} */
const LINES = {
  menu: "M4 7h16M4 12h16M4 17h16",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20a6.5 6.5 0 0 1 13 0M16 4.4a3.5 3.5 0 0 1 0 6.2M18.5 14.5a6.5 6.5 0 0 1 3 5.5",
  edit: "M4 20h4L19 9l-4-4L4 16v4ZM13 7l4 4",
  remove: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  link: "M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1",
  mute: "M4 9v6h4l5 4V5L8 9H4ZM17 9l4 6M21 9l-4 6",
  out: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  ban: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM5.7 5.7l12.6 12.6",
  direct: "M4 5h16v11H9l-5 4V5Z",
  check: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM8.5 12l2.5 2.5 4.5-5",
  shield: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6l7-3Z",
  bot: "M6 9h12v9H6V9ZM12 9V5M9.5 13v1.5M14.5 13v1.5",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM16 16l4.5 4.5",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5Z",
  system: "M3 5h18v11H3V5ZM9 20h6M12 16v4",
  quiet: "M4 9v6h4l5 4V5L8 9H4Z",
  loud: "M4 9v6h4l5 4V5L8 9H4ZM16.5 8.5a5 5 0 0 1 0 7M19 6a9 9 0 0 1 0 12",
  keys: "M3 6h18v12H3V6ZM7 10h.01M11 10h.01M15 10h.01M7 14h10",
  about: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 11v5.5M12 7.5h.01",
  close: "M6 6l12 12M18 6L6 18",
  lock: "M6 11h12v9H6v-9ZM9 11V8a3 3 0 0 1 6 0v3",
  send: "M4 12l16-8-6 17-3-7-7-2Z",
};

/**
 * @param {string} name
 * @param {string} [label] what it says by itself; without one it is an ornament
 */
export function icon(name, label) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", LINES[name]);
  svg.append(path);
  return svg;
}

/**
 * A button that shows an icon and says a word.
 *
 * @param {string} name
 * @param {string} label
 * @param {() => void} pressed
 */
export function iconButton(name, label, pressed) {
  const button = make("button", "quiet-button");
  button.type = "button";
  button.title = label;
  button.setAttribute("aria-label", label);
  button.append(icon(name));
  button.addEventListener("click", pressed);
  return button;
}
