// @ts-check
import { make } from "../element.js";
import { button, Dialog, field } from "../shell/dialog.js";
import { bytesOf, cleanName } from "../words.js";
import { fieldOf } from "./identity.js";

/**
 * @typedef {{ api: import("../api.js").Api, identity: import("./identity.js").Identity,
 *   changed(): void, signsOut(): void, name(): string, isSigned(): boolean }} House `changed`: signed in, or
 *   out; `signsOut`: about to be
 */

const SHORTEST = 8;
const LONGEST = 256;

/** Why a password cannot be one; empty: it can. @param {string} password */
export function weakness(password) {
  const bytes = bytesOf(password);
  if (bytes < SHORTEST) return `At least ${SHORTEST} characters`;
  return bytes > LONGEST ? `At most ${LONGEST} characters` : "";
}

/** Signing up, in and out. */
export class AccountDialog {
  /** @param {House} house */
  constructor(house) {
    this.house = house;
    this.dialog = new Dialog("account", "Account");
    this.isNew = false;
    this.busy = false;
    this.name = field("account-name", "Name", { autocomplete: "username", maxlength: "32", spellcheck: "false" });
    this.password = field("account-password", "Password", { type: "password", autocomplete: "current-password" });
    this.error = make("p", "error");
    this.error.setAttribute("role", "alert");
    this.submit = make("button", "primary");
    this.other = button("", () => this.#turn(!this.isNew), "textual");
    this.why = make("p", "soft");
    this.form = make("form");
    this.form.append(this.why, this.name.element, this.password.element, this.error, this.submit, this.other);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#sign();
    });
  }

  /** @param {boolean} [isNew] */
  open(isNew = false) {
    this.error.textContent = "";
    if (this.house.isSigned()) this.#drawSigned();
    else {
      if (!this.name.input.value) this.name.input.value = this.house.name();
      this.dialog.body.replaceChildren(this.form);
      this.#turn(isNew);
    }
    this.dialog.open();
    if (!this.house.isSigned()) (this.name.input.value ? this.password : this.name).input.focus();
  }

  /** @param {boolean} isNew */
  #turn(isNew) {
    this.isNew = isNew;
    this.dialog.title.textContent = isNew ? "Keep a name" : "Sign in";
    this.why.textContent = isNew
      ? "Registering keeps your name for you, on all your devices. Nobody else can use it."
      : "With a name that is registered.";
    this.submit.textContent = isNew ? "Register" : "Sign in";
    this.other.textContent = isNew ? "I have an account" : "Register a name instead";
    this.password.input.autocomplete = isNew ? "new-password" : "current-password";
    this.name.complain("");
    this.password.complain("");
    this.error.textContent = "";
  }

  async #sign() {
    if (this.busy) return;
    const name = cleanName(this.name.input.value);
    const password = this.password.input.value;
    const weak = weakness(password);
    this.name.complain(name ? "" : "A name is needed");
    this.password.complain(weak);
    this.error.textContent = "";
    if (weak || !name) return;
    this.#wait(true);
    const answer = await this.house.identity.signIn(this.house.api, name, password, this.isNew);
    this.#wait(false);
    if (!answer.ok) return this.#complain(answer);
    this.password.input.value = "";
    this.dialog.close();
    this.house.changed();
  }

  /** @param {import("../api.js").Answer} answer */
  #complain(answer) {
    const about = fieldOf(answer);
    if (about === "name") this.name.complain(answer.detail);
    else if (about === "password") this.password.complain(answer.detail);
    else this.error.textContent = answer.detail;
  }

  #drawSigned() {
    const name = this.house.identity.signed?.name ?? this.house.name();
    this.dialog.title.textContent = "Account";
    const line = make("p", "", `You are signed in as ${name}.`);
    line.dir = "auto";
    const row = make("div", "buttons");
    row.append(button("Sign out", () => void this.#out(false)), button("Sign out everywhere", () => void this.#out(true), "bad"));
    const soft = make("p", "soft", "Everywhere ends your sessions on all devices, within a second.");
    this.dialog.body.replaceChildren(line, row, soft, this.error);
  }

  /** @param {boolean} everywhere */
  async #out(everywhere) {
    if (this.busy) return;
    this.#wait(true);
    this.house.signsOut();
    const answer = await this.house.identity.signOut(this.house.api, everywhere);
    this.#wait(false);
    if (!answer.ok && everywhere) return void (this.error.textContent = answer.detail);
    this.dialog.close();
    this.house.changed();
  }

  /** @param {boolean} busy */
  #wait(busy) {
    this.busy = busy;
    this.submit.disabled = busy;
    this.dialog.element.toggleAttribute("aria-busy", busy);
  }
}
