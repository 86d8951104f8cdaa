// @ts-check
/** What people may type: the rules of the protocol for names and rooms, and what else is checked
 * here before a server has to refuse it. */

/** One for people and those of the cast; any other can be entered by its name behind the `#`. */
export const ROOMS = ["lobby", "the-plan", "the-van", "the-roof"];

const NAME_LENGTH = 32;
const ROOM_LENGTH = 64;

/** Characters that reorder or hide the text around them, or are nothing to be seen: names have none.
 * The server's list, which `app/protocol/fixtures/names.json` holds for both. */
const HIDDEN = "\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b\\u200e\\u200f" +
  "\\u202a-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufeff\\uffa0\\ufff9-\\ufffb";
/** They join or choose a form of what stands beside them, and alone are nothing to be seen either. */
const JOINING = "\\u200c\\u200d\\ufe00-\\ufe0f\\u{e0020}-\\u{e007f}";

const FORBIDDEN = new RegExp(`[\\p{Cc}${HIDDEN}]`, "gu");
const VISIBLE = new RegExp(`[^\\p{Cc}\\p{White_Space}${HIDDEN}${JOINING}]`, "u");

/** What a message may not have; a pasted one brings such things along. */
const UNPRINTABLE = /(?![\n\t])\p{Cc}/gu;

/** Half a character, which is no text to any server: U+FFFD in its place. @param {string} text */
export function wellFormed(text) {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

/**
 * Stripped first and normalised then: what stood apart may be one character now.
 *
 * @param {string} text @param {number} length
 */
function clean(text, length) {
  const plain = wellFormed(text).replace(FORBIDDEN, "").normalize("NFC").trim();
  const short = Array.from(plain).slice(0, length).join("").trim();
  return VISIBLE.test(short) ? short : "";
}

/** @param {string} typed */
export function cleanName(typed) {
  return clean(typed, NAME_LENGTH);
}

/** @param {string} typed @returns {string} empty if there is nothing to be seen */
export function cleanText(typed) {
  const plain = wellFormed(typed).replace(UNPRINTABLE, "").trim();
  return VISIBLE.test(plain) ? plain : "";
}

/** @param {string} hash of the page's address @returns {string} a room */
export function roomOf(hash) {
  try {
    return cleanRoom(decodeURIComponent(hash.slice(1))) || ROOMS[0];
  } catch {
    return ROOMS[0];
  }
}

/** @param {string} typed @returns {string} a room's name, or empty */
export function cleanRoom(typed) {
  const room = clean(typed, ROOM_LENGTH);
  // Dots are steps in an address, and so never a room in one.
  return /^\.{0,2}$/.test(room) ? "" : room;
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
  [4403, "You were signed out of everything, or are not welcome here."],
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

/** @param {number} kept how many messages wait */
export function keptLine(kept) {
  if (kept === 0) return "The log is away: what you write is kept and goes out when it is back.";
  if (kept === 1) return "The log is away: 1 message is kept and goes out when it is back.";
  return `The log is away: ${kept} messages are kept and go out when it is back.`;
}

/** @param {number} kept how many messages wait */
export function interruptedLine(kept) {
  if (kept === 0) return "No connection: what you write is kept";
  return kept === 1 ? "No connection: 1 message is kept" : `No connection: ${kept} messages are kept`;
}

/** @param {number | null} seconds until the next try; null: it is under way */
export function waitingLine(seconds) {
  return seconds === null || seconds < 1 ? "connecting…" : `next try in ${seconds} s`;
}

/** @param {number} sending how many messages are on their way for longer than one notices */
export function sendingLine(sending) {
  if (sending === 0) return "";
  return sending === 1 ? "Sending…" : `Sending ${sending} messages…`;
}

/** @param {number} every seconds @param {number} left seconds */
export function slowLine(every, left) {
  return left > 0 ? `Slow mode: the next message goes out in ${left} s` : `Slow mode: one message in ${every} s`;
}
