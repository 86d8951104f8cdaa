// @ts-check
/** What people may type: the rules of the protocol for names and rooms, and what else is checked
 * here before a server has to refuse it. */

/** One for people and those of the cast; any other can be entered by its name behind the `#`. */
export const ROOMS = ["lobby", "the-plan", "the-van", "the-roof"];

const NAME_LENGTH = 32;
const ROOM_LENGTH = 64;

/** Control characters, and those that reorder or hide the text around them. */
const FORBIDDEN = /[\p{Cc}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/gu;

/** What a message may not have; a pasted one brings such things along. */
const UNPRINTABLE = /(?![\n\t])\p{Cc}/gu;

/** @param {string} text @param {number} length */
function clean(text, length) {
  const plain = text.normalize("NFC").replace(FORBIDDEN, "").trim();
  return Array.from(plain).slice(0, length).join("").trim();
}

/** @param {string} typed */
export function cleanName(typed) {
  return clean(typed, NAME_LENGTH);
}

/** @param {string} typed */
export function cleanText(typed) {
  return typed.replace(UNPRINTABLE, "").trim();
}

/** @param {string} hash of the page's address @returns {string} a room */
export function roomOf(hash) {
  try {
    const room = clean(decodeURIComponent(hash.slice(1)), ROOM_LENGTH);
    // Dots are steps in an address, and so never a room in one.
    return /^\.{0,2}$/.test(room) ? ROOMS[0] : room;
  } catch {
    return ROOMS[0];
  }
}

/** @param {string} text */
export function bytesOf(text) {
  return new TextEncoder().encode(text).length;
}

const ENDINGS = new Map([
  [1000, "You have left."],
  [1003, "The server could not read what this page sent."],
  [1007, "The server could not read what this page sent."],
  [1008, "The server does not accept this connection."],
  [1009, "This page sent more than the server takes at once."],
  [4400, "The server could not read what this page sent."],
  [4401, "The server did not let you in."],
  [4408, "The server waited too long for this page to introduce itself."],
]);

/**
 * Why it is over, in one plain sentence.
 *
 * @param {number} code of the close
 * @param {string} detail from the `error` before it, if there was one
 */
export function ending(code, detail) {
  const sentence = ENDINGS.get(code) ?? "The server does not want this page back.";
  return detail && code !== 1000 ? `${sentence.slice(0, -1)}: ${detail}.` : sentence;
}

/** @param {string[]} names of who is typing */
export function typingLine(names) {
  if (names.length === 0) return "";
  if (names.length === 1) return `${names[0]} is typing…`;
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing…`;
  return "Several people are typing…";
}
