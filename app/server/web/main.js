// @ts-check
import { pageClock } from "./clock.js";
import { find } from "./element.js";
import { Page } from "./page.js";
import * as session from "./session.js";
import { cleanName } from "./words.js";

/**
 * @param {import("./participant.js").Participant} participant
 * @param {import("./frame.js").Why} why
 */
function enter(participant, why) {
  find("join").hidden = true;
  find("chat").hidden = false;
  void new Page(participant, pageClock()).start(why);
}

function ask() {
  const [form, input] = [find("join"), find("name")];
  input.value = session.lastName();
  form.hidden = false;
  input.focus();
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const name = cleanName(input.value);
    if (name) enter(session.create(name), "fresh");
    else input.focus();
  });
}

/** A phone's address bar and keyboard come and go, and not every browser counts them in dvh. */
function fit() {
  const height = window.visualViewport?.height;
  if (height) document.documentElement.style.setProperty("--height", `${height}px`);
}

window.visualViewport?.addEventListener("resize", fit);
fit();
const participant = await session.restore();
if (participant) enter(participant, "resume");
else ask();
