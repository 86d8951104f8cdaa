// @ts-check

const WORD = /[\p{L}\p{N}_]/u;

/**
 * The name that is called at this place of a text, if one is: the longest that fits, of any case.
 *
 * @param {string} text
 * @param {number} at where the `@` is
 * @param {Iterable<string>} names
 * @returns {string | null} as it stands in the text, without the `@`
 */
export function calledAt(text, at, names) {
  if (text[at] !== "@" || (at > 0 && WORD.test(text[at - 1]))) return null;
  let longest = "";
  for (const name of names) {
    const said = text.slice(at + 1, at + 1 + name.length);
    const isCalled = said.toLowerCase() === name.toLowerCase() && !WORD.test(text[at + 1 + name.length] ?? "");
    if (isCalled && said.length > longest.length) longest = said;
  }
  return longest || null;
}

/** Whether a text speaks to somebody by name. @param {string} text @param {string} name */
export function calls(text, name) {
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    if (calledAt(text, at, [name, "all"])) return true;
  }
  return false;
}

/**
 * What is being typed behind an `@` before the caret.
 *
 * @param {string} text
 * @param {number} caret
 * @returns {{ from: number, typed: string } | null} `from`: where the `@` is
 */
export function callBefore(text, caret) {
  const before = text.slice(0, caret);
  const from = before.lastIndexOf("@");
  const typed = before.slice(from + 1);
  if (from < 0 || typed.length > 32 || /[\n`]/u.test(typed)) return null;
  return from > 0 && WORD.test(text[from - 1]) ? null : { from, typed };
}

/**
 * The names that one may mean: those that begin so, and then those one of whose words does.
 *
 * @param {string} typed
 * @param {Iterable<string>} names
 */
export function meant(typed, names) {
  const start = typed.toLowerCase();
  const words = (/** @type {string} */ name) => name.toLowerCase().split(/\s+/u);
  const all = [...new Set(names)];
  const first = all.filter((name) => name.toLowerCase().startsWith(start));
  const second = all.filter((name) => !first.includes(name) && words(name).some((word) => word.startsWith(start)));
  return [...first.sort(), ...second.sort()].slice(0, 6);
}
