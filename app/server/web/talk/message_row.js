// @ts-check
import { make } from "../element.js";
import { avatar, markOf } from "../people/avatar.js";
import { tint } from "../people/colour.js";
import { render, tokensOf } from "./rich_text.js";

/**
 * @typedef {import("../frame.js").Message} Message
 * @typedef {{ me(): string | null, myName(): string, names(): string[] }} Reader
 * @typedef {HTMLLIElement} Row
 */

/** Messages of one person closer than this share one name. */
const TOGETHER_MS = 5 * 60_000;

/** A state for those who cannot see the tick. */
const STATES = { pending: "sending", sent: "sent", refused: "not sent", unknown: "perhaps not sent" };
/** @typedef {keyof typeof STATES} State */

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const FAR_DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });

/** A row with a text, of nobody yet. @param {boolean} own @param {string} text @param {Reader} reader @returns {Row} */
export function textRow(own, text, reader) {
  const row = make("li", own ? "message own" : "message");
  row.tabIndex = -1;
  row.append(make("p", "text"));
  setText(row, text, reader);
  return row;
}

/** A sentence about the room, in its place of the log. @param {Message} message @returns {Row} */
export function noticeRow(message) {
  const row = make("li", "notice");
  row.dataset.id = message.id;
  row.dataset.at = String(message.at);
  const text = make("p", "text", message.text);
  text.dir = "auto";
  row.append(text);
  return row;
}

/** @param {Row} row @param {string} text @param {Reader} reader */
export function setText(row, text, reader) {
  const element = /** @type {HTMLElement} */ (row.querySelector(".text"));
  element.dir = "auto";
  const parts = tokensOf(text, reader.names(), reader.myName());
  render(element, parts);
  row.classList.toggle("calls", !row.classList.contains("own") && parts.some(({ isMe }) => isMe));
}

/** Whose it is, on its way to the log. @param {Row} row @param {Reader} reader @param {Element | null} before */
export function introduce(row, reader, before) {
  const [member, name] = [reader.me() ?? "", reader.myName()];
  Object.assign(row.dataset, { member, at: String(Date.now()) });
  tint(row, member, name);
  row.querySelector(".text")?.before(avatar(member, name), Object.assign(make("span", "name", name), { dir: "auto" }));
  follow(row, before);
}

/** Name, time and ID of a message that is in the log. @param {Row} row @param {Message} message */
export function sign(row, message) {
  for (const old of row.querySelectorAll(":scope > :is(.avatar, .name)")) old.remove();
  const at = new Date(message.at);
  const time = make("time", "", TIME.format(at));
  time.dateTime = at.toISOString();
  time.title = MOMENT.format(at);
  Object.assign(row.dataset, { id: message.id, member: message.member, at: String(message.at), name: message.name });
  const name = make("span", "name", message.name);
  name.dir = "auto";
  tint(row, message.member, message.name);
  const mark = markOf(message.mark);
  row.querySelector(".text")?.before(avatar(message.member, message.name), name, ...(mark ? [mark] : []), time);
}

/** What it became: edited, or gone. @param {Row} row @param {{ text: string, edited?: string, removed?: boolean }} now @param {Reader} reader */
export function change(row, { text, edited, removed }, reader) {
  setText(row, removed ? "" : text, reader);
  row.classList.toggle("removed", Boolean(removed));
  row.querySelector(".became")?.remove();
  const became = removed ? "This message was removed" : edited ? "edited" : "";
  if (became) row.querySelector(".text")?.after(make("span", "became", became));
}

/** @param {Row} row @param {State} state @param {string} [why] */
export function mark(row, state, why = "") {
  row.dataset.state = state;
  const element = make("span", "state");
  element.dataset.state = state;
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", STATES[state]);
  const old = row.querySelector(".state");
  if (old) old.replaceWith(element);
  else row.append(element);
  row.querySelector(".why")?.remove();
  if (why) row.append(make("p", "why", why));
}

/** The name of a day, as people say it. @param {number} at @param {number} now */
export function dayOf(at, now) {
  const days = (dayStart(now) - dayStart(at)) / 86_400_000;
  if (Math.round(days) === 0) return "Today";
  if (Math.round(days) === 1) return "Yesterday";
  return (days < 300 ? DAY : FAR_DAY).format(at);
}

/** @param {number} at */
function dayStart(at) {
  return new Date(at).setHours(0, 0, 0, 0);
}

/**
 * What a row says depends on the one before it: the name is not said twice, and a new day is.
 *
 * @param {Row} row
 * @param {Element | null} before
 */
export function follow(row, before) {
  const last = before instanceof HTMLElement ? before.dataset : {};
  const { at, member, id } = row.dataset;
  const close = Number(at) - Number(last.at) < TOGETHER_MS;
  const isNewDay = id !== undefined && (!last.at || dayStart(Number(last.at)) !== dayStart(Number(at)));
  const isNew = row.querySelector(".line.new") !== null;
  row.classList.toggle("follows", member !== undefined && last.member === member && close && !isNewDay && !isNew);
  const line = row.querySelector(".line.day");
  if (!isNewDay) line?.remove();
  else if (!line) row.prepend(separator("day", dayOf(Number(at), Date.now())));
}

/** @param {string} kind @param {string} words */
export function separator(kind, words) {
  const line = make("div", `line ${kind}`);
  line.append(make("span", "", words));
  return line;
}
