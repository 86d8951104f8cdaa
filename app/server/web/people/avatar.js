// @ts-check
import { make } from "../element.js";
import { icon } from "../shell/icons.js";
import { tint } from "./colour.js";

/** The first letters of the first and of the last word. @param {string} name */
export function initials(name) {
  const words = name.replace(/\s*\(guest\)$/u, "").split(/[\s._-]+/u).filter(Boolean);
  const letter = (/** @type {string | undefined} */ word) => first(word ?? "");
  const [one, two] = [letter(words[0]), words.length > 1 ? letter(words.at(-1)) : ""];
  return `${one}${two}`.toUpperCase() || "?";
}

/** A letter as a person counts, which may be several characters. @param {string} word */
function first(word) {
  if (!Intl.Segmenter) return Array.from(word)[0] ?? "";
  return [...new Intl.Segmenter().segment(word)][0]?.segment ?? "";
}

/** @param {string} member @param {string} name */
export function avatar(member, name) {
  const element = make("span", "avatar", initials(name));
  element.setAttribute("aria-hidden", "true");
  tint(element, member, name);
  return element;
}

/** Icons. @type {Record<string, string>} */
const MARKS = { registered: "check", moderator: "shield", bot: "bot" };

/** What is known of somebody, if anything is. @param {string | undefined} mark */
export function markOf(mark) {
  const lines = MARKS[mark ?? ""];
  if (!lines || !mark) return null;
  const element = icon(lines, mark);
  element.classList.add("mark", mark);
  return element;
}
