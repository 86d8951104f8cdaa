// @ts-check
import { find, make } from "../element.js";
import { avatar, markOf } from "../people/avatar.js";

/** @typedef {import("../frame.js").Welcome} Welcome */

/** Who we are, as the server sees it, and what it can do for us. */
export class Me {
  /** @param {import("../participant.js").Participant} participant @param {import("./identity.js").Identity} identity */
  constructor(participant, identity) {
    this.participant = participant;
    this.identity = identity;
    /** @type {Welcome | null} */
    this.welcome = null;
    this.button = find("account-open");
    this.takeIdentity();
    this.show();
  }

  get member() {
    return this.participant.member;
  }

  /** What others see. */
  get name() {
    return this.welcome?.name ?? this.participant.name;
  }

  /** Whether the server knows us by an account. */
  get isSigned() {
    return this.welcome?.account !== undefined;
  }

  /** @param {string} feature */
  can(feature) {
    return this.welcome?.features?.includes(feature) ?? false;
  }

  /** Speaks from now on as whom the browser is signed in. */
  takeIdentity() {
    const { signed } = this.identity;
    this.participant.isSigned = signed !== null;
    this.participant.token = signed?.token ?? null;
    if (signed) this.participant.name = signed.name;
  }

  /**
   * @param {Welcome} welcome
   * @returns {string} why others see another name, in a sentence; empty: they do not, or it is known
   */
  welcomed(welcome) {
    const before = this.name;
    this.welcome = welcome;
    this.show();
    const typed = this.participant.name;
    if (this.name === typed || this.name === before) return "";
    return `Others see you as “${this.name}”: the name “${typed}” is somebody's already, or looks like it.`;
  }

  show() {
    const role = this.welcome?.account?.role;
    const words = make("span", "name", this.name);
    words.dir = "auto";
    const mark = markOf(role);
    const soft = make("span", "soft", role ?? (this.can("accounts") ? "guest · sign in" : "guest"));
    const text = make("span", "who");
    text.append(words, soft);
    this.button.replaceChildren(avatar(this.member ?? "", this.name), text, ...(mark ? [mark] : []));
    this.button.disabled = !this.can("accounts");
  }
}
