// @ts-check
import { make } from "../element.js";
import { invitationOf } from "../address.js";
import { roomPath } from "../api.js";
import { button, Dialog, field } from "../shell/dialog.js";

/**
 * @typedef {import("../room.js").Room} Room
 * @typedef {{ api: import("../api.js").Api, can(feature: string): boolean, leave(room: Room): void }} House
 */

/** Seconds between two messages of one person. */
const SLOW = [0, 5, 15, 30, 60, 300, 900];

/** What a room is, and for its moderators the levers of it. */
export class AboutRoom {
  /** @param {House} house */
  constructor(house) {
    this.house = house;
    this.dialog = new Dialog("about-room", "Room");
    /** @type {Room | null} */
    this.room = null;
  }

  /** @param {Room} room */
  open(room) {
    this.room = room;
    this.#draw();
    this.dialog.open();
  }

  /** The room's state was told, as it is after each move. @param {Room} room */
  changed(room) {
    if (!this.dialog.isOpen || room !== this.room || JSON.stringify(room.state) === this.drawn) return;
    // Not under the hands of who is writing a topic.
    if (document.activeElement?.tagName !== "INPUT") this.#draw();
  }

  #draw() {
    const room = this.room;
    if (!room) return;
    this.drawn = JSON.stringify(room.state);
    this.dialog.title.textContent = room.title;
    this.error = make("p", "error");
    this.error.setAttribute("role", "alert");
    const moderates = room.state?.you.moderates === true && this.house.can("rooms");
    /** @type {HTMLElement[]} */
    const parts = [facts(room), ...(moderates ? this.#levers(room) : []), this.error];
    parts.push(button("Leave this room", () => {
      this.dialog.close();
      this.house.leave(room);
    }, "bad"));
    this.dialog.body.replaceChildren(...parts);
  }

  /** @param {Room} room */
  #levers(room) {
    const { state } = room;
    const topic = field("topic-field", "Topic", { maxlength: "200", autocomplete: "off" });
    topic.input.value = state?.topic ?? "";
    topic.input.dir = "auto";
    const form = make("form", "row");
    form.append(topic.element, make("button", "", "Set"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#set({ topic: topic.input.value.trim() }, topic.complain);
    });
    const freeze = button(state?.frozen ? "Thaw" : "Freeze", () => void this.#set({ frozen: !state?.frozen }));
    const archive = button(state?.archived ? "Reopen" : "Archive", () => void this.#set({ archived: !state?.archived }));
    const row = make("div", "buttons");
    row.append(freeze, archive);
    if (state?.access === "private") row.append(button("Copy invitation link", () => void this.#invite(room)));
    return [form, this.#slow(room), row];
  }

  /** @param {Room} room */
  #slow(room) {
    const select = make("select");
    select.id = "slow";
    const now = Math.round((room.state?.slow_ms ?? 0) / 1000);
    for (const seconds of [...new Set([...SLOW, now])].sort((a, b) => a - b)) {
      const option = make("option", "", seconds === 0 ? "Off" : `One message in ${seconds} s`);
      option.value = String(seconds);
      option.selected = seconds === now;
      select.append(option);
    }
    select.addEventListener("change", () => void this.#set({ slow_ms: Number(select.value) * 1000 }));
    const label = make("label", "", "Slow mode");
    label.htmlFor = select.id;
    const element = make("div", "field");
    element.append(label, select);
    return element;
  }

  /** @param {Record<string, unknown>} change @param {(why: string) => void} [complain] */
  async #set(change, complain = (why) => this.#complain(why)) {
    if (!this.room) return;
    complain("");
    const answer = await this.house.api.call("PATCH", roomPath(this.room.name), change);
    if (!answer.ok) complain(answer.detail);
  }

  /** @param {Room} room */
  async #invite(room) {
    const { ok, data, detail } = await this.house.api.call("POST", roomPath(room.name, "/invitations"), {});
    if (!ok || typeof data?.invite !== "string") return this.#complain(detail || "No invitation came");
    const link = new URL(invitationOf(room.name, data.invite), location.href).href;
    const shown = field("invitation", "Whoever has this link may enter", { readonly: "" });
    shown.input.value = link;
    this.error?.before(shown.element);
    shown.input.select();
    await navigator.clipboard?.writeText(link).catch(() => {});
  }

  /** @param {string} why */
  #complain(why) {
    if (this.error) this.error.textContent = why;
  }
}

/** @type {Record<string, string>} */
const ACCESS = {
  open: "Everybody may enter.",
  private: "Only who was invited may enter.",
  direct: "Only the two of you are here.",
};

/** @param {Room} room */
function facts({ state }) {
  const element = make("div", "facts");
  if (state?.topic) {
    const topic = make("p", "topic", state.topic);
    topic.dir = "auto";
    element.append(topic);
  }
  element.append(make("p", "soft", ACCESS[state?.access ?? "open"] ?? ""));
  if (state?.slow_ms) element.append(make("p", "soft", `Slow mode: one message in ${state.slow_ms / 1000} s.`));
  if (state?.frozen) element.append(make("p", "soft", "It is frozen: only moderators write."));
  if (state?.archived) element.append(make("p", "soft", "It is archived: nobody writes."));
  return element;
}
