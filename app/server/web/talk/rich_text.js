// @ts-check
import { make } from "../element.js";
import { calledAt } from "../mention.js";

/**
 * @typedef {{ type: "text" | "code" | "block" | "link" | "mention", text: string, open?: string,
 *   close?: string, href?: string, isMe?: boolean }} Token `open` and `close` stand around the text in
 *   the source and are not to be seen: all tokens together are the source, letter for letter
 */

const SPECIAL = /```[\s\S]+?```|`[^`\n]+`|\bhttps?:\/\/[^\s<>"`]+|@/giu;
const FENCE = /^(```(?:[\w+-]*\n)?)([\s\S]*?)(\n?```)$/u;

/**
 * @param {string} source
 * @param {string[]} names whom one may speak to
 * @param {string} me
 * @returns {Token[]}
 */
export function tokensOf(source, names, me) {
  /** @type {Token[]} */
  const tokens = [];
  let done = 0;
  const push = (/** @type {number} */ at, /** @type {number} */ length, /** @type {Token} */ token) => {
    if (at > done) tokens.push({ type: "text", text: source.slice(done, at) });
    tokens.push(token);
    done = at + length;
  };
  for (const { 0: found, index } of source.matchAll(SPECIAL)) {
    if (index < done) continue;
    const token = found[0] === "@" ? mention(source, index, names, me) : found[0] === "`" ? code(found) : link(found);
    if (token) push(index, (token.open ?? "").length + token.text.length + (token.close ?? "").length, token);
  }
  if (done < source.length) tokens.push({ type: "text", text: source.slice(done) });
  return tokens;
}

/** @param {string} source @param {number} at @param {string[]} names @param {string} me @returns {Token | null} */
function mention(source, at, names, me) {
  const name = calledAt(source, at, [...names, me, "all"]);
  if (name === null) return null;
  const isMe = [me.toLowerCase(), "all"].includes(name.toLowerCase());
  return { type: "mention", text: `@${name}`, isMe };
}

/** @param {string} found @returns {Token | null} */
function code(found) {
  if (!found.startsWith("```")) return { type: "code", open: "`", text: found.slice(1, -1), close: "`" };
  const [, open, text, close] = FENCE.exec(found) ?? [];
  return text?.trim() ? { type: "block", open, text, close } : null;
}

/** Only what a browser opens as a page; punctuation behind it belongs to the sentence. @param {string} found @returns {Token | null} */
function link(found) {
  let text = found.replace(/[.,;:!?'*_~]+$/u, "");
  while (text.endsWith(")") && count(text, ")") > count(text, "(")) text = text.slice(0, -1);
  try {
    const { protocol, href, hostname } = new URL(text);
    return /^https?:$/u.test(protocol) && hostname ? { type: "link", text, href } : null;
  } catch {
    return null;
  }
}

/** @param {string} text @param {string} letter */
function count(text, letter) {
  return text.split(letter).length - 1;
}

/**
 * Puts a text into an element, whose `textContent` is the source then.
 *
 * @param {HTMLElement} element
 * @param {Token[]} tokens
 */
export function render(element, tokens) {
  element.replaceChildren(...tokens.map((token) => {
    if (token.type === "text") return document.createTextNode(token.text);
    const part = make(TAGS[token.type], token.type, token.type === "link" ? token.text : "");
    if (part instanceof HTMLAnchorElement) {
      part.href = String(token.href);
      part.target = "_blank";
      part.rel = "noopener noreferrer nofollow";
      return part;
    }
    if (token.isMe) part.classList.add("me");
    const unseen = (/** @type {string} */ text) => Object.assign(make("span", "", text), { hidden: true });
    part.append(...(token.open ? [unseen(token.open)] : []), token.text, ...(token.close ? [unseen(token.close)] : []));
    return part;
  }));
}

/** @type {Record<string, "code" | "a" | "span">} */
const TAGS = { code: "code", block: "code", link: "a", mention: "span" };
