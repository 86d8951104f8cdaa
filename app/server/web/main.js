// @ts-check
import { pageClock } from "./clock.js";
import { AccountDialog } from "./account/dialog.js";
import { Identity } from "./account/identity.js";
import { Api } from "./api.js";
import { find } from "./element.js";
import { Page } from "./page.js";
import * as session from "./session.js";
import { browser } from "./storage.js";
import { cleanName } from "./words.js";

/**
 * @param {import("./participant.js").Participant} participant
 * @param {import("./frame.js").Why} why
 */
function enter(participant, why) {
  find("entry").hidden = true;
  // The one of the entry is not the page's.
  find("dialogs").replaceChildren();
  find("chat").hidden = false;
  const page = new Page(participant, pageClock());
  if (hall) hall.begin(page);
  page.start(why);
}

/** Asks for a name, or for an account. */
function ask() {
  const [form, input, error] = [find("join"), find("name"), find("name-error")];
  const identity = new Identity(browser);
  if (identity.signed) return enter(session.create(identity.signed.name), "fresh");
  const account = new AccountDialog({
    api: new Api(() => null), identity, name: () => cleanName(input.value), isSigned: () => false, signsOut: () => {},
    changed: () => identity.signed && enter(session.create(identity.signed.name), "fresh"),
  });
  input.value = session.lastName();
  find("entry").hidden = form.hidden = false;
  // What is proposed goes when one types another.
  input.addEventListener("focus", () => input.select());
  input.focus();
  find("join-account").addEventListener("click", () => account.open());
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const name = cleanName(input.value);
    error.textContent = name ? "" : "Type a name of at least one letter";
    if (name) {
      form.hidden = true;
      return enter(session.create(name), "fresh");
    }
    input.setAttribute("aria-invalid", "true");
    input.focus();
  });
}

/** A phone's address bar and keyboard come and go, and not every browser counts them in dvh. */
function fit() {
  const height = window.visualViewport?.height;
  if (height) document.documentElement.style.setProperty("--height", `${height}px`);
}

window.visualViewport?.addEventListener("resize", fit);
fit();
/** More for an audience; a server that has none of it has the chat. @type {any} */
const hall = location.hash === "#hall" && await import("/web/hall.js").catch(console.warn);
const participant = await session.restore();
if (participant) enter(participant, "resume");
else ask();
